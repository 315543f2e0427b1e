#include "capture/sift.h"

/* A number that jumps back by more than there are buffers was no overtaking, nor is one after
 * another: the driver began to count anew. */
static int is_late(const struct sift *s, uint32_t ahead)
{
    return ahead > UINT32_MAX - DEVICE_BUFFERS_MAX && !s->was_late;
}

enum sift_result sift(struct sift *s, const struct device_frame *frame, uint32_t *lost)
{
    uint32_t ahead = s->counting ? frame->sequence - s->last : 1;

    *lost = 0;
    s->was_late = is_late(s, ahead);
    if (s->was_late)
        return SIFT_LATE;
    s->counting = 1;
    s->last = frame->sequence;
    if (ahead > 1)
        *lost = ahead > UINT32_MAX / 2 ? 1 : ahead - 1;
    if (frame->error)
        return SIFT_ERROR;
    if (frame->len == 0)
        return SIFT_EMPTY;
    return frame->len >= frame->room ? SIFT_FULL : SIFT_GOOD;
}
