/* INI files: items, lines, mistakes, every cut. What configparser reads is tests/tool/ini.t's. */
#include "capture/ini.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *edge; /* an unreadable page begins here */

static void make_edge(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED || mprotect(map + page, page, PROT_NONE))
        _exit(99);
    edge = map + page;
}

/* All items of a text, one a line: "LINE [NAME]", "LINE KEY=VALUE" or "LINE ! WHY". */
static const char *dump(const char *text, size_t length)
{
    static char out[8192], key[512], value[512];
    struct ini ini;
    struct ini_item item;
    size_t n = 0;

    memcpy(edge - length, text, length);
    ini_init(&ini, edge - length, length);
    *out = 0;
    while (ini_next(&ini, &item) != INI_END && n < sizeof out - 2048) {
        n += (size_t)snprintf(out + n, 32, "%s%u ", n ? "\n" : "", item.line);
        if (item.kind == INI_SECTION) {
            n += (size_t)snprintf(out + n, 512, "[%.*s]", (int)item.name_length, item.name);
        } else if (item.kind == INI_KEY) {
            ini_key(&item, key, sizeof key);
            ini_value(&item, value, sizeof value);
            n += (size_t)snprintf(out + n, 1024, "%s=%s", key, value);
        } else {
            n += (size_t)snprintf(out + n, 512, "! %s", item.why);
        }
    }
    return out;
}

static void same(const char *text, size_t length, const char *want, const char *what)
{
    const char *got = dump(text, length);

    if (!ok(!strcmp(got, want), "%s", what))
        printf("# got:\n# %s\n# want:\n# %s\n", got, want);
}

#define SAME(text, want, what) same(text, sizeof(text) - 1, want, what)

static void items(void)
{
    SAME("", "", "nothing");
    SAME("\n#a\n ; b\n", "", "blank lines and comments");
    SAME("[s]\nKey = A value # so\nk2:=", "1 [s]\n2 key=A value # so\n3 k2==", "keys and values");
    SAME("[s]\na= # no comment\n[t]\n  b\x1c= 2 \x1f", "1 [s]\n2 a=# no comment\n3 [t]\n4 b=2",
         "a value like a comment, an indented key behind a section, odd blanks");
    SAME("[a]b] c\n[ s ]", "1 [a]b]\n2 [ s ]", "a section's name");
    SAME("[DEFAULT]\na=%(b)s%", "1 [DEFAULT]\n2 a=%(b)s%", "DEFAULT and % mean nothing");
    SAME("[s]\na=1\na=2\n[s]", "1 [s]\n2 a=1\n3 a=2\n4 [s]", "what comes twice comes twice");
    SAME("[/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_0123456789ABCDEF-video-index0]",
         "1 [/dev/v4l/by-id/usb-046d_HD_Pro_Webcam_C920_0123456789ABCDEF-video-index0]",
         "a long section's name");
    SAME("[s]\na = 1\n  b\n #c\n\n [d]\nb=", "1 [s]\n2 a=1\nb\n\n[d]\n7 b=", "a value continued");
    SAME(" [s]\n  a=1\n  b=2\n   c=3\n\n\nd=4", "1 [s]\n2 a=1\n3 b=2\nc=3\n7 d=4",
         "indented deeper");
    SAME("[s]\r\na=1\r\n b\r\rc=2\r\n", "1 [s]\n2 a=1\nb\n5 c=2", "CR LF and CR");
    SAME("\xef\xbb\xbf[s]\na=\xef\xbb\xbf", "1 [s]\n2 a=\xef\xbb\xbf", "a byte order mark");
    SAME("[s]\n\xc3\x89 = \xc3\x89\xff", "1 [s]\n2 \xc3\x89=\xc3\x89\xff", "bytes beyond ASCII");
}

#define BEFORE  "! text before the first [section]"
#define NEITHER "! neither a [section] nor key = value"
#define NO_KEY  "! no key before the = or :"

static void mistakes(void)
{
    SAME("a=1\n\n b\n[s]\nc=2", "1 " BEFORE "\n3 " BEFORE "\n4 [s]\n5 c=2", "before a section");
    SAME("[s]\n[]\n[\na\n[]=1", "1 [s]\n2 " NEITHER "\n3 " NEITHER "\n4 " NEITHER "\n5 []=1",
         "no delimiter");
    SAME("[s]\n=1\n : 2\n", "1 [s]\n2 " NO_KEY "\n3 " NO_KEY, "no key");
    SAME("[s]\na=1\n bad\nbad\n  more\nc=2", "1 [s]\n2 a=1\nbad\n4 " NEITHER "\n6 c=2",
         "what continues a mistake is passed over");
    SAME("[s]\na=1\n b\0\n c\nd=2\n#\0", "1 [s]\n2 a=1\n3 ! a NUL in it\n5 d=2\n6 ! a NUL in it",
         "a NUL anywhere");

    struct ini ini;
    struct ini_item item;
    ini_init(&ini, "[s]\n  what? \n", 13);
    ini_next(&ini, &item);
    ok(ini_next(&ini, &item) == INI_BAD && item.name_length == 5 && !memcmp(item.name, "what?", 5),
       "a mistake holds its line");
    ok(ini_next(&ini, &item) == INI_END && ini_next(&ini, &item) == INI_END && item.line == 2,
       "the end stays the end");
}

/* Whole lines read the same whatever follows them; and no cut is read beyond its end. */
static void cuts(void)
{
    static const char text[] =
        "\xef\xbb\xbf[s]\r\na = 1\r\n # c\r\n\r\n  2\r\nB:\r\n[t]x]\r\nbad\r\n=\r\n";
    static const struct {
        const char *last, *want;
    } whole[] = {{"[s]\r\n", "1 [s]"},
                 {"1\r\n", "1 [s]\n2 a=1"},
                 {"  2\r\n", "1 [s]\n2 a=1\n\n2"},
                 {"B:\r\n", "1 [s]\n2 a=1\n\n2\n6 b="}};

    for (size_t n = 0; n < sizeof text; n++)
        dump(text, n);
    ok(1, "every cut stays within its page");
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        size_t n = (size_t)(strstr(text, whole[i].last) - text) + strlen(whole[i].last);
        same(text, n, whole[i].want, "cut behind a line");
        same(text, n - 1, whole[i].want, "and without its LF");
        same(text, n - 2, whole[i].want, "and without its CR");
    }
}

static void sizes(void)
{
    static const char text[] = "[s]\nKey=one\n # no\n\n  two";
    struct ini ini;
    struct ini_item item;
    char out[16];
    int good = 1;

    ini_init(&ini, text, sizeof text - 1);
    ini_next(&ini, &item);
    ini_next(&ini, &item);
    for (size_t size = 0; size <= sizeof out; size++) {
        memset(out, '~', sizeof out);
        good &= ini_value(&item, out, size) == 8;
        for (size_t i = 0; i < sizeof out; i++) {
            size_t kept = size && size <= 8 ? size - 1 : 8;
            char want = !size || i > kept ? '~' : i == kept ? 0 : "one\n\ntwo"[i];
            good &= out[i] == want;
        }
    }
    ok(good, "a value into room of any size");
    ok(ini_key(&item, out, 3) == 3 && !strcmp(out, "ke"), "a key that is cut");
    ok(ini_key(&item, NULL, 0) == 3 && ini_value(&item, NULL, 0) == 8, "no room: only the length");
}

int main(void)
{
    make_edge();
    items();
    mistakes();
    cuts();
    sizes();
    return done();
}
