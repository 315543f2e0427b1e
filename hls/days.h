/* The playlists of a recording's days, in a folder: every segment is in exactly one of them.
 *
 * A playlist is appended to, with one write for a segment, and written anew only when its day is
 * over and when it loses segments at its front. It lists consecutive sequence numbers whose dates
 * go up; whatever breaks that begins another one (names.h): a day, a clock that was set back, a
 * number left out. While it grows it is of type EVENT, then of type VOD; without a type once it has
 * been pruned (RFC 8216 4.3.3.5, 6.2.2).
 *
 * Nothing here grows with the recording but a line of a table for each playlist. Errors are -1 with
 * errno. */
#ifndef HLS_DAYS_H
#define HLS_DAYS_H

#include <stddef.h>
#include <stdint.h>

#include "hls/folder.h"
#include "hls/playlist.h"

enum {
    DAYS_MAX = 16384, /* playlists: 44 years of days; beyond, the newest one grows on */
    DAYS_TEXT = 16 << 10,
};

struct day {
    uint64_t first, end;  /* sequence numbers listed: first to end - 1 */
    uint64_t first_utc;   /* date of the first one, or 0 */
    uint64_t bytes;       /* of the playlist, but for EXT-X-ENDLIST */
    uint32_t first_epoch; /* of the first one */
    uint32_t day, part;   /* its name (names.h) */
    uint32_t target_duration;
    int ended, pruned;
    int back; /* its dates go back behind those of one before it: somebody set a clock */
};

/* A place in a playlist: all zero at its start. */
struct days_cursor {
    struct playlist_reader r;
    uint64_t at; /* bytes, of the next item */
};

struct days {
    struct folder *folder;
    uint32_t target_duration; /* for new ones */
    int changed;              /* the list of days is another one: the caller clears it */
    int damaged;              /* days_open() found what it could not read */
    void (*tell)(const char *name, const char *what); /* one line for people */
    struct segment last;                              /* the newest in any */
    uint64_t date_end; /* what the newest playlist's last date is counted on to, or 0 */
    size_t count;      /* of day[], in the order of sequence numbers */
    struct day day[DAYS_MAX];
    /* The segments that go next, at the front of day[0]. */
    struct days_cursor ahead; /* behind them */
    uint64_t ahead_segments;
    uint64_t ahead_utc; /* end of the last, counted on from the last date, or 0 */
    int ahead_all;      /* there are no more in that playlist */
    int owed;           /* they are gone, and still listed: days_prune() is to be called again */
    struct folder_file file;
    size_t text_day, text_len; /* what text[] is of */
    uint64_t text_at;
    char text[DAYS_TEXT];
};

/* d: all zero. */
void days_init(struct days *d, struct folder *f, void (*tell)(const char *name, const char *what));

enum days_found {
    DAYS_FOUND,   /* it is in day[] */
    DAYS_DAMAGED, /* it was ours, but cannot be read: moved aside, and said so */
    DAYS_FOREIGN, /* a playlist by somebody else */
};

/* Takes in a file of the folder, of a name of kind NAME_DAY. */
enum days_found days_find(struct days *d, const struct name *n);

/* When all are found: puts them in order, ends those that should be, and repairs what can be: a
 * line that was cut off goes, what is damaged is copied aside and goes on where it is sound, what
 * names segments at its front that are not there loses them. Each segment of the newest playlist is
 * handed to `each`. */
int days_open(struct days *d, void (*each)(void *arg, const struct segment *s), void *arg);

/* How to tell what is under a name of ours from the first bytes of a file that is no playlist of
 * ours as it should be: whether it was one once, or lists nothing and so is nobody's loss. */
int days_was_ours(const char *text, size_t len);

/* Moves it to NAME.damaged and says so. */
void days_move_aside(struct days *d, const char *name);

/* Lists a segment behind the newest. It must be whole in the folder. When that fails, nothing is
 * listed. */
int days_list(struct days *d, const struct segment *s);

/* The newest playlist gets no more segments: its day is over. */
int days_end_newest(struct days *d);

/* The next segments to go: those of sequence numbers below *end, which are older than *end_utc (0:
 * not known, or not to be believed). by_date: so many more that a date is known, where there is
 * one. Returns 0, or -1 when there are none. */
int days_oldest(struct days *d, int by_date, uint64_t *end, uint64_t *end_utc);

/* Takes these out of their playlist and removes them. files_first: in the wrong order, where the
 * disk is so full that the playlist could not be written otherwise. */
int days_prune(struct days *d, int files_first);

/* After a start: removes what a prune that was cut short has left. day[] is known. */
void days_finish_prune(struct days *d);
#define DAYS_GONE ".fmp4hls.gone" /* the file that says so; it is there for an instant */

/* Reads the next item of day[i]: its bytes, 0 at the end or where the rest is no whole item, or
 * PLAYLIST_BAD. */
int days_next(struct days *d, size_t i, struct days_cursor *c);

/* Writes day[i] anew without the segments in front of the cursor, which is behind its head at
 * least. Returns 1 when none are left: then nothing was written. */
int days_rewrite(struct days *d, size_t i, const struct days_cursor *from, int ended);

void days_name(const struct day *p, char out[NAME_LENGTH + 1]);

#endif
