/* Lines of an access log in the Combined Log Format, which log readers know: address, -, user,
 * [date], "request", status, bytes of body, "Referer", "User-Agent". Behind it, which they skip,
 * the seconds it took and, of a viewer, why it ended. What is not known is a -. Pure.
 *
 * What comes from a client is written in printable ASCII: quotes, backslashes and all other bytes
 * as \xNN, so that nobody can end a value, a line or a terminal's patience. A value that is longer
 * than its limit, in bytes as written, is cut between two characters. */
#ifndef SERVE_ACCESSLOG_H
#define SERVE_ACCESSLOG_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACCESSLOG_METHOD_MAX = 16,
    ACCESSLOG_TARGET_MAX = 384,
    ACCESSLOG_USER_MAX = 64,
    ACCESSLOG_REFERER_MAX = 128,
    ACCESSLOG_AGENT_MAX = 160,
    ACCESSLOG_LINE_MAX = 1000, /* with its newline: of a pipe, below PIPE_BUF, all or nothing */
};

/* One request. The texts are as accesslog_text() and its like write them; empty is -. */
struct accesslog {
    const struct in6_addr *addr; /* IPv4 mapped; NULL: not known */
    char user[ACCESSLOG_USER_MAX + 1], method[ACCESSLOG_METHOD_MAX + 1];
    char target[ACCESSLOG_TARGET_MAX + 1], referer[ACCESSLOG_REFERER_MAX + 1];
    char agent[ACCESSLOG_AGENT_MAX + 1];
    int minor;       /* HTTP/1.minor */
    int64_t at;      /* seconds since 1970, UTC; of before or after 1970 to 9999 the nearest */
    unsigned status; /* 0: not known */
    int64_t bytes;   /* of body; -1: not known */
    int64_t took;    /* us; -1: not known */
    const char *why; /* a viewer ended; NULL: it was none */
};

/* A value in at most max bytes and a zero. Returns how many bytes. */
size_t accesslog_text(char *out, size_t max, const char *p, size_t len);

/* A user's name, which is not between quotes in the line: blanks are escaped, too. */
void accesslog_user(struct accesslog *a, const char *p, size_t len);

/* A page's address, without the name and password that one may have in front of its host (RFC 3986
 * 3.2.1). */
void accesslog_referer(struct accesslog *a, const char *p, size_t len);

/* An address as people write it: IPv4 without what maps it. */
void accesslog_address(char out[INET6_ADDRSTRLEN], const struct in6_addr *addr);

/* The whole line with its newline, and no zero. Returns its length. */
size_t accesslog_line(char out[ACCESSLOG_LINE_MAX], const struct accesslog *a);

#endif
