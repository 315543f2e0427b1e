/* The least a muxer can do: the yardstick for h264fmp4. Annex-B with 4-byte delimiters in, one
 * moof+mdat per access unit out. It looks for start codes, writes lengths over them, and makes one
 * writev per access unit. It checks nothing (an access unit of more than ROOM / 2 overruns it). */
#include "tests/bench/bench.h"
#include <sys/uio.h>

enum { ROOM = 1 << 20, CHUNK = 64 << 10, NALS_MAX = 64, FRAGMENT_HEAD = 108 };

static const uint8_t head_template[FRAGMENT_HEAD] =
    "\0\0\0\x64moof\0\0\0\x10mfhd\0\0\0\0\0\0\0\0\0\0\0\x4ctraf\0\0\0\x10tfhd\0\2\0\0\0\0\0\1"
    "\0\0\0\x14tfdt\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20trun\0\0\7\1\0\0\0\1\0\0\0\x6c\0\0\x0b\xb8"
    "\0\0\0\0\2\0\0\0\0\0\0\0mdat";

static uint8_t room[ROOM], head[FRAGMENT_HEAD], lengths[NALS_MAX][4];
static struct iovec out[2 * NALS_MAX + 1];
static int parts;
static uint32_t sequence;

/* The unit's last NAL unit ends here. A 3-byte start code has no space for a length: it gets two
 * parts of its own. */
static void nal(uint8_t *start, uint8_t *end, int four)
{
    uint8_t *length = four ? start - 4 : lengths[parts / 2];
    put32(length, (uint32_t)(end - start));
    if (!four)
        out[++parts] = (struct iovec){length, 4};
    out[++parts] = (struct iovec){four ? length : start, (size_t)(end - start) + (four ? 4u : 0)};
}

static void unit(void)
{
    size_t size = 0;
    for (int i = 1; i <= parts; i++)
        size += out[i].iov_len;
    put32(head + 20, ++sequence);
    put32(head + 64, sequence * 3000);
    put32(head + 92, (uint32_t)size);
    put32(head + 100, (uint32_t)size + 8);
    out[0] = (struct iovec){head, FRAGMENT_HEAD};
    if (parts && writev(1, out, parts + 1) < 0)
        _exit(1);
    parts = 0;
}

int main(void)
{
    uint8_t *from = room, *scan = room + 3, *end = room, *start = NULL, *one;
    int four = 0;
    ssize_t got;
    memcpy(head, head_template, sizeof head);
    while ((got = read(0, end, CHUNK)) > 0) {
        for (end += got; scan < end - 1 && (one = memchr(scan, 1, (size_t)(end - 1 - scan)));) {
            scan = one + 1;
            if (one[-1] || one[-2])
                continue;
            if (start)
                nal(start, one - 2 - !one[-3], four);
            start = one + 1;
            four = !one[-3];
            if ((*start & 31) == 9) {
                unit();
                start = NULL;
                from = one - 3;
            }
        }
        scan = scan > end - 1 ? scan : end - 1;
        if (end > room + ROOM / 2 && !parts) {
            memmove(room, from, (size_t)(end - from));
            scan -= from - room;
            end -= from - room;
            start = start ? start - (from - room) : NULL;
            from = room;
        }
    }
    if (start)
        nal(start, end, four);
    unit();
    return 0;
}
