/* A front end that runs on this machine has a connection of its own with its client, and what it
 * took from here is not what that has. The kernel tells everybody how much of it is left, given
 * both ends (sock_diag(7)); those are in the PROXY line. */
#ifndef SERVE_RELAY_H
#define SERVE_RELAY_H

#include <stdint.h>

#include "serve/proxy.h"

struct relay {
    int diag;                 /* what relay_open() returned; 0: nothing is known of the front end */
    struct proxy_ends client; /* of its connection with its client, */
    struct proxy_ends hop;    /* and of the one with this server, which is its client there */
};

struct relay_left {
    uint32_t bytes; /* that the client has not acknowledged, or the front end not read */
    int64_t trip;   /* shortest round trip to the client lately, us; or a very large number */
};

struct sockaddr_storage;

/* One end of a connection: its address, IPv4 mapped, and its port. Returns 0, or -1: it is of
 * neither IPv4 nor IPv6. */
int relay_end(const struct sockaddr_storage *from, struct in6_addr *addr, uint16_t *port);

/* A socket for relay_ask(), of which all connections may use one; or -1: this kernel does not say.
 */
int relay_open(void);

/* The front end at the other end of fd has said whose connection it is. diag: as above. Of a client
 * on this machine nothing is known: that is another front end, or needs none of this. */
void relay_set(struct relay *r, int diag, int fd, const struct proxy_ends *client);

/* Asks the kernel twice, which takes some 10 us. Returns 0, or -1: it knows no such connection, as
 * it is gone or another machine's. */
int relay_ask(const struct relay *r, struct relay_left *left);

#endif
