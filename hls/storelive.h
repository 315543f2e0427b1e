/* The part of a store (store.h) that is live.m3u8 and the master playlist over it. */
#ifndef HLS_STORELIVE_H
#define HLS_STORELIVE_H

#include "hls/store.h"

/* Once the target duration is known: begins the window of what is listed live. */
void store_begin_window(struct store *s);

/* Takes in a segment that is on the disk, to be listed when that is due. */
void store_window_add(struct store *s, const struct segment *done, const struct store_time *now);

/* Lists what is due, writes what is out of date, removes what nobody may ask for any more.
 * at_once: lists whatever waits. */
void store_publish(struct store *s, const struct store_time *now, int at_once);

/* An init segment that is on the disk has this codec. */
void store_note_codec(struct store *s, const char *name, uint32_t epoch);

/* So many pictures took so long. */
void store_note_rate(struct store *s, uint32_t samples, uint64_t duration_us);

#endif
