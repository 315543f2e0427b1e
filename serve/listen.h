/* Where fanout listens. */
#ifndef SERVE_LISTEN_H
#define SERVE_LISTEN_H

struct addrinfo;

enum { LISTEN_HOST_MAX = 256 };

/* Reads "port", "addr:port" or "[v6]:port", all in numbers, without the system's resolver.
 * loopback: without an address 127.0.0.1 is meant, else all of both families. Returns a list for
 * freeaddrinfo(), or NULL when the text is no such thing. */
struct addrinfo *listen_parse(const char *text, int loopback);

/* One socket, listening and non-blocking. IPv6 sockets take IPv6 only, so that both families can be
 * had side by side. Returns a descriptor, or -1 with errno. */
int listen_open(const struct addrinfo *where);

/* All are bound: gives up for good what ports below 1024 took, where this is not root. */
void listen_done(void);

#endif
