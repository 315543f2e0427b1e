/* Numbers in options are strict. */
#include "capture/number.h"
#include "tests/tap.h"

int main(void)
{
    static const char *bad[] = {"",
                                " 1",
                                "1 ",
                                "-1",
                                "+1",
                                "0x1",
                                "1.0",
                                "1k",
                                "9",
                                "101",
                                "18446744073709551616",
                                "99999999999999999999999"};
    static const char *bad_size[] = {
        "",         "640",     "640x",      "x480",    "640X480",
        "640x480 ", "0x480",   "640x0",     "640x-1",  "641 x4",
        "1001x10",  "10x1001", "640x480x3", "640*480", "18446744073709552256x480"};
    static const char *bad_seconds[] = {"",
                                        ".5",
                                        "1.",
                                        "-1",
                                        "1.0001",
                                        "0.4",
                                        "60.1",
                                        "1.5s",
                                        "1..5",
                                        "1,5",
                                        "18446744073709551.7"};
    uint64_t v = 7;
    unsigned w = 7, h = 7;

    ok(!number_parse("10", 10, 100, &v) && v == 10, "the smallest");
    ok(!number_parse("0100", 10, 100, &v) && v == 100, "the largest");
    ok(!number_parse("18446744073709551615", 0, UINT64_MAX, &v) && v == UINT64_MAX, "64 bits");
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        v = 7;
        ok(number_parse(bad[i], 10, 100, &v) && v == 7, "\"%s\" is refused", bad[i]);
    }
    for (unsigned i = 0; i < sizeof bad_size / sizeof *bad_size; i++)
        ok(number_parse_size(bad_size[i], 1000, &w, &h) && w == 7 && h == 7,
           "size \"%s\" is refused", bad_size[i]);
    for (unsigned i = 0; i < sizeof bad_seconds / sizeof *bad_seconds; i++) {
        v = 7;
        ok(number_parse_seconds(bad_seconds[i], 500, 60000, &v) && v == 7, "%s s is refused",
           bad_seconds[i]);
    }
    ok(!number_parse_seconds("2", 500, 60000, &v) && v == 2000, "2 s");
    ok(!number_parse_seconds("0.5", 500, 60000, &v) && v == 500, "0.5 s");
    ok(!number_parse_seconds("59.999", 500, 60000, &v) && v == 59999, "59.999 s");
    ok(!number_parse_size("640x480", 1000, &w, &h) && w == 640 && h == 480, "640x480");
    ok(!number_parse_size("1x1000", 1000, &w, &h) && w == 1 && h == 1000, "1x1000");
    return done();
}
