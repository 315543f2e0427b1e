#include "scripts/show.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/exit.h"

static void show_address(const char *host, unsigned port)
{
    int v6 = strchr(host, ':') != NULL;
    printf("fmp4streamer: http://%s%s%s:%u/\n", v6 ? "[" : "", host, v6 ? "]" : "", port);
}

void show_addresses(const struct config *config)
{
    struct ifaddrs *all = NULL;
    char host[INET6_ADDRSTRLEN];
    show_address(*config->listen ? config->listen : "localhost", config->port);
    if (!*config->listen && getifaddrs(&all) == 0)
        for (const struct ifaddrs *i = all; i; i = i->ifa_next)
            if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET &&
                !(i->ifa_flags & IFF_LOOPBACK) &&
                getnameinfo(i->ifa_addr, sizeof(struct sockaddr_in), host, sizeof host, NULL, 0,
                            NI_NUMERICHOST) == 0)
                show_address(host, config->port);
    freeifaddrs(all);
    fflush(stdout);
}

int show_controls(const struct config *config)
{
    int worst = EXIT_CLEAN;
    for (size_t i = 0; i < config->count; i++) {
        const struct config_camera *camera = &config->camera[i];
        int status;
        if (camera->has_command)
            continue;
        printf("[%s]\n", camera->device);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            execlp("v4l2cap", "v4l2cap", "-l", "-d", camera->device, (char *)NULL);
            fprintf(stderr, "fmp4streamer: v4l2cap: %s\n", strerror(errno));
            _exit(EXIT_USAGE);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
            return EXIT_AGAIN;
        if (WEXITSTATUS(status) > worst)
            worst = WEXITSTATUS(status);
    }
    return worst;
}
