/* The line that a TLS front end sends ahead of what its client says: the PROXY protocol, version 1
 * (HAProxy's proxy-protocol.txt, 2.1). Pure. */
#ifndef SERVE_PROXY_H
#define SERVE_PROXY_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROXY_MAX = 107, /* bytes of a line, its CRLF included */
    PROXY_MORE = 0,
    PROXY_BAD = -1,
};

/* Of the front end's connection with its client: addresses, IPv4 mapped, and ports. */
struct proxy_ends {
    struct in6_addr client, server;
    uint16_t client_port, server_port;
};

/* Reads the line at buf[0, len). Returns its length, PROXY_MORE when it is not all there, PROXY_BAD
 * as soon as it cannot be one. *ends stays as it is for UNKNOWN, which is a front end's own
 * connection. buf need not end in a zero. */
int proxy_parse(const char *buf, size_t len, struct proxy_ends *ends);

#endif
