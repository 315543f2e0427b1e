/* Any bytes may be an Authorization field. What is taken is within its limits and has no other
 * spelling: written again it is the same text. */
#include "serve/basic.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t encode(const unsigned char *p, size_t n, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t used = 0;
    for (size_t i = 0; i < n; i += 3) {
        unsigned b = i + 1 < n ? p[i + 1] : 0, c = i + 2 < n ? p[i + 2] : 0;
        unsigned bits = (unsigned)p[i] << 16 | b << 8 | c;
        out[used++] = digits[bits >> 18];
        out[used++] = digits[bits >> 12 & 63];
        out[used++] = i + 1 < n ? digits[bits >> 6 & 63] : '=';
        out[used++] = i + 2 < n ? digits[bits & 63] : '=';
    }
    return used;
}

static void check(const struct basic *got, const char *value, size_t size)
{
    char text[BASIC_USER_MAX + 1 + BASIC_PASSWORD_MAX + 1], again[2 * sizeof text];
    assert(got->user_length == strlen(got->user) && got->password_length == strlen(got->password));
    assert(got->user_length <= BASIC_USER_MAX && got->password_length <= BASIC_PASSWORD_MAX);
    assert(basic_user_ok(got->user, got->user_length));
    assert(basic_password_ok(got->password, got->password_length));
    memcpy(text, got->user, got->user_length);
    text[got->user_length] = ':';
    memcpy(text + got->user_length + 1, got->password, got->password_length);
    size_t n = encode((unsigned char *)text, got->user_length + 1 + got->password_length, again);
    assert(size >= n + 6 && strncasecmp(value, "Basic ", 6) == 0);
    assert(memcmp(value + size - n, again, n) == 0 && value[size - n - 1] == ' ');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct basic got;
    char *copy = malloc(size);
    if (size)
        memcpy(copy, data, size);
    int result = basic_parse(copy, size, &got);
    assert(result == 0 || result == -1);
    if (result == 0)
        check(&got, copy, size);
    free(copy);
    return 0;
}
