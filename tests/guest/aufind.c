/* aufind: where the access units of one H.264 file are in another: what a camera delivered of what
 * it was given to play. Prints "found F lost L strange S": captured access units that are the
 * source's, in its order, over and over if need be; the source's that were passed over; captured
 * ones that are none of the source's. */
#include "tests/guest/units.h"

#include <string.h>

static int same(const struct units *a, size_t i, const struct units *b, size_t k)
{
    size_t la, lb;
    const uint8_t *pa = units_get(a, i, &la), *pb = units_get(b, k, &lb);
    return la == lb && memcmp(pa, pb, la) == 0;
}

int main(int argc, char **argv)
{
    struct units source, captured;
    if (argc != 3) {
        fputs("usage: aufind source.h264 captured.h264\n", stderr);
        return 100;
    }
    units_load(&source, argv[1]);
    units_load(&captured, argv[2]);
    size_t next = 0, found = 0, lost = 0, strange = 0;
    for (size_t i = 0; i < captured.count; i++) {
        size_t step = 0;
        while (step < source.count && !same(&source, (next + step) % source.count, &captured, i))
            step++;
        if (step == source.count) {
            strange++;
            continue;
        }
        found++;
        lost += step;
        next = (next + step + 1) % source.count;
    }
    printf("found %zu lost %zu strange %zu\n", found, lost, strange);
    units_free(&source);
    units_free(&captured);
    return 0;
}
