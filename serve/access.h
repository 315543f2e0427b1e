/* The access log of fanout: what each connection asks for, kept until it is answered, and the lines
 * on their way out. Nothing waits for whoever reads them: a line that does not fit is dropped and
 * counted. All of it does nothing where server.access is NULL. */
#ifndef SERVE_ACCESS_H
#define SERVE_ACCESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/accesslog.h"

struct conn;
struct http_request;
struct server;

struct access_entry {
    int64_t asked; /* us: when the head was there; 0: nothing is asked */
    struct accesslog line;
};

struct access {
    int fd;
    int trouble;                   /* errno of a line that could not be written at all, or 0 */
    int told;                      /* of trouble has been spoken */
    char rest[ACCESSLOG_LINE_MAX]; /* what is left of a line of which a part was written */
    size_t rest_at, rest_len;
    struct access_entry *entry; /* [server.conns] */
};

/* Makes descriptor fd one that does not block, for this process alone where that can be. entry: for
 * each connection one, all zero; the caller's. */
void access_open(struct access *a, int fd, struct access_entry *entry);

/* Returns errno of the first line that nobody took, such as EPIPE, once; else 0. */
int access_trouble(struct access *a);

/* A request is there. Of one that waits in the socket and is read again, the first time counts. */
void access_begin(struct server *s, struct conn *c, const struct http_request *req);

/* It comes from a user whose password was right. */
void access_user(struct server *s, struct conn *c, const struct http_request *req);

/* Its answer has begun, and is of so many bytes if it gets to its end. status: "404 Not Found". */
void access_begun(struct server *s, struct conn *c, const char *status, size_t len);

/* It is answered; also what was no request. */
void access_answered(struct server *s, struct conn *c, const char *status, size_t len);

/* What was being sent is complete. */
void access_complete(struct server *s, struct conn *c);

/* The connection is about to be closed. */
void access_closed(struct server *s, struct conn *c);

/* The server is about to end, and so are all that are being sent something. */
void access_stop(struct server *s);

/* It is another program's now. */
void access_handed(struct server *s, struct conn *c);

/* One for whom there is no place has been told so. NULL: its address is not known. */
void access_refused(struct server *s, const struct in6_addr *addr);

#endif
