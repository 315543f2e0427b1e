/* HTTP Basic users for an event loop: each request is asked about, and the answer comes at once or
 * through a descriptor. Passwords are checked by the helper checkpassword(1), one after the other;
 * a name and password that were right are known again by a keyed hash (authcache.h) until the users
 * file changes; addresses with too many wrong ones must wait (failures.h).
 *
 * Nothing here waits, allocates or prints. All calls come from the thread that called auth_open():
 * the helper dies with it. SIGPIPE must be ignored. */
#ifndef SERVE_AUTH_H
#define SERVE_AUTH_H

#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/types.h>

#include "serve/authcache.h"
#include "serve/authwire.h"
#include "serve/basic.h"
#include "serve/failures.h"
#include "serve/http.h"
#include "serve/limits.h"
#include "serve/siphash.h"

enum {
    AUTH_JOBS = 64,                   /* different names and passwords waiting to be checked */
    AUTH_JOBS_EACH = 16,              /* of them, asked for by one address */
    AUTH_WAITERS = LIMIT_CONNECTIONS, /* requests that wait for them */
    AUTH_RESTART_US = 1000000,        /* between two starts of the helper */
    AUTH_STUCK_US = 20000000,         /* a request waits so long, and then is answered AUTH_BUSY */
};

enum auth_verdict {
    AUTH_ALLOWED,
    AUTH_DENIED,  /* 401: no credentials, or wrong ones */
    AUTH_WAIT,    /* auth_next() will tell */
    AUTH_BUSY,    /* 503: too many are waiting, or the helper is out of order */
    AUTH_BLOCKED, /* 429: too many wrong passwords from this address */
};

struct auth_answer {
    uint64_t token;
    enum auth_verdict verdict; /* AUTH_ALLOWED, AUTH_DENIED or AUTH_BUSY */
};

/* Counted since the start, for a status page. */
struct auth_count {
    uint64_t known;   /* allowed without the helper */
    uint64_t checked; /* answers of the helper */
    uint64_t wrong;   /* of these, wrong passwords */
    uint64_t blocked; /* AUTH_BLOCKED */
    uint64_t busy;    /* AUTH_BUSY, at once or later */
    uint64_t starts;  /* of the helper: more than 1 means that it died */
};

/* One name and password that is being checked, and the requests that ask for it. */
struct auth_job {
    uint64_t hash;
    int64_t asked; /* us */
    struct in6_addr addr;
    struct basic who;
    int first, last; /* waiters, or -1 */
    int tries;       /* times it was given to the helper */
};

struct auth_waiter {
    uint64_t token;
    struct in6_addr addr;
    enum auth_verdict verdict; /* once it is there */
    int next; /* of the same job, of those with a verdict, or of the free ones; -1 is none */
};

/* All of it private but count. */
struct auth {
    struct auth_count count;
    struct siphash_key key;
    struct authcache cache;
    struct failures failures;
    struct authwire_file file; /* as it was at the last look */
    struct auth_job job[AUTH_JOBS];
    uint8_t order[AUTH_JOBS]; /* [jobs] indexes of job, the longest waiting first; then the free */
    unsigned jobs;
    struct auth_waiter waiter[AUTH_WAITERS];
    int free;               /* waiter, or -1 */
    int told;               /* waiter that has a verdict, or -1 */
    int changed;            /* the file, and auth_tick() has not said it yet */
    uint32_t id;            /* of the request that the helper has */
    int running;            /* it has one: that of order[0] */
    int64_t given, started; /* us: when it got it; when it was started */
    int epoll, socket;      /* -1: no helper */
    pid_t pid;              /* of the helper until it has been waited for, or 0 */
    char path[PATH_MAX], helper[PATH_MAX];
};

/* Starts the helper for that users file. helper is its path, or NULL: checkpassword in
 * ../libexec/fmp4streamer as seen from this program, else beside this program. Whether the file is
 * any good the helper says on standard error; until it is, nobody is let in. Returns 0, or -1 with
 * errno, of which ENOENT means no helper. One that dies later is started again. now: us,
 * CLOCK_MONOTONIC, here and below. */
int auth_open(struct auth *a, const char *path, const char *helper, int64_t now);

/* A descriptor, the same one until auth_close(), that can be read when auth_next() has something to
 * do: level-triggered, for poll or epoll. */
int auth_fd(const struct auth *a);

/* May a request with this Authorization field (p is NULL: with none) from this address be served?
 * After AUTH_WAIT, and after no other answer, auth_next() hands out the token once. */
enum auth_verdict auth_ask(struct auth *a, struct http_span authorization,
                           const struct in6_addr *addr, int64_t now, uint64_t token);

/* The next answer to those who wait: returns 1, or 0 when there is none yet. To be called until it
 * returns 0 whenever auth_fd() can be read, after auth_tick() and after auth_reaped(). Between two
 * calls auth_ask() may be called. A token whose asker has gone comes all the same. */
int auth_next(struct auth *a, int64_t now, struct auth_answer *answer);

/* Once a second: looks whether the users file has changed, starts a helper that has died, gives up
 * on one that is stuck. Returns 1 when the file has changed: who was allowed before may not be any
 * more, and is asked about anew. */
int auth_tick(struct auth *a, int64_t now);

/* A child of this process has been waited for: returns 1 when it was the helper, and starts
 * another. Whoever waits for children must call this for each. */
int auth_reaped(struct auth *a, pid_t pid, int64_t now);

/* Ends the helper and wipes all that is known; those who wait get no answer. */
void auth_close(struct auth *a);

#endif
