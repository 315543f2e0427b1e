/* From output order to composition offsets: pictures are stored as they are decoded and shown by
 * their picture order count (14496-12 8.6.1.3, 8.8.8). */
#ifndef MUX_REORDER_H
#define MUX_REORDER_H

#include <stdint.h>

#include "mux/frag.h"

/* Gives each of n samples its offset from decoding to showing, from `order` (poc_order()) and the
 * samples' durations. The times at which something is shown are those at which something is
 * decoded; only who is shown when changes. shown[n] is scratch. Samples of equal order keep theirs.
 */
void reorder_samples(struct frag_sample *samples, const int64_t *order, uint32_t *shown,
                     uint32_t n);

#endif
