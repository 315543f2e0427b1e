/* Whatever a client says, a line of the access log is one line of printable ASCII, within its
 * length, and what is between its quotes holds no quote. */
#include "serve/accesslog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next part of the input, up to a zero, from memory of just that size. */
static char *part(const uint8_t **data, size_t *size, size_t *len)
{
    const uint8_t *zero = memchr(*data, 0, *size);
    *len = zero ? (size_t)(zero - *data) : *size;
    char *copy = malloc(*len ? *len : 1);
    memcpy(copy, *data, *len);
    *data += *len;
    *size -= *len;
    if (*size) {
        (*data)++;
        (*size)--;
    }
    return copy;
}

static void check(const char *line, size_t len)
{
    int quotes = 0;
    assert(len > 0 && len < ACCESSLOG_LINE_MAX && line[len - 1] == '\n');
    for (size_t i = 0; i + 1 < len; i++) {
        assert(line[i] >= ' ' && line[i] < 127);
        quotes += line[i] == '"';
    }
    assert(quotes == 6);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct accesslog a = {.took = -1, .bytes = -1};
    struct in6_addr addr;
    char line[ACCESSLOG_LINE_MAX], *text;
    size_t n;
    if (size < sizeof addr + sizeof a.at + sizeof a.took)
        return 0;
    memcpy(&addr, data, sizeof addr);
    memcpy(&a.at, data + sizeof addr, sizeof a.at);
    memcpy(&a.took, data + sizeof addr + sizeof a.at, sizeof a.took);
    a.addr = &addr;
    a.bytes = a.at;
    data += sizeof addr + sizeof a.at + sizeof a.took;
    size -= sizeof addr + sizeof a.at + sizeof a.took;
    text = part(&data, &size, &n);
    accesslog_user(&a, text, n);
    assert(!strchr(a.user, ' '));
    free(text);
    text = part(&data, &size, &n);
    accesslog_referer(&a, text, n);
    free(text);
    text = part(&data, &size, &n);
    accesslog_text(a.method, ACCESSLOG_METHOD_MAX, text, n);
    free(text);
    text = part(&data, &size, &n);
    accesslog_text(a.target, ACCESSLOG_TARGET_MAX, text, n);
    free(text);
    accesslog_text(a.agent, ACCESSLOG_AGENT_MAX, (const char *)data, size);
    check(line, accesslog_line(line, &a));
    return 0;
}
