/* Reading a fragmented MP4 stream (ISO/IEC 14496-12 4.2, 8.8, 8.16.5): where its init segments and
 * fragments begin and end, and where in a fragment the numbers lie that a server may rewrite.
 *
 * What is taken: one track, H.264; per moof one traf with one trun, default-base-is-moof, a 64-bit
 * tfdt, and a duration in the moof itself. That is what h264fmp4 writes, and ffmpeg with -movflags
 * frag_keyframe (or frag_every_frame)+empty_moov+default_base_moof. */
#ifndef MUX_BOXREAD_H
#define MUX_BOXREAD_H

#include <stddef.h>
#include <stdint.h>

enum {
    FRAG_HEAD_MAX = 0xffff,    /* bytes in front of the mdat's payload */
    FRAG_BYTES_MAX = 48 << 20, /* of one fragment */
    OTHER_BYTES_MAX = 4 << 20, /* of one ftyp and moov, or of a box to step over */
    CODEC_MAX = 12,            /* avc1.42C01E and its zero */
};

/* The numbers a moof holds once or once a sample: n values of 32 bits, `step` bytes apart. */
struct moof_field {
    uint16_t at, n, step;
};

struct moof_info {
    uint16_t moof_at;      /* all offsets are from the unit's first byte */
    uint16_t sequence_at;  /* mfhd sequence_number, 32 bits */
    uint16_t tfdt_at;      /* baseMediaDecodeTime, 64 bits */
    uint16_t prft_time_at; /* prft media_time, 64 bits, or 0 */
    uint16_t payload_at;   /* the first byte of the mdat's payload */
    struct moof_field duration, flags;
    uint16_t first_flags_at;  /* trun first_sample_flags, or 0 */
    struct moof_field offset; /* sample_composition_time_offset, or n 0 */
    uint16_t trun_version_at; /* 8 bits; above 0 those offsets are signed (14496-12 8.8.8) */
    uint16_t samples;
    uint64_t tfdt;           /* ticks */
    uint64_t duration_ticks; /* of all samples together */
    uint8_t sync;            /* the first sample is a sync sample */
    uint64_t utc_us;         /* from a prft in front of the moof, or 0 */
    uint64_t utc_time;       /* the media time it stands for */
};

struct init_info {
    uint32_t timescale;
    uint32_t width, height;
    char codec[CODEC_MAX]; /* RFC 6381 */
};

enum unit_kind { UNIT_INIT, UNIT_FRAG, UNIT_SKIP };

struct unit {
    enum unit_kind kind;
    size_t size; /* bytes of the window */
    struct moof_info moof;
    struct init_info init;
};

enum unit_result { UNIT_READY, UNIT_MORE, UNIT_BAD };

/* Looks at window[0, len), which begins at a top-level box. UNIT_READY: window[0, unit->size) is an
 * init segment, a fragment (with styp and prft in front) or something to step over. UNIT_BAD:
 * *why says what is wrong and unit->size at which offset. */
enum unit_result unit_next(const uint8_t *window, size_t len, struct unit *unit, const char **why);

/* Copies an init segment so that its track never ends: mdhd of version 1 with a duration of ten
 * years. (Browsers take a duration of 0 for one that grows, and rewind or fire events over it.)
 * Returns the length, or 0 when it does not fit or is no init segment. */
size_t init_make_endless(uint8_t *out, size_t cap, const uint8_t *init, size_t len);

#endif
