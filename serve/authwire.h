/* What fanout and its helper checkpassword say to each other: one record a message, over a
 * socketpair of SOCK_SEQPACKET, both on one machine and of one build. Requests are answered in
 * their order.
 *
 *   fanout -> checkpassword   struct authwire_request
 *   checkpassword -> fanout   struct authwire_answer
 *
 * Either ends when the other has closed its side. */
#ifndef SERVE_AUTHWIRE_H
#define SERVE_AUTHWIRE_H

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "serve/basic.h"

struct authwire_request {
    uint32_t id; /* comes back in the answer */
    uint16_t user_length, password_length;
    char user[BASIC_USER_MAX]; /* no zero at the end */
    char password[BASIC_PASSWORD_MAX];
};

/* Which state of the users file is meant: it changes with every write, chmod or rename over it. All
 * zeros: there is none. */
struct authwire_file {
    uint64_t device, inode, size;
    int64_t changed; /* ns since 1970, st_ctim */
};

struct authwire_answer {
    uint32_t id;
    uint32_t allowed;          /* 1 or 0 */
    struct authwire_file file; /* as it was when the helper looked at it for this answer */
};

static_assert(sizeof(struct authwire_request) == 200, "authwire_request has no padding");
static_assert(sizeof(struct authwire_answer) == 40, "authwire_answer has no padding");

/* Not in one place of the library, since the two must not look in different ways. */
static inline struct authwire_file authwire_look(const char *path)
{
    struct authwire_file file;
    struct stat st;
    memset(&file, 0, sizeof file);
    if (stat(path, &st) == 0) {
        file.device = st.st_dev;
        file.inode = st.st_ino;
        file.size = (uint64_t)st.st_size;
        file.changed = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
    }
    return file;
}

static inline int authwire_same(const struct authwire_file *a, const struct authwire_file *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

#endif
