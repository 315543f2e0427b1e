#include "mux/reorder.h"

static int is_in_order(const int64_t *order, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (order[i] < order[i - 1])
            return 0;
    return 1;
}

/* Into `shown`, the samples by output order. They are nearly sorted: a picture moves past the few
 * that were decoded before it and are shown after. */
static void sort(const int64_t *order, uint32_t *shown, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = i;
        for (; k > 0 && order[shown[k - 1]] > order[i]; k--)
            shown[k] = shown[k - 1];
        shown[k] = i;
    }
}

void reorder_samples(struct frag_sample *samples, const int64_t *order, uint32_t *shown, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        samples[i].shown = 0;
    if (is_in_order(order, n))
        return;
    sort(order, shown, n);
    /* Sample shown[i] is shown when sample i is decoded: the difference of their decode times. */
    int64_t time = 0;
    for (uint32_t i = 0; i < n; i++) {
        samples[shown[i]].shown = (int32_t)((uint32_t)samples[shown[i]].shown + (uint32_t)time);
        samples[i].shown = (int32_t)((uint32_t)samples[i].shown - (uint32_t)time);
        time += samples[i].duration;
    }
}
