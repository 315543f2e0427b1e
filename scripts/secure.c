#include "scripts/secure.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scripts/places.h"
#include "scripts/tlsconf.h"
#include "serve/children.h"

#define IPV6_THERE "/proc/net/if_inet6"

struct certificate_paths {
    char script[PATH_MAX], pair[PATH_MAX], state[PATH_MAX];
};

static void find_paths(const struct tree *tree, struct certificate_paths *p)
{
    snprintf(p->script, sizeof p->script, "%s/certificate", tree->data);
    snprintf(p->pair, sizeof p->pair, "%s/tls/pair.pem", tree->dir);
}

static ino_t file_number(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* Files are replaced whole, so another one is another number. */
static int install_pair(const struct config *c, const struct tree *tree,
                        struct certificate_paths *p)
{
    const char *group = tree->roles->known ? roles_name(ROLE_TLS) : "";
    const char *const given[] = {p->script, "install", c->keyfile.path, c->certfile.path, p->pair,
                                 group,     NULL};
    const char *const own[] = {p->script, "own", p->state, p->pair, group, NULL};
    ino_t before = file_number(p->pair);
    if (!*c->certfile.path && places_state(p->state) < 0) {
        fprintf(stderr, "fmp4streamer: a place for a certificate: HOME is not set\n");
        return 0;
    }
    if (children_run(*c->certfile.path ? given : own) < 0)
        fprintf(stderr, "fmp4streamer: %s: %s\n", p->script, strerror(errno));
    return file_number(p->pair) != before;
}

int secure_install(const struct config *config, struct tree *tree)
{
    char text[TLSCONF_BYTES];
    struct certificate_paths p;
    if (!config->https_port)
        return 0;
    find_paths(tree, &p);
    size_t n = tlsconf_write(config, p.pair, access(IPV6_THERE, F_OK) == 0, text);
    int other = n ? tree_tls(tree, text, n) : -1;
    if (other < 0)
        fprintf(stderr, "fmp4streamer: %s: %s\n", tree->path, n ? strerror(errno) : "too long");
    return install_pair(config, tree, &p) || other > 0;
}

int secure_check(const struct config *config, const struct tree *tree)
{
    struct certificate_paths p;
    find_paths(tree, &p);
    const char *const argv[] = {p.script, "check", config->keyfile.path, config->certfile.path,
                                NULL};
    return !*config->certfile.path || children_run(argv) == 0 ? 0 : -1;
}
