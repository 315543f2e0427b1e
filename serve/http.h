/* The head of an HTTP/1.x request (RFC 9112 2.2, 3, 5; RFC 9110 7.2, 11.6.2, 14.1.2), as little of
 * it as this server needs. */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_PATH_MAX = 1024, /* decoded, with its zero */
    HTTP_MORE = 0,
    HTTP_BAD = -1,
};

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_OPTIONS, HTTP_OTHER };

/* Bytes of the caller's buffer, valid as long as it is. p is NULL where there is no such thing. */
struct http_span {
    const char *p;
    size_t len;
};

struct http_request {
    enum http_method method;
    int minor;               /* HTTP/1.minor, 0 or 1 */
    int keep_alive;          /* the connection may serve another request after this one */
    int has_body;            /* a body follows the head */
    int has_range;           /* one well-formed range of bytes: first-last */
    uint64_t first, last;    /* UINT64_MAX: last is open; first is the suffix length then */
    int suffix;              /* bytes=-N */
    int firefox;             /* "Firefox/" in the User-Agent */
    int chrome;              /* "Chrome/" in it */
    struct http_span name;   /* of the method */
    struct http_span target; /* as it was sent: /path?query, that behind http://host, OPTIONS' * */
    struct http_span origin; /* behind its host: empty or ?query where that has no path */
    struct http_span authority; /* the target's host[:port], which counts instead of the Host's */
    struct http_span host;      /* the field's value, perhaps empty */
    struct http_span authorization, agent, referer;
    char path[HTTP_PATH_MAX]; /* percent-decoded, no query; begins with /, and is / for * */
};

/* Reads the head at buf[0, len). Returns its length (the empty line included), HTTP_MORE when it is
 * not all there, HTTP_BAD as soon as it is no request this server answers: bytes that do not belong
 * there, another protocol version, a path that is too long, holds a zero or a dot segment once
 * decoded, a URL of another scheme or with a user (RFC 9110 4.2.4), a folded header, lengths that
 * contradict each other, no Host in HTTP/1.1, one that is none, a second one (RFC 9112 3.2) or a
 * second Authorization (RFC 9110 5.3, 11.6.2). buf need not end in a zero. */
int http_parse(const char *buf, size_t len, struct http_request *req);

#endif
