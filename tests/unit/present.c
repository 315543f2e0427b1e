/* Pictures that go out as they come: in which order they are shown, and when. The pictures are
 * given by their order counts; the judge sorts them. */
#include <stdlib.h>
#include <string.h>

#include "capture/poc.h"
#include "mux/present.h"
#include "tests/tap.h"

enum { FRAME = 3000, PICTURES = 2000, IDR = 1 << 20 };

struct run {
    int64_t order[PICTURES], shown[PICTURES];
    int n, places[PICTURES];
};

static struct run run;

/* Count + IDR: the picture begins a sequence. Each is decoded FRAME after the one before. */
static void show_all(const int *counts, int n, int reorder_frames)
{
    static struct present p;
    int64_t sequence = 0;
    memset(&p, 0, sizeof p);
    run.n = n;
    for (int i = 0; i < n; i++) {
        int count = counts[i];
        if (count >= IDR / 2) {
            sequence++;
            count -= IDR;
        }
        run.order[i] = (sequence << POC_COUNT_BITS) + ((int64_t)1 << (POC_COUNT_BITS - 1)) + count;
        run.places[i] = present_next(&p, reorder_frames, run.order[i], PRESENT_NO_STAMP);
        run.shown[i] = present_place(&p, (int64_t)(i + run.places[i]) * FRAME);
    }
}

/* Pairs of pictures from `from` on that are not shown in their order. */
static int disorder(int from)
{
    int wrong = 0;
    for (int i = from; i < run.n; i++)
        for (int k = i + 1; k < run.n && k < i + PRESENT_RECENT; k++)
            wrong += (run.order[i] < run.order[k]) != (run.shown[i] < run.shown[k]);
    return wrong;
}

/* Pictures from `from` on that are not shown FRAME after the one before in order. */
static int uneven(int from)
{
    int wrong = 0;
    for (int i = from; i < run.n; i++) {
        int64_t before = INT64_MIN, at = 0;
        for (int k = 0; k < run.n; k++) {
            if (run.order[k] < run.order[i] && run.order[k] > before) {
                before = run.order[k];
                at = run.shown[k];
            }
        }
        wrong += before != INT64_MIN && run.shown[i] != at + FRAME;
    }
    return wrong;
}

static void check(const char *what, const int *counts, int n, int reorder_frames, int even_from)
{
    show_all(counts, n, reorder_frames);
    int wrong = disorder(0), jumps = uneven(even_from);
    ok(!wrong && !jumps, "%s: %d pairs out of order, %d of %d pictures at another time", what,
       wrong, jumps, n - even_from);
}

/* Repeats a group of pictures; step: of the counts, which stand there as 2. */
static int repeat(int *out, const int *group, int n, int times, int step, int carry)
{
    int at = 0;
    for (int t = 0; t < times; t++)
        for (int i = 0; i < n; i++) {
            int idr = group[i] >= IDR / 2, count = group[i] - (idr ? IDR : 0);
            out[at++] = (count + carry * t) * step / 2 + (idr ? IDR : 0);
        }
    return at;
}

static void streams(void)
{
    static int c[PICTURES];
    static const int ibp[] = {IDR, 4, 2, 8, 6}, ibbp[] = {IDR, 6, 2, 4, 12, 8, 10},
                     pyramid[] = {IDR, 8, 4, 2, 6, 16, 12, 10, 14},
                     deep[] = {IDR, 16, 8, 4, 12, 2, 6, 10, 14},
                     open_group[] = {16, 12, 10, 14, 24, 20, 18, 22},
                     leading[] = {IDR, -8, -12, -4, -14, -10, -6, -2, 16, 8, 4, 12, 2, 6, 10, 14};
    check("I B P", c, repeat(c, ibp, 5, 40, 2, 0), 1, 0);
    check("I B B P", c, repeat(c, ibbp, 7, 40, 2, 0), 1, 0);
    check("I B B P, not announced", c, repeat(c, ibbp, 7, 40, 2, 0), -1, 7);
    check("I B B P, counted by ones", c, repeat(c, ibbp, 7, 40, 1, 0), 1, 7);
    check("I B B P, counted by fours", c, repeat(c, ibbp, 7, 40, 4, 0), 1, 14);
    check("a pyramid", c, repeat(c, pyramid, 9, 40, 2, 0), 2, 0);
    check("a pyramid of four", c, repeat(c, deep, 9, 40, 2, 0), 3, 0);
    check("a pyramid of four, not announced", c, repeat(c, deep, 9, 40, 2, 0), -1, 10);
    c[0] = IDR;
    int n = 1 + repeat(c + 1, open_group, 8, 40, 2, 16);
    for (int i = 1; i < n; i++)
        c[i] -= 8;
    check("open groups", c, n, 2, 0);
    c[0] = IDR;
    n = 1 + repeat(c + 1, leading, 16, 40, 2, 0);
    check("pictures shown before their IDR picture", c, n, 4, 33);
    check("the same, not announced", c, n, -1, 33);
}

/* Nothing is reordered: every picture is shown where it is decoded. */
static void in_order(void)
{
    static int c[PICTURES];
    for (int step = 1; step <= 8; step++) {
        for (int i = 0; i < 300; i++)
            c[i] = i % 30 ? i % 30 * step : IDR;
        show_all(c, 300, -1);
        int moved = 0;
        for (int i = 0; i < 300; i++)
            moved += run.places[i] != 0;
        ok(!moved, "no B frames, counts %d apart: no picture is moved", step);
    }
    for (int i = 0; i < 300; i++)
        c[i] = i % 30 * 2 + (i == 0 ? IDR : 0);
    show_all(c, 300, -1);
    int back = 0;
    for (int i = 1; i < 300; i++)
        back += run.shown[i] <= run.shown[i - 1];
    ok(back <= 4, "counts that begin anew without an IDR picture: %d of 300 shown earlier", back);
    for (int i = 0; i < 300; i++)
        c[i] = i == 0 ? IDR : 4 * i;
    show_all(c, 300, 2);
    int64_t late = 0;
    for (int i = 0; i < 300; i++)
        late = run.shown[i] - (int64_t)i * FRAME > late ? run.shown[i] - (int64_t)i * FRAME : late;
    ok(!disorder(0) && late <= 3 * FRAME,
       "reordering announced and none there: at most %d frames late", (int)(late / FRAME));
}

/* Pictures are lost on the way, any of them. */
static void losses(void)
{
    static const int pyramid[] = {IDR, 8, 4, 2, 6, 16, 12, 10, 14};
    static int whole[PICTURES], c[PICTURES];
    int n = repeat(whole, pyramid, 9, 200, 2, 0), wrong = 0, far = 0;
    srand(7);
    for (int round = 0; round < 50; round++) {
        int left = 0;
        for (int i = 0; i < n; i++)
            if (i % 9 == 0 || rand() % 10) /* a lost IDR picture leaves no order */
                c[left++] = whole[i];
        show_all(c, left, 2);
        wrong += disorder(0);
        for (int i = 0; i < left; i++)
            far += llabs(run.shown[i] - (int64_t)i * FRAME) > 16 * FRAME;
    }
    ok(!wrong && !far,
       "a tenth is lost: %d pairs out of order, %d pictures more than 16 frames off", wrong, far);
}

/* Whatever the counts are: times are near where the picture is decoded, and order is kept. */
static void nonsense(void)
{
    static int c[PICTURES];
    int wrong = 0, far = 0;
    srand(3);
    for (int round = 0; round < 100; round++) {
        int range = 1 << rand() % 18;
        for (int i = 0; i < 500; i++)
            c[i] = rand() % 50 ? rand() % (2 * range) - range : IDR;
        show_all(c, 500, rand() % 18 - 1);
        for (int i = 0; i < 500; i++) {
            far += llabs(run.shown[i] - (int64_t)i * FRAME) > 100 * FRAME;
            wrong += abs(run.places[i]) > DPB_FRAMES_MAX;
        }
    }
    ok(!wrong && !far, "any counts: %d places too far, %d times too far", wrong, far);
}

/* The stamp is the time at which a picture is shown. */
static void stamps(void)
{
    static const int counts[] = {0, 6, 2, 4, 12, 8, 10};
    static struct present p;
    int wrong = 0;
    memset(&p, 0, sizeof p);
    for (int i = 0; i < 7; i++) {
        present_next(&p, 1, counts[i], 1000000 + counts[i] * 20000);
        present_place(&p, 0);
        wrong += present_interval(&p) != (i ? 40000 : 0);
    }
    ok(!wrong, "the interval by the stamps of neighbours in order");
    present_next(&p, 1, 14, PRESENT_NO_STAMP);
    ok(present_interval(&p) == 0, "none without a stamp");
    present_place(&p, 0);
    present_next(&p, 1, 16, 5);
    ok(present_interval(&p) == 0, "none by a stamp that contradicts the order");
}

int main(void)
{
    streams();
    in_order();
    losses();
    nonsense();
    stamps();
    return done();
}
