/* The part of a store (store.h) that removes what need not be kept, and its page of the days. */
#ifndef HLS_STOREKEEP_H
#define HLS_STOREKEEP_H

#include "hls/store.h"

/* Removes what is too old. */
void store_keep(struct store *s, const struct store_time *now);

/* Where only so many bytes are kept: removes the oldest until n more would fit. */
void store_make_room(struct store *s, size_t n);

/* After a call that failed so: whether something was removed that may help, and the call is worth
 * another try. */
int store_free(struct store *s, int error);

/* Writes the page, where it is out of date. */
void store_page(struct store *s);

#endif
