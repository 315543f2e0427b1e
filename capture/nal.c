#include "capture/nal.h"

#include <string.h>

/* memchr is the fastest scanner there is: the C library's is written for the machine it runs on,
 * and one byte in 256 of entropy-coded video is a 01. */
size_t nal_start_code(const uint8_t *p, size_t len)
{
    size_t from = 2;
    while (from < len) {
        const uint8_t *one = memchr(p + from, 1, len - from);
        if (!one)
            return len;
        size_t at = (size_t)(one - p);
        if (one[-1] == 0 && one[-2] == 0)
            return at - 2;
        from = at + 1;
    }
    return len;
}
