/* A fragment's head on a timeline of its own (14496-12 8.8): sequence number, decode time,
 * durations, composition offsets, and every sample a sync sample.
 *
 * Firefox holds a picture back until it has seen the next sync sample, so all are called that.
 * Where pictures are shown in another order than they are decoded, the offsets shrink as the
 * durations do; and they are counted from the keyframe's own, so that none of its group is shown
 * before it, whatever came before ended with. */
#ifndef SERVE_BEND_H
#define SERVE_BEND_H

#include <stdint.h>

#include "serve/elastic.h"

/* Rewrites head, the first payload_at bytes of step->frag, of which those in front of the moof are
 * not looked at. *shift: ticks, 0 in front of a viewer's first fragment, and kept from one to the
 * next. */
void bend_head(uint8_t *head, const struct elastic_step *step, int32_t *shift);

#endif
