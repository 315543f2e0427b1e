/* Any bytes may be a users file. Every line is a user, a mistake or none; a user is found by his
 * name, which nobody else has. */
#include "serve/users.h"
#include "serve/basic.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MISTAKES = 4 };

static unsigned lines_of(const uint8_t *data, size_t size)
{
    unsigned lines = size > 0;
    for (size_t i = 0; i + 1 < size; i++)
        lines += data[i] == '\n';
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct users users;
    struct users_mistake mistake[MISTAKES];
    char *copy = malloc(size);
    if (size)
        memcpy(copy, data, size);
    unsigned count = users_parse(&users, copy, size, mistake, MISTAKES),
             lines = lines_of(data, size);
    assert(count + users.count <= lines && users.count <= USERS_MAX);
    for (unsigned i = 0; i < count && i < MISTAKES; i++) {
        assert(mistake[i].why[0] && mistake[i].line <= lines);
        assert((mistake[i].line == 0) == (size > USERS_BYTES));
        assert(i == 0 || mistake[i].line > mistake[i - 1].line);
    }
    for (unsigned i = 0; i < users.count; i++) {
        const struct users_entry *e = &users.entry[i];
        assert(e->name + e->name_length + 1 == e->hash && e->hash + e->hash_length <= size);
        assert(copy[e->name + e->name_length] == ':' && e->hash_length <= USERS_HASH_MAX);
        assert(basic_user_ok(copy + e->name, e->name_length));
        assert(users_find(&users, copy, copy + e->name, e->name_length) == e);
    }
    free(copy);
    return 0;
}
