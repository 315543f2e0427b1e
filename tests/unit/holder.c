/* Who has a device file open is found through /proc. */
#include "capture/holder.h"
#include "tests/tap.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    static const char device[] = "/dev/full"; /* next to nobody has it open */
    char before[512], with[512], wanted[64], small[8];
    int p[2], fd = open(device, O_RDWR);
    if (fd < 0 || pipe(p))
        return 1;
    unsigned others = holder_find(device, before, sizeof before);
    close(fd);
    pid_t child = fork();
    if (child == 0) {
        if (open(device, O_RDWR) < 0 || write(p[1], "", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    ok(read(p[0], with, 1) == 1, "another process opens it");
    unsigned found = holder_find(device, with, sizeof with);
    snprintf(wanted, sizeof wanted, "(pid %ld)", (long)child);
    ok(!strstr(before, wanted) && found == (others < HOLDERS_MAX ? others + 1 : HOLDERS_MAX),
       "one more has it");
    ok(others >= HOLDERS_MAX || strstr(with, wanted), "named: %s", with);
    holder_find(device, small, sizeof small);
    ok(strnlen(small, sizeof small) < sizeof small, "cut to the room there is");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ok(holder_find(device, with, sizeof with) == others, "gone again");
    ok(holder_find("/nowhere", with, sizeof with) == 0 && !*with, "no such file");
    ok(holder_find("/tmp", with, sizeof with) == 0 && !*with, "no device");
    return done();
}
