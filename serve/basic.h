/* The credentials of HTTP Basic authentication (RFC 7617 2; RFC 9110 11.4, 11.6.2). */
#ifndef SERVE_BASIC_H
#define SERVE_BASIC_H

#include <stddef.h>

enum {
    BASIC_USER_MAX = 64,      /* bytes */
    BASIC_PASSWORD_MAX = 128, /* bytes */
};

struct basic {
    char user[BASIC_USER_MAX + 1];         /* ends in a zero; at least one byte, no colon */
    char password[BASIC_PASSWORD_MAX + 1]; /* ends in a zero; may be empty */
    size_t user_length, password_length;
};

/* Reads the value of an Authorization field, without blanks around it, at value[0, length); it need
 * not end in a zero. Returns 0, or -1 for anything else than "Basic" (in any case), blanks, and the
 * one base64 text (RFC 4648 4: padded, its unused bits zero) of a user, a colon and a password that
 * fit and hold no control characters (RFC 7617 2 forbids them); the bytes are not otherwise looked
 * at, so that UTF-8 passes. The first colon ends the user. Nothing of the password is left in *out
 * after -1; wiping it after 0 is the caller's. */
int basic_parse(const char *value, size_t length, struct basic *out);

/* Whether these bytes can be a user's name here: 1 to BASIC_USER_MAX, no colon, no control
 * character, no blank at either end; no # in front, which is a comment in the users file. */
int basic_user_ok(const char *name, size_t length);

/* Whether these can be a password: at most BASIC_PASSWORD_MAX, no control character. */
int basic_password_ok(const char *password, size_t length);

#endif
