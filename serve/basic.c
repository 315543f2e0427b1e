#include "serve/basic.h"

#include <string.h>
#include <strings.h>

enum {
    DECODED_MAX = BASIC_USER_MAX + 1 + BASIC_PASSWORD_MAX,
    SCHEME = 5, /* bytes of "Basic" */
};

static int has_control(const char *p, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)p[i] < ' ' || p[i] == 127)
            return 1;
    return 0;
}

int basic_user_ok(const char *name, size_t length)
{
    return length >= 1 && length <= BASIC_USER_MAX && !has_control(name, length) &&
           !memchr(name, ':', length) && name[0] != ' ' && name[length - 1] != ' ' &&
           name[0] != '#';
}

int basic_password_ok(const char *password, size_t length)
{
    return length <= BASIC_PASSWORD_MAX && !has_control(password, length);
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Returns how many bytes came out, or -1. One text only means one sequence of bytes: what is cached
 * or counted by the bytes cannot be got round by another spelling. */
static int decode(const char *p, size_t length, char out[DECODED_MAX])
{
    size_t n = 0, padding = 0;
    unsigned bits = 0;
    if (length == 0 || length % 4 != 0)
        return -1;
    while (padding < 2 && p[length - 1 - padding] == '=')
        padding++;
    if (length / 4 * 3 - padding > DECODED_MAX)
        return -1;
    for (size_t i = 0; i < length - padding; i++) {
        int six = sextet(p[i]);
        if (six < 0)
            return -1;
        bits = bits << 6 | (unsigned)six;
        if (i % 4 > 0)
            out[n++] = (char)(unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    if ((padding == 1 && (bits & 3)) || (padding == 2 && (bits & 15)))
        return -1;
    return (int)n;
}

static int split(const char *text, size_t length, struct basic *out)
{
    const char *colon = memchr(text, ':', length);
    if (!colon)
        return -1;
    size_t user = (size_t)(colon - text), password = length - user - 1;
    if (!basic_user_ok(text, user) || !basic_password_ok(colon + 1, password))
        return -1;
    memcpy(out->user, text, user);
    memcpy(out->password, colon + 1, password);
    out->user_length = user;
    out->password_length = password;
    return 0;
}

int basic_parse(const char *value, size_t length, struct basic *out)
{
    char text[DECODED_MAX];
    size_t at = SCHEME;
    memset(out, 0, sizeof *out);
    if (length <= SCHEME || strncasecmp(value, "Basic", SCHEME) != 0 || value[SCHEME] != ' ')
        return -1;
    while (at < length && value[at] == ' ')
        at++;
    int n = decode(value + at, length - at, text);
    int result = n < 0 ? -1 : split(text, (size_t)n, out);
    explicit_bzero(text, sizeof text);
    return result;
}
