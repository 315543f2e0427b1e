#include "serve/ready.h"

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "capture/number.h"

enum { FD_MIN = 3, FD_MAX = 1023 };

int ready_parse(const char *text, int *fd)
{
    uint64_t n;
    if (number_parse(text, FD_MIN, FD_MAX, &n) < 0 || fcntl((int)n, F_GETFD) < 0)
        return -1;
    *fd = (int)n;
    return 0;
}

int ready_say(int fd)
{
    if (fd < 0)
        return 0;
    if (write(fd, "\n", 1) != 1)
        return -1;
    return close(fd);
}
