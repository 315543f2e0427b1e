#include "serve/descriptors.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "serve/limits.h"

enum { SPARE_FILES = 64 }; /* descriptors that are not connections */

unsigned descriptors_allow(void)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return LIMIT_CONNECTIONS / 8;
    rlim_t want = LIMIT_CONNECTIONS + SPARE_FILES;
    lim.rlim_cur = lim.rlim_max < want ? lim.rlim_max : want;
    setrlimit(RLIMIT_NOFILE, &lim);
    if (lim.rlim_cur >= want)
        return LIMIT_CONNECTIONS;
    return lim.rlim_cur > 2 * SPARE_FILES ? (unsigned)lim.rlim_cur - SPARE_FILES : SPARE_FILES;
}

void descriptors_keep(void)
{
    if (syscall(SYS_close_range, 3, UINT_MAX, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < (int)sysconf(_SC_OPEN_MAX); fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0)
            fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
    }
}
