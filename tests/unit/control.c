/* Controls as text: names by the rule settings files rely on, values of every kind, mistakes told
 * with what would be right. */
#include "capture/control.h"
#include "tests/tap.h"

#include <string.h>

static const struct control_item items[] = {
    {0, 0, "Disabled"}, {1, 0, "50 Hz"}, {2, 0, "60"}, {60, 0, "Rec. 709"}, {61, 0, "disabled"}};
static const struct control_item numbers[] = {{3, 100, ""}, {4, -2, ""}, {100, 4, ""}};

static void name(const char *label, const char *wanted)
{
    char got[CONTROL_NAME];
    control_name(label, got);
    ok(!strcmp(got, wanted), "\"%s\" is %s%s%s", label, wanted, strcmp(got, wanted) ? ", not " : "",
       strcmp(got, wanted) ? got : "");
}

static void names(void)
{
    name("Brightness", "brightness");
    name("White Balance, Automatic", "white_balance_automatic");
    name("Exposure (Absolute)", "exposure_absolute");
    name("H264 I-Frame Period", "h264_i_frame_period");
    name("Pan & Tilt", "pan_tilt");
    name("a - b", "a__b");
    name("a  b", "a_b");
    name("a -- b", "a__b");
    name("Rec. 709", "rec_709");
    name("a_&_b", "a_b");
    name("Y'CbCr", "y'cbcr");
    name("", "");
    name("\xc3\x84", "\xc3\x84");
    char text[200], got[CONTROL_NAME];
    memset(text, 'x', sizeof text);
    text[199] = 0;
    control_name(text, got);
    ok(strlen(got) == CONTROL_NAME - 1, "a long one is cut");
    ok(control_distance("brightness", "brightness") == 0 && control_distance("", "abc") == 3 &&
           control_distance("abc", "") == 3 && control_distance("bightnes", "brightness") == 2 &&
           control_distance("kitten", "sitting") == 3,
       "distances");
    ok(control_distance(text, "x") == CONTROL_NAME - 2, "of a long one");
}

static struct control of(uint32_t type, int64_t min, int64_t max, uint64_t step)
{
    struct control c = {.query = {.type = type,
                                  .minimum = min,
                                  .maximum = max,
                                  .step = step,
                                  .elems = 1,
                                  .elem_size = 4}};
    if (type == V4L2_CTRL_TYPE_MENU) {
        c.item = items;
        c.items = sizeof items / sizeof items[0];
    } else if (type == V4L2_CTRL_TYPE_INTEGER_MENU) {
        c.item = numbers;
        c.items = sizeof numbers / sizeof numbers[0];
    }
    return c;
}

static void right(const struct control *c, const char *text, int64_t wanted)
{
    struct control_value v, again;
    char why[CONTROL_WHY] = "", said[CONTROL_TEXT];
    int good = !control_parse(c, text, &v, why) && v.number == wanted;
    ok(good, "\"%s\" is %lld %s", text, (long long)wanted, why);
    control_format(c, &v, said, sizeof said);
    ok(!control_parse(c, said, &again, why) && again.number == v.number, "and written \"%s\"",
       said);
}

static void wrong(const struct control *c, const char *text, const char *wanted)
{
    struct control_value v;
    char why[CONTROL_WHY] = "";
    int r = control_parse(c, text, &v, why);
    ok(r < 0 && !strcmp(why, wanted), "\"%s\": %s%s%s", text, wanted,
       strcmp(why, wanted) ? ", not " : "", strcmp(why, wanted) ? why : "");
}

static void integers(void)
{
    struct control c = of(V4L2_CTRL_TYPE_INTEGER, -10, 250, 5);
    right(&c, "-10", -10);
    right(&c, "0", 0);
    right(&c, "250", 250);
    right(&c, "0x0f", 15);
    const char *why = "want a number from -10 to 250 in steps of 5";
    const char *bad[] = {"",
                         "-",
                         "251",
                         "-11",
                         "255",
                         "12",
                         " 5",
                         "5 ",
                         "+5",
                         "5.0",
                         "0x",
                         "--5",
                         "99999999999999999999",
                         "0x10000000000000005"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        wrong(&c, bad[i], why);
    c = of(V4L2_CTRL_TYPE_INTEGER, 0, 255, 0);
    right(&c, "7", 7);
    wrong(&c, "-1", "want a number from 0 to 255");
    c = of(V4L2_CTRL_TYPE_INTEGER64, INT64_MIN, INT64_MAX, 1);
    right(&c, "-9223372036854775808", INT64_MIN);
    right(&c, "9223372036854775807", INT64_MAX);
    right(&c, "0x7fffffffffffffff", INT64_MAX);
    wrong(&c, "9223372036854775808",
          "want a number from -9223372036854775808 to 9223372036854775807");
}

static void choices(void)
{
    struct control c = of(V4L2_CTRL_TYPE_BOOLEAN, 0, 1, 1);
    const char *yes[] = {"1", "yes", "true", "on", "True"}, *no[] = {"0", "no", "false", "off"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        right(&c, yes[i], 1);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        right(&c, no[i], 0);
    wrong(&c, "2", "want 0, 1, no, yes, false or true");
    wrong(&c, "", "want 0, 1, no, yes, false or true");
    c = of(V4L2_CTRL_TYPE_MENU, 0, 61, 1);
    struct control_value v;
    char why[CONTROL_WHY];
    right(&c, "Disabled", 0);
    ok(!control_parse(&c, "disabled", &v, why) && v.number == 61, "the exact label first");
    right(&c, "50 Hz", 1);
    right(&c, "50_hz", 1);
    right(&c, "60", 2);
    right(&c, "1", 1);
    right(&c, "rec_709", 60);
    right(&c, "61", 61);
    wrong(&c, "3",
          "want one of 'Disabled' (0), '50 Hz' (1), '60' (2), 'Rec. 709' (60), "
          "'disabled' (61)");
    c = of(V4L2_CTRL_TYPE_INTEGER_MENU, 3, 100, 1);
    right(&c, "100", 3);
    right(&c, "-2", 4);
    right(&c, "4", 100);
    wrong(&c, "3", "want one of 100, -2, 4");
    c.items = 0;
    wrong(&c, "3", "want one of");
}

static void others(void)
{
    struct control c = of(V4L2_CTRL_TYPE_BITMASK, 0, (int32_t)0x80402010, 0);
    struct control_value v;
    char why[CONTROL_WHY], said[CONTROL_TEXT];
    right(&c, "0x80002000", 0x80002000);
    right(&c, "16", 16);
    right(&c, "0", 0);
    wrong(&c, "1", "want a bit mask within 0x80402010");
    wrong(&c, "-16", "want a bit mask within 0x80402010");
    wrong(&c, "0x180002000", "want a bit mask within 0x80402010");
    c = of(V4L2_CTRL_TYPE_BUTTON, 0, 0, 0);
    right(&c, "", 0);
    right(&c, "1", 0);
    wrong(&c, "2", "a button: want nothing or 1");
    c = of(V4L2_CTRL_TYPE_STRING, 2, 8, 2);
    ok(!control_parse(&c, "a=bc", &v, why) && !strcmp(v.text, "a=bc"), "a string");
    control_format(&c, &v, said, sizeof said);
    ok(!strcmp(said, "a=bc"), "and written");
    wrong(&c, "abc", "want 2 to 8 characters, in steps of 2");
    wrong(&c, "", "want 2 to 8 characters, in steps of 2");
    c.query.step = 1;
    wrong(&c, "123456789", "want 2 to 8 characters");
    c.query.flags = V4L2_CTRL_FLAG_READ_ONLY;
    wrong(&c, "abcd", "read-only");
    c = of(V4L2_CTRL_TYPE_U8, 0, 8, 1);
    wrong(&c, "1", "an array or a compound, which can't be set from text");
    c = of(V4L2_CTRL_TYPE_INTEGER, 0, 8, 1);
    c.query.flags = V4L2_CTRL_FLAG_HAS_PAYLOAD;
    ok(!control_plain(&c), "an array of integers is none of ours");
}

int main(void)
{
    names();
    integers();
    choices();
    others();
    return done();
}
