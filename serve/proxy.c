#include "serve/proxy.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "capture/number.h"

enum { WORDS = 4, WORD_MAX = INET6_ADDRSTRLEN };

/* The next word of a line that is cut into words by single blanks; a missing one is empty. */
static const char *word(const char *p, char out[WORD_MAX])
{
    size_t n = strcspn(p, " ");
    snprintf(out, WORD_MAX, "%.*s", n < WORD_MAX ? (int)n : 0, p);
    return p[n] ? p + n + 1 : p + n;
}

static int address(int family, const char *text, struct in6_addr *out)
{
    if (family == AF_INET6)
        return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
    memset(out, 0, sizeof *out);
    out->s6_addr[10] = out->s6_addr[11] = 0xff;
    return inet_pton(AF_INET, text, &out->s6_addr[12]) == 1 ? 0 : -1;
}

/* What follows the protocol's name: two addresses and two ports. */
static int addresses(int family, const char *p, struct proxy_ends *ends)
{
    char words[WORDS][WORD_MAX];
    struct proxy_ends said;
    uint64_t client_port, server_port;
    for (int i = 0; i < WORDS; i++)
        p = word(p, words[i]);
    if (*p || p[-1] == ' ' || address(family, words[0], &said.client) < 0 ||
        address(family, words[1], &said.server) < 0 ||
        number_parse(words[2], 0, 65535, &client_port) < 0 ||
        number_parse(words[3], 0, 65535, &server_port) < 0)
        return -1;
    said.client_port = (uint16_t)client_port;
    said.server_port = (uint16_t)server_port;
    *ends = said;
    return 0;
}

static int read_line(const char *line, struct proxy_ends *ends)
{
    if (strncmp(line, "PROXY TCP4 ", 11) == 0)
        return addresses(AF_INET, line + 11, ends);
    if (strncmp(line, "PROXY TCP6 ", 11) == 0)
        return addresses(AF_INET6, line + 11, ends);
    return strncmp(line, "PROXY UNKNOWN", 13) == 0 && (line[13] == ' ' || !line[13]) ? 0 : -1;
}

int proxy_parse(const char *buf, size_t len, struct proxy_ends *ends)
{
    static const char begins[] = "PROXY ";
    char line[PROXY_MAX + 1];
    size_t known = len < sizeof begins - 1 ? len : sizeof begins - 1;
    size_t most = len < PROXY_MAX ? len : PROXY_MAX;
    const char *lf = memchr(buf, '\n', most);
    if (memcmp(buf, begins, known) != 0 || (!lf && len >= PROXY_MAX))
        return PROXY_BAD;
    if (!lf)
        return PROXY_MORE;
    size_t n = (size_t)(lf - buf);
    if (n == 0 || buf[n - 1] != '\r' || memchr(buf, 0, n))
        return PROXY_BAD;
    memcpy(line, buf, n - 1);
    line[n - 1] = 0;
    return read_line(line, ends) < 0 ? PROXY_BAD : (int)(n + 1);
}
