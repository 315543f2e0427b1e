/* The users file, one user a line:
 *
 *   # a comment; blank lines are none
 *   name:hash
 *
 * hash is what crypt(3) makes of the password, of one of the kinds in USERS_KINDS; nothing may
 * stand around the two. Lines end in LF or CR LF, the last one needs none. */
#ifndef SERVE_USERS_H
#define SERVE_USERS_H

#include <stddef.h>

enum {
    USERS_BYTES = 64 << 10, /* of the file */
    USERS_MAX = 256,        /* users */
    USERS_HASH_MAX = 255,   /* bytes of a hash */
};

/* By the names crypt(5) gives them: yescrypt, gost-yescrypt, scrypt, bcrypt, SHA-512, SHA-256, MD5.
 * Not among them are hashes that crypt(3) does not know, such as $apr1$ and {SHA}, and the ones
 * without a $, which stop at the eighth character of a password. */
#define USERS_KINDS "$y$ $gy$ $7$ $2a$ $2b$ $2y$ $6$ $5$ $1$"

struct users_entry {
    size_t name, name_length; /* where in the text, bytes */
    size_t hash, hash_length;
};

/* Refers to the text it was read from, by places in it: whoever moves the text need not read it
 * again. */
struct users {
    unsigned count;
    struct users_entry entry[USERS_MAX];
};

struct users_mistake {
    unsigned line; /* 1 is the first; 0: the file as a whole */
    const char *why;
};

/* Reads text[0, length). Returns how many mistakes there are, of which the first `max` are written
 * to mistakes[]. Lines without a mistake are in *users whatever the others hold, in their order. */
unsigned users_parse(struct users *users, const char *text, size_t length,
                     struct users_mistake *mistakes, unsigned max);

/* The user of that name, or NULL. text: what was parsed. */
const struct users_entry *users_find(const struct users *users, const char *text, const char *name,
                                     size_t length);

#endif
