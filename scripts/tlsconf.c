#include "scripts/tlsconf.h"

#include <stdio.h>
#include <string.h>

/* What stunnel holds back for a viewer that is too slow is as late as it is long: what waits should
 * wait in the ring. The kernel doubles these numbers, and caps the first, unless told otherwise, at
 * 208 KiB. Measured, it carries 8 Mbit/s over a round trip of 100 ms, 4 Mbit/s over one of 300 ms,
 * and so does two thirds of it, but play begins later. The second has no distance to bridge. */
enum { SEND_BUFFER = 196608, RECEIVE_BUFFER = 65536 };

/* A client that says nothing holds a descriptor for so long; fanout's limits do not see it yet. */
enum { HANDSHAKE_S = 10 };

/* In stunnel's words ":::port" is all addresses of both families. */
static const char *address(const struct config *config, int v6)
{
    return *config->listen ? config->listen : v6 ? "::" : "0.0.0.0";
}

size_t tlsconf_write(const struct config *config, const char *pair, int v6, char *out)
{
    int n = snprintf(out, TLSCONF_BYTES,
                     "foreground = yes\n"
                     "pid =\n"
                     "syslog = no\n"
                     "debug = crit\n"
                     "sslVersionMin = TLSv1.2\n"
                     "socket = l:TCP_NODELAY=1\n"
                     "socket = r:TCP_NODELAY=1\n"
                     "socket = l:SO_SNDBUF=%d\n"
                     "socket = r:SO_RCVBUF=%d\n"
                     "TIMEOUTbusy = %d\n"
                     "TIMEOUTclose = 0\n"
                     "[https]\n"
                     "accept = %s:%u\n"
                     "connect = 127.0.0.1:%u\n"
                     "protocol = proxy\n"
                     "cert = %s\n",
                     SEND_BUFFER, RECEIVE_BUFFER, HANDSHAKE_S, address(config, v6),
                     config->https_port, config->proxy_port, pair);
    return n > 0 && n < TLSCONF_BYTES && !strchr(pair, '\n') ? (size_t)n : 0;
}
