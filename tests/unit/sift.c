/* Which buffers are trusted, and how often a thing is said. */
#include "capture/sift.h"
#include "capture/tally.h"
#include "tests/tap.h"

static struct sift state;

static void is(uint32_t sequence, enum sift_result wanted, uint32_t wanted_lost, const char *what)
{
    struct device_frame frame = {.sequence = sequence, .len = 100, .room = 1000};
    uint32_t lost = 99;
    enum sift_result r = sift(&state, &frame, &lost);
    ok(r == wanted && lost == wanted_lost, "%u: %s", sequence, what);
}

static void sequences(void)
{
    is(7, SIFT_GOOD, 0, "the first, whatever its number");
    is(8, SIFT_GOOD, 0, "the next");
    is(8, SIFT_GOOD, 0, "a driver that does not count");
    is(9, SIFT_GOOD, 0, "the next");
    is(11, SIFT_GOOD, 1, "one is missing");
    is(10, SIFT_LATE, 0, "here it is, too late");
    is(12, SIFT_GOOD, 0, "on");
    is(20, SIFT_GOOD, 7, "seven");
    is(0, SIFT_LATE, 0, "back to 0");
    is(1, SIFT_GOOD, 1, "and on from there: it counts anew");
    is(2, SIFT_GOOD, 0, "on");
    is(5000, SIFT_GOOD, 4997, "many");
    is(3, SIFT_GOOD, 1, "far back: it counts anew");
    state = (struct sift){.counting = 1, .last = UINT32_MAX};
    is(0, SIFT_GOOD, 0, "a number that wraps");
    is(UINT32_MAX, SIFT_LATE, 0, "late, around the wrap");
    state = (struct sift){.counting = 1, .last = UINT32_MAX - 1};
    is(1, SIFT_GOOD, 2, "missing, around the wrap");
}

static void contents(void)
{
    struct device_frame f = {.len = 1000, .room = 1000};
    uint32_t lost;
    state = (struct sift){0};
    ok(sift(&state, &f, &lost) == SIFT_FULL, "full");
    f.len = 0;
    f.sequence++;
    ok(sift(&state, &f, &lost) == SIFT_EMPTY, "empty");
    f.error = 1;
    f.sequence += 2;
    ok(sift(&state, &f, &lost) == SIFT_ERROR && lost == 1, "flagged, behind a gap");
    f = (struct device_frame){.len = 999, .room = 1000, .sequence = f.sequence + 1};
    ok(sift(&state, &f, &lost) == SIFT_GOOD && !lost, "nearly full is good");
}

static void tallies(void)
{
    struct tally t = {0};
    ok(tally_add(&t, 0, 5) == 0, "nothing to say");
    ok(tally_add(&t, 1, 5) == 1, "the first at once");
    ok(tally_add(&t, 1, 6) == 0 && tally_add(&t, 2, TALLY_US + 4) == 0, "then not");
    ok(tally_add(&t, 0, TALLY_US + 5) == 3, "then all of them");
    ok(tally_add(&t, 0, 9 * (uint64_t)TALLY_US) == 0, "and no more");
    ok(tally_add(&t, 4, 9 * (uint64_t)TALLY_US) == 4, "after a long while at once");
}

int main(void)
{
    sequences();
    contents();
    tallies();
    return done();
}
