#include "scripts/show.h"

#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture/exit.h"
#include "serve/children.h"

enum { SAID_BYTES = 1000, SAID_LINES = 3 };

static void show_address(const struct config *config, const char *host)
{
    int v6 = strchr(host, ':') != NULL;
    printf("fmp4streamer: http://%s%s%s:%u/\n", v6 ? "[" : "", host, v6 ? "]" : "", config->port);
    if (config->https_port)
        printf("fmp4streamer: https://%s%s%s:%u/\n", v6 ? "[" : "", host, v6 ? "]" : "",
               config->https_port);
}

void show_addresses(const struct config *config)
{
    struct ifaddrs *all = NULL;
    char host[INET6_ADDRSTRLEN];
    show_address(config, *config->listen ? config->listen : "localhost");
    if (!*config->listen && getifaddrs(&all) == 0)
        for (const struct ifaddrs *i = all; i; i = i->ifa_next)
            if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET &&
                !(i->ifa_flags & IFF_LOOPBACK) &&
                getnameinfo(i->ifa_addr, sizeof(struct sockaddr_in), host, sizeof host, NULL, 0,
                            NI_NUMERICHOST) == 0)
                show_address(config, host);
    freeifaddrs(all);
    fflush(stdout);
}

static int run(const char *const *argv)
{
    fflush(stdout);
    int status = children_run(argv);
    if (status < 0)
        fprintf(stderr, "fmp4streamer: %s: %s\n", argv[0], strerror(errno));
    return status;
}

int show_controls(const struct config *config)
{
    int worst = EXIT_CLEAN;
    for (size_t i = 0; i < config->count; i++) {
        const struct config_camera *camera = &config->camera[i];
        int status;
        if (camera->has_command) {
            printf("[%s]\n; the command's affair\n", camera->device);
            continue;
        }
        const char *const argv[] = {"v4l2cap", "-l", "-d", camera->device, NULL};
        printf("[%s]\n", camera->device);
        status = run(argv);
        if (status < 0)
            return EXIT_AGAIN;
        if (status > worst)
            worst = status;
    }
    return worst;
}

/* What one service of the tree does, as its supervisor knows it. */
static void show_service(const char *dir, const char *name)
{
    char path[PATH_MAX];
    const char *const argv[] = {"s6-svstat", path, NULL};
    snprintf(path, sizeof path, "%s/service/%s", dir, name);
    if (access(path, F_OK) < 0) /* in the file, and not applied yet */
        return;
    printf("%-16s", name);
    run(argv);
}

/* The last lines that a service, or its log, has said. */
static void show_said(const char *dir, const char *name)
{
    char path[PATH_MAX], text[SAID_BYTES + 1];
    snprintf(path, sizeof path, "%s/log/%s", dir, name);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    if (fseek(f, -SAID_BYTES, SEEK_END) < 0)
        rewind(f);
    size_t n = fread(text, 1, SAID_BYTES, f);
    fclose(f);
    text[n] = 0;
    char *from = text + n;
    for (int lines = 0; from > text && lines <= SAID_LINES; from -= lines <= SAID_LINES)
        lines += from[-1] == '\n';
    fputs(from, stdout);
}

int show_status(const char *dir, const struct plan *plan)
{
    for (size_t i = plan->count; i-- > 0;)
        show_service(dir, plan->service[i].name);
    for (size_t i = plan->count; i-- > 0;)
        if (!strchr(plan->service[i].name, '/'))
            show_said(dir, plan->service[i].name);
    return fflush(stdout) ? EXIT_AGAIN : EXIT_CLEAN;
}
