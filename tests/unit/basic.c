/* Credentials, good and bad, cut anywhere. */
#include "serve/basic.h"
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

static int parse(const char *value, size_t length, struct basic *out)
{
    memcpy(edge - length, value, length);
    memset(out, 0xa5, sizeof *out);
    return basic_parse(edge - length, length, out);
}

static int is_empty(const struct basic *b)
{
    static const struct basic empty;
    return memcmp(b->password, empty.password, sizeof empty.password) == 0 && !b->password_length;
}

/* Made with base64(1). */
static const struct {
    const char *value, *user, *password;
} good[] = {
    {"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Aladdin", "open sesame"}, /* RFC 7617 2 */
    {"Basic dGVzdDoxMjPCow==", "test", "123\xc2\xa3"},                /* RFC 7617 2.1 */
    {"bAsIc YTpi", "a", "b"},
    {"Basic    YTpi", "a", "b"},
    {"Basic YTo=", "a", ""},
    {"Basic YTpiOmM6", "a", "b:c:"},
    {"Basic YSBiOmM=", "a b", "c"},
    {"Basic +/+/Oj4/Pj8=", "\xfb\xff\xbf", ">?>?"},
};

static void good_ones(void)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct basic got;
        size_t length = strlen(good[i].value);
        int result = parse(good[i].value, length, &got), clean = 1;
        ok(result == 0 && !strcmp(got.user, good[i].user) &&
               !strcmp(got.password, good[i].password) && got.user_length == strlen(got.user) &&
               got.password_length == strlen(got.password),
           "%s", good[i].value);
        /* A cut behind four digits may be whole again; it is another text then. */
        for (size_t cut = 0; cut < length; cut++)
            clean &= parse(good[i].value, cut, &got) == 0
                         ? strncmp(good[i].password, got.password, got.password_length) == 0
                         : is_empty(&got);
        ok(clean, "cut anywhere");
    }
}

static const char *const bad[] = {
    "",
    "Basic",
    "Basic ",
    "Basic    ",
    "BasicYTpi",
    "Basic\tYTpi",
    "Basi YTpi",
    "Bearer YTpi",
    "Digest YTpi",
    " Basic YTpi",
    "Basic YTpi ",
    "Basic YT pi",
    "Basic YTpi, Basic YTpi",
    "Basic YTpi=",
    "Basic YTpi====",
    "Basic YTo",
    "Basic YTo==",
    "Basic YTp=",     /* unused bits that are not zero */
    "Basic YWE6YR==", /* of two bytes */
    "Basic =",
    "Basic ====",
    "Basic Y===",
    "Basic YT=i",
    "Basic -_-_Oj4_", /* another alphabet */
    "Basic YWFh",     /* no colon */
    "Basic OmE=",     /* no user */
    "Basic YQA6Yg==", /* a zero in the user */
    "Basic YTpiAA==", /* and in the password */
    "Basic YTpiCg==", /* a newline */
    "Basic YQk6Yg==", /* a tab */
    "Basic YTp/",     /* DEL */
    "Basic IGE6Yg==", /* a blank in front of the name */
    "Basic YSA6Yg==", /* behind it */
    "Basic I2E6Yg==", /* a comment in the users file */
};

static void bad_ones(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct basic got;
        ok(parse(bad[i], strlen(bad[i]), &got) == -1 && is_empty(&got), "refused: \"%s\"", bad[i]);
    }
}

/* So many bytes of each, all of them "a". */
static int with_lengths(size_t user, size_t password, struct basic *got)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char text[300];
    char value[500] = "Basic ";
    size_t n = user + 1 + password, at = 6;
    memset(text, 'a', sizeof text);
    text[user] = ':';
    memset(text + n, 0, sizeof text - n);
    for (size_t i = 0; i < n; i += 3) {
        unsigned bits =
            (unsigned)text[i] << 16 | (unsigned)text[i + 1] << 8 | (unsigned)text[i + 2];
        value[at++] = digits[bits >> 18];
        value[at++] = digits[bits >> 12 & 63];
        value[at++] = i + 1 < n ? digits[bits >> 6 & 63] : '=';
        value[at++] = i + 2 < n ? digits[bits & 63] : '=';
    }
    return parse(value, at, got);
}

static void limits(void)
{
    struct basic got;
    ok(with_lengths(64, 128, &got) == 0 && strlen(got.user) == 64 && strlen(got.password) == 128,
       "64 bytes and 128");
    ok(with_lengths(65, 1, &got) == -1, "65 bytes of user");
    ok(with_lengths(1, 129, &got) == -1, "129 bytes of password");
    ok(with_lengths(65, 128, &got) == -1 && with_lengths(64, 129, &got) == -1, "both one too many");
    ok(with_lengths(100, 190, &got) == -1, "much too long");
    ok(with_lengths(1, 0, &got) == 0 && with_lengths(0, 1, &got) == -1, "no password, no user");
    ok(basic_password_ok("", 0) && !basic_user_ok("", 0), "and so by themselves");
}

int main(void)
{
    make_edge();
    good_ones();
    bad_ones();
    limits();
    return done();
}
