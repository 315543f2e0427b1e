/* Segments that another run has written, and died before it could list them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "hls/store.h"
#include "hls/storelive.h"
#include "mux/box.h"

/* What is in a file. */
struct find {
    uint32_t epoch, timescale, samples;
    uint64_t dts, end; /* ticks */
    uint64_t utc_us;
    uint64_t sound; /* bytes, to the end of the last whole fragment */
    int sync;
    int cut;             /* the cutter has ended the segment there */
    struct segment done; /* then */
};

int store_read_init(struct store *s, uint32_t epoch, struct init_info *info)
{
    char name[NAME_LENGTH + 1];
    struct unit u;
    const char *why;
    name_write(name, &(struct name){.kind = NAME_INIT, .number = epoch});
    long n = folder_read(&s->folder, name, s->text, sizeof s->text, 0);
    if (n <= 0 || unit_next((const uint8_t *)s->text, (size_t)n, &u, &why) != UNIT_READY ||
        u.kind != UNIT_INIT)
        return -1;
    *info = u.init;
    return 0;
}

static int read_styp(int fd, uint32_t *epoch)
{
    uint8_t styp[STORE_STYP];
    if (pread(fd, styp, sizeof styp, 0) != sizeof styp || get_u32(styp) != sizeof styp ||
        memcmp(styp + 4, "stypmsdh", 8) != 0)
        return -1;
    *epoch = get_u32(styp + 12);
    return 0;
}

/* The next fragment of the file. Where no target duration is promised yet the cutter has to see
 * each, to settle one. Returns whether that ends the segment. */
static int add(struct store *s, struct find *f, const struct moof_info *m, size_t bytes)
{
    const struct segment_frag frag = {.number = s->number++,
                                      .dts = m->tfdt,
                                      .utc_us = m->utc_us,
                                      .duration = (uint32_t)m->duration_ticks,
                                      .timescale = f->timescale,
                                      .epoch = f->epoch,
                                      .bytes = (uint32_t)bytes,
                                      .sync = m->sync};
    if (!s->cutter.target_duration && segmenter_add(&s->cutter, &frag, &f->done))
        return f->cut = 1;
    if (!f->samples) {
        f->dts = m->tfdt;
        f->utc_us = m->utc_us;
        f->sync = m->sync;
    }
    f->samples += m->samples;
    f->end = m->tfdt + m->duration_ticks;
    return 0;
}

static void read_fragments(struct store *s, struct intake *in, int fd, struct find *f)
{
    struct unit u;
    const uint8_t *p;
    enum intake_result r;
    intake_init(in);
    for (;;) {
        while ((r = intake_next(in, &u, &p)) == INTAKE_UNIT) {
            if (u.kind != UNIT_FRAG || add(s, f, &u.moof, u.size))
                return;
            f->sound = in->bytes + u.size;
        }
        if (r != INTAKE_MORE || (intake_read(in, fd) < 0 && errno != EINTR))
            return;
    }
}

/* The segment that these fragments are. One that begins without a keyframe was cut so because it
 * had to be; the cutter would wait for one. */
static int describe(struct store *s, const struct find *f, struct segment *done)
{
    if (!f->cut && !s->cutter.target_duration) {
        if (!segmenter_end(&s->cutter, done))
            return -1;
    } else if (f->cut) {
        *done = f->done;
    } else {
        uint64_t ticks = f->end - f->dts;
        uint64_t us = ticks / f->timescale * SEGMENT_SECOND +
                      ticks % f->timescale * SEGMENT_SECOND / f->timescale;
        const struct segment_frag all = {.number = s->number++,
                                         .utc_us = f->utc_us,
                                         .duration = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us,
                                         .timescale = SEGMENT_SECOND,
                                         .epoch = f->epoch,
                                         .sync = 1};
        uint64_t left_out = s->cutter.left_out;
        segmenter_add(&s->cutter, &all, done);
        if (s->cutter.left_out != left_out || !segmenter_end(&s->cutter, done))
            return -1;
    }
    done->independent = f->sync;
    s->cutter.dependent |= !f->sync;
    done->bytes = f->sound;
    return 0;
}

int store_salvage(struct store *s, struct intake *scratch, uint64_t n, int temporary,
                  const struct store_time *now)
{
    char name[NAME_LENGTH + 1], whole[NAME_LENGTH + 1];
    struct find f = {0};
    struct init_info info;
    struct segment done;
    name_write(name, &(struct name){.kind = NAME_SEGMENT, .number = n, .temporary = temporary});
    name_write(whole, &(struct name){.kind = NAME_SEGMENT, .number = n});
    int fd = openat(s->folder.fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return 0;
    int ours = read_styp(fd, &f.epoch) == 0 && store_read_init(s, f.epoch, &info) == 0;
    if (ours) {
        f.timescale = info.timescale;
        read_fragments(s, scratch, fd, &f);
    }
    close(fd);
    if (!ours || !f.samples || describe(s, &f, &done) < 0)
        return 0;
    if (folder_cut(&s->folder, name, f.sound) < 0 ||
        (temporary && folder_rename(&s->folder, name, whole) < 0) || folder_sync(&s->folder) < 0 ||
        store_list(s, &done, now) < 0)
        return -1;
    store_note_rate(s, f.samples, done.duration_us);
    return 1;
}
