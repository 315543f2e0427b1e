#include "serve/users.h"

#include <string.h>

#include "serve/basic.h"

/* What a hash of each kind begins with, and how many bytes it has at least behind the last $
 * (behind the third one for bcrypt, whose salt and hash are not parted): one that was cut while
 * copying would let nobody in, and nobody would know why. */
static const struct kind {
    const char *prefix;
    size_t tail;
} kinds[] = {
    {"$y$", 43},  {"$gy$", 43}, {"$7$", 43}, {"$2a$", 53}, {"$2b$", 53},
    {"$2y$", 53}, {"$6$", 86},  {"$5$", 43}, {"$1$", 22},
};

struct reader {
    struct users *users;
    const char *text;
    struct users_mistake *mistakes;
    unsigned count, max, line;
};

static void mistake(struct reader *r, unsigned line, const char *why)
{
    if (r->count < r->max)
        r->mistakes[r->count] = (struct users_mistake){line, why};
    r->count++;
}

const struct users_entry *users_find(const struct users *users, const char *text, const char *name,
                                     size_t length)
{
    for (unsigned i = 0; i < users->count; i++) {
        const struct users_entry *e = &users->entry[i];
        if (e->name_length == length && memcmp(text + e->name, name, length) == 0)
            return e;
    }
    return NULL;
}

static int is_crypt_text(const char *p, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (p[i] <= ' ' || p[i] >= 127 || p[i] == ':')
            return 0;
    return 1;
}

/* Why that is not a hash, or NULL. */
static const char *hash_mistake(const char *hash, size_t length)
{
    if (!length)
        return "no hash behind the name";
    if (length > USERS_HASH_MAX)
        return "a hash of more than 255 bytes";
    if (!is_crypt_text(hash, length))
        return "something behind the hash, or bytes in it that do not belong there";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t prefix = strlen(kinds[i].prefix), tail = 0;
        if (length < prefix || memcmp(hash, kinds[i].prefix, prefix) != 0)
            continue;
        while (hash[length - 1 - tail] != '$') /* the prefix ends in one */
            tail++;
        return tail < kinds[i].tail ? "the hash is cut short" : NULL;
    }
    return "not a kind of hash that will do: one that begins with " USERS_KINDS;
}

static void entry(struct reader *r, size_t at, size_t length)
{
    const char *line = r->text + at, *colon = memchr(line, ':', length);
    if (!colon) {
        mistake(r, r->line, "no colon: want name:hash");
        return;
    }
    size_t name = (size_t)(colon - line), hash = length - name - 1;
    const char *why = hash_mistake(colon + 1, hash);
    if (!basic_user_ok(line, name))
        mistake(r, r->line, "not a user's name: 1 to 64 bytes, no blanks around it");
    else if (users_find(r->users, r->text, line, name))
        mistake(r, r->line, "a user who is there already");
    else if (why)
        mistake(r, r->line, why);
    else if (r->users->count == USERS_MAX)
        mistake(r, r->line, "too many users, at most 256");
    else
        r->users->entry[r->users->count++] = (struct users_entry){at, name, at + name + 1, hash};
}

static int is_blank(const char *p, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (p[i] != ' ' && p[i] != '\t')
            return 0;
    return 1;
}

unsigned users_parse(struct users *users, const char *text, size_t length,
                     struct users_mistake *mistakes, unsigned max)
{
    struct reader r = {users, text, mistakes, 0, max, 0};
    users->count = 0;
    if (length > USERS_BYTES) {
        mistake(&r, 0, "too long, at most 65536 bytes");
        return r.count;
    }
    for (size_t at = 0; at < length;) {
        const char *lf = memchr(text + at, '\n', length - at);
        size_t line = lf ? (size_t)(lf - text) - at : length - at, next = at + line + 1;
        r.line++;
        if (lf && line && text[at + line - 1] == '\r')
            line--;
        if (!is_blank(text + at, line) && text[at] != '#')
            entry(&r, at, line);
        at = next;
    }
    return r.count;
}
