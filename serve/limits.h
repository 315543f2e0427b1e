/* Every limit of fanout, by name. Over one of them a client gets a status and one line, and nobody
 * else notices. */
#ifndef SERVE_LIMITS_H
#define SERVE_LIMITS_H

enum {
    LIMIT_CONNECTIONS = 4096,     /* open at once, viewers and others; fewer where files are few */
    LIMIT_VIEWERS = 2048,         /* of stream.mp4 and raw.mp4 together: 503 */
    LIMIT_PER_ADDRESS = 64,       /* connections from one address but loopback: 503 */
    LIMIT_HEAD = 8192,            /* bytes of a request head: 431 */
    LIMIT_HEAD_MS = 10000,        /* from connection, or the last answer, to a whole head: 408 */
    LIMIT_STILL_MS = 10000,       /* a picture is waited for: 503 */
    LIMIT_SEGMENT_MS = 15000,     /* a playlist is waited for, or its first segment: 503 */
    LIMIT_STUCK_MS = 10000,       /* a viewer that takes nothing for so long is closed */
    LIMIT_CHILDREN = 64,          /* static files being served: 503 */
    LIMIT_CHILDREN_EACH = 16,     /* of them, to one address but loopback: 503 */
    LIMIT_CHILDREN_PART = 2,      /* such an address has no more than one of so many left: 503 */
    LIMIT_CHILD_STUCK_MS = 30000, /* a static client that takes nothing for so long is closed */
    LIMIT_LISTENERS = 8,
    LIMIT_CAMERAS = 16,
    LIMIT_WWW = 4,            /* directories of static files */
    LIMIT_ACCEPTS = 64,       /* new connections taken in between two looks at the others */
    LIMIT_LINGER_MS = 2000,   /* a refused client has so long to stop talking */
    LIMIT_GONE_S = 60,        /* a silent connection's peer is asked after, and given up */
    LIMIT_BACKLOG = 1024,     /* connections the kernel holds for us */
    LIMIT_UNSENT = 128 << 10, /* bytes the kernel may hold for a viewer beyond its window */
    LIMIT_HOP = 32 << 10,     /* bytes of the send buffer towards a front end on this machine */
    LIMIT_STATUS = 16 << 10,  /* bytes of a status page */
    LIMIT_METRICS = 64 << 10, /* bytes of what Prometheus gets */
};

#endif
