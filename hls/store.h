/* A directory of HLS: fragments in, segments, playlists and a page out, and what is too old
 * removed.
 *
 * With a number of segments to keep it is a live directory: live.m3u8 and what it lists. Otherwise
 * it is a recording: besides that, a playlist for each day (days.h) and a page of them.
 *
 * The open segment is written to a temporary file fragment by fragment, made durable, renamed, and
 * then listed. So whoever dies loses what was not written yet: the next one takes in what it finds,
 * whole or cut off. Every segment file begins with a styp box (14496-12 8.16.2) whose minor version
 * is the epoch: it is what cannot be told from the fragments.
 *
 * When the disk is full, or fails, what cannot be written is thrown away, and each new segment is
 * another try. Time is the caller's: microseconds of a steady clock, and of UTC. */
#ifndef HLS_STORE_H
#define HLS_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "hls/days.h"
#include "hls/folder.h"
#include "hls/intake.h"
#include "hls/keep.h"
#include "hls/playlist.h"
#include "hls/window.h"

enum {
    STORE_WINDOW_MAX = 4 * KEEP_COUNT_MAX + 256, /* segments: listed, waiting, not yet removed */
    STORE_LIVE_MAX = PLAYLIST_HEAD_MAX + STORE_WINDOW_MAX * PLAYLIST_SEGMENT_MAX,
    STORE_CODECS_MAX = 8, /* different ones in a live playlist; beyond, the oldest is not named */
    STORE_RETRY_US = 1000000, /* what could not be written is tried again after this */
    STORE_PRUNE_MAX = 32,     /* batches in one go: removing files takes time */
    STORE_STYP = 20,          /* bytes in front of a segment's first fragment */
};

struct store_time {
    int64_t steady;
    uint64_t utc;
    int synchronised; /* the kernel says that its clock is */
};

struct store_options {
    const char *path;
    uint32_t target_ms;
    struct keep keep;
    void (*tell)(const char *what, const char *why); /* one line for people */
};

struct store_codec {
    char name[CODEC_MAX];
    uint32_t epoch; /* the newest that has it */
};

struct store {
    struct store_options opt;
    struct folder folder;
    struct days days;
    struct segmenter cutter;
    struct segment last; /* listed last, where `has_last` */
    int has_last;
    uint64_t number;       /* of the next fragment */
    struct store_time now; /* as the caller has said last */
    /* The init segment of the fragments that come. */
    uint8_t init[OTHER_BYTES_MAX];
    size_t init_size;
    struct init_info info;
    uint32_t epoch, oldest_epoch; /* its; the oldest on the disk */
    int init_written;
    /* The open segment. */
    int fd; /* -1: none */
    uint64_t sequence, size;
    uint32_t samples;
    /* live.m3u8 and the master playlist. */
    struct window window;
    struct segment room[STORE_WINDOW_MAX];
    int windowed, live_stale, page_stale, page_foreign;
    uint64_t live_first; /* the first sequence number in live.m3u8 as it is on the disk */
    size_t live_size;
    uint64_t peak;       /* bits a second, the most there were */
    uint32_t rate_milli; /* frames in 1000 s, likewise */
    struct store_codec codec[STORE_CODECS_MAX];
    size_t codecs;
    char master[PLAYLIST_MASTER_MAX];
    size_t master_size;
    char text[STORE_LIVE_MAX];
    /* Retired by an earlier run of a live directory: to be removed at `orphans_until`. */
    uint64_t orphans, orphans_end;
    int64_t orphans_until;
    /* What is kept. */
    struct keep_clock clock;
    uint64_t run_first;    /* sequence number this run began with */
    uint64_t synced_first; /* and that from which on the clock was synchronised */
    int opened;            /* store_open() is through */
    int told_unsynchronised, told_too_small;
    char refused[NAME_LENGTH + 1]; /* what it was that store_open() would not write over */
    /* The disk. */
    int stopped, error; /* nothing is written; why */
    int64_t tried;      /* when that was last tried */
};

/* Opens the directory and takes in what is there; `scratch` is only used meanwhile. s: all zero.
 * Returns 0, or an exit status (exit.h) with *what and *why for a line. */
int store_open(struct store *s, const struct store_options *opt, struct intake *scratch,
               const struct store_time *now, const char **what, const char **why);

/* What comes next belongs to this init segment. */
void store_init(struct store *s, const uint8_t *p, const struct unit *unit);

/* A fragment. It may take as long as the disk does. */
void store_fragment(struct store *s, const uint8_t *p, const struct unit *unit,
                    const struct store_time *now);

/* The source has fallen silent, or is at its end: what there is of the open segment is listed. */
void store_silent(struct store *s, const struct store_time *now);

/* Whatever is due; and when that is next, INT64_MAX when nothing is. */
void store_tick(struct store *s, const struct store_time *now);
int64_t store_due(const struct store *s, const struct store_time *now);

/* The end, behind store_silent(): everything is listed, however new the newest playlist is, for
 * there will be no other soon. Returns 0, or -1 when something could not be written. */
int store_close(struct store *s, const struct store_time *now);

/* Lists a segment that is whole on the disk: in its day's playlist, and for live.m3u8. */
int store_list(struct store *s, struct segment *done, const struct store_time *now);

/* Takes in segment n, which no playlist names: a file of that name, or temporary, and cut off then
 * behind its last whole fragment. Returns 1; 0 when there is nothing in it to be taken in; -1 with
 * errno. */
int store_salvage(struct store *s, struct intake *scratch, uint64_t n, int temporary,
                  const struct store_time *now);

/* Reads what the init segment of an epoch says; 0, or -1 when there is none. */
int store_read_init(struct store *s, uint32_t epoch, struct init_info *info);

/* store_open()'s larger part: takes in what another run has left. */
int store_recover(struct store *s, struct intake *scratch, const struct store_time *now,
                  const char **what, const char **why);

#endif
