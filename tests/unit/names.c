/* The names of a recording's files: what is written is read, and nothing else is. */
#include "hls/names.h"
#include "tests/tap.h"

#include <string.h>

static void both_ways(const char *text, enum name_kind kind, uint64_t number, uint32_t day,
                      uint32_t part)
{
    char out[NAME_LENGTH + 1], temporary[NAME_LENGTH + 1];
    const struct name made = {.kind = kind, .number = number, .day = day, .part = part};
    struct name n = name_parse(text);
    name_write(out, &made);
    ok(!strcmp(out, text) && n.kind == kind && n.number == number && n.day == day &&
           n.part == part && !n.temporary,
       "%s", text);
    struct name open = made;
    open.temporary = 1;
    name_write(temporary, &open);
    n = name_parse(temporary);
    ok(!strncmp(temporary, text, strlen(text)) && !strcmp(temporary + strlen(text), ".tmp") &&
           n.kind == kind && n.number == number && n.day == day && n.temporary,
       "%s", temporary);
}

int main(void)
{
    static const char *const others[] = {
        "",
        "seg-.m4s",
        "seg-01.m4s",
        "seg--1.m4s",
        "seg-1.m4s.tmp.tmp",
        "seg-1.m4s.damaged",
        "seg-4611686018427387904.m4s",
        "seg-99999999999999999999.m4s",
        "Seg-1.m4s",
        "seg-1.mp4",
        "init-4294967296.mp4",
        "init-1.m4s",
        "init-1.mp4 ",
        "2026-02-29.m3u8",
        "2026-13-01.m3u8",
        "2026-11-25-1.m3u8",
        "2026-11-25-0.m3u8",
        "2026-11-25-02.m3u8",
        "2026-11-25-.m3u8",
        "2026-11-25.m3u",
        "1970-01-01.m3u8",
        "99999-01-01.m3u8",
        "20261125.m3u8",
        "2026/11/25.m3u8",
        "undated-1.m3u8",
        "undated",
        ".m3u8",
        "live.m3u8x",
        "xlive.m3u8",
        "live.m3u8.tmp~",
        "index.htm",
        "streams.m3u8",
        "a name that is longer than any of those that are ours, by far",
        "\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\xf5",
    };
    both_ways("seg-0.m4s", NAME_SEGMENT, 0, 0, 0);
    both_ways("seg-4611686018427387903.m4s", NAME_SEGMENT, (UINT64_C(1) << 62) - 1, 0, 0);
    both_ways("init-0.mp4", NAME_INIT, 0, 0, 0);
    both_ways("init-4294967295.mp4", NAME_INIT, UINT32_MAX, 0, 0);
    both_ways("2026-11-25.m3u8", NAME_DAY, 0, 20782, 1);
    both_ways("2026-11-25-2.m3u8", NAME_DAY, 0, 20782, 2);
    both_ways("2028-02-29-4294967295.m3u8", NAME_DAY, 0, 21243, UINT32_MAX);
    both_ways("undated.m3u8", NAME_DAY, 0, 0, 1);
    both_ways("undated-3.m3u8", NAME_DAY, 0, 0, 3);
    both_ways("live.m3u8", NAME_LIVE, 0, 0, 0);
    both_ways("stream.m3u8", NAME_MASTER, 0, 0, 0);
    both_ways("index.html", NAME_PAGE, 0, 0, 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ok(name_parse(others[i]).kind == NAME_OTHER, "none of ours: case %zu", i);
    return done();
}
