/* One user a kind of service, where root starts the appliance and these users exist (service/users
 * makes them). Where they do not, all runs as who started it. */
#ifndef SCRIPTS_ROLES_H
#define SCRIPTS_ROLES_H

#include <sys/types.h>

#include "scripts/plan.h"

#define ROLES_GROUP "fmp4streamer" /* of who reads and writes rings */

enum { ROLES_GROUPS = 16, ROLES_LINE = 256 };

struct roles {
    int known; /* all of them exist, and this is root */
    gid_t group;
    struct {
        uid_t uid;
        gid_t gid;
        int count;
        gid_t groups[ROLES_GROUPS];
    } of[ROLES];
};

/* The user's name. */
const char *roles_name(enum role role);

/* Looks them up, unless $FMP4STREAMER_ONE_USER says not to. Returns 0, or -1 where this is root and
 * a user does not exist: *missing is its name. */
int roles_find(struct roles *roles, const char **missing);

/* What stage reads to become that user: its number, its group's, 1 where it may bind ports below
 * 1024 or 0, and all its groups, in one line. Returns its length, or 0 where nobody is to become
 * anybody. */
int roles_line(const struct roles *roles, enum role role, int binds, char line[ROLES_LINE]);

/* Makes the directory of the rings for the group, and gives what is in it from a time before these
 * users existed to who writes it now. What others have put there goes: they would read what is
 * written to it. Returns 0, or -1 with errno. */
int roles_own_rings(const struct roles *roles, const char *dir);

#endif
