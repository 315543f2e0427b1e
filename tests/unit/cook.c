/* A camera's buffers made into a stream: what stays, what is added, and what goes out after a
 * loss. */
#include "capture/cook.h"
#include "tests/tap.h"
#include "tests/unit/h264.h"

static struct cook cook;
static struct stream in;
static uint8_t out[1 << 16];
static size_t out_len;
static struct cook_time now = {.stamp = {UINT64_C(1795305600000000), MISB_STATUS}};

static void fresh(void)
{
    cook_init(&cook);
    free(in.p);
    in = (struct stream){.more = 20};
    in.sps.frame_num_bits = 4;
}

/* The next buffer, from letters (h264.h). */
static enum cook_result take(const char *letters)
{
    in.len = 0;
    add_line(&in, letters);
    uint8_t *p = edge_of(in.len) - in.len;
    memcpy(p, in.p, in.len);
    enum cook_result r = cook_take(&cook, p, in.len, &now);
    out_len = 0;
    for (unsigned i = 0; r == COOK_WRITE && i < cook.count; i++) {
        memcpy(out + out_len, cook.iov[i].iov_base, cook.iov[i].iov_len);
        out_len += cook.iov[i].iov_len;
    }
    return r;
}

static enum cook_result send(const char *letters)
{
    enum cook_result r = take(letters);
    if (r == COOK_WRITE)
        cook_written(&cook);
    return r;
}

/* The NAL units of the output as letters: A S p T E R N I P, other ones ?. */
static const char *kinds(void)
{
    static char text[256];
    size_t n = 0, at = nal_start_code(out, out_len), next;
    for (; at < out_len && n < sizeof text - 1; at = next) {
        size_t nal = at + 3;
        struct misb_stamp stamp;
        next = nal + nal_start_code(out + nal, out_len - nal);
        switch (nal_type(out[nal])) {
        case NAL_AUD:
            text[n++] = 'A';
            break;
        case NAL_SPS:
            text[n++] = 'S';
            break;
        case NAL_PPS:
            text[n++] = 'p';
            break;
        case NAL_SEI:
            text[n++] = misb_read(out + nal, next - nal, &stamp) ? 'T' : 'E';
            break;
        case NAL_IDR:
            text[n++] = 'I';
            break;
        case NAL_SLICE:
            text[n++] = 'P';
            break;
        case NAL_PREFIX:
            text[n++] = 'N';
            break;
        default:
            text[n++] = '?';
        }
    }
    text[n] = 0;
    return text;
}

static void gives(const char *letters, const char *wanted, const char *what)
{
    enum cook_result r = send(letters);
    const char *got = r == COOK_WRITE ? kinds() : "";
    ok(!strcmp(got, wanted), "%s: \"%s\" gives \"%s\"%s%s", what, letters, wanted,
       strcmp(got, wanted) ? ", not " : "", strcmp(got, wanted) ? got : "");
}

static void order(void)
{
    fresh();
    gives("ASpI", "ASpTIA", "the first access unit");
    gives("AP", "TPA", "the next one");
    gives("P", "TPA", "no delimiter from the camera");
    gives("EP", "ETPA", "behind the camera's SEI");
    gives("NP", "TNPA", "in front of what belongs to the slice");
    gives("Pi", "TPPA", "two slices");
    gives("AAEAFP", "ETPA", "delimiters and filler anywhere");
    gives("TP", "TPA", "a capture time in the stream is replaced");
    gives("gP", "TPA", "bytes in front of the first start code");
    gives("3P", "TPA", "three-byte start codes");
    gives("4P00", "TPA", "zeros behind");
    ok(out[out_len - COOK_AUD - 1] != 0, "the zeros are gone");
    gives("EP", "ETPA", "again");
    ok(out_len > 4 && !memcmp(out, "\0\0\0\1", 4), "it begins with a four-byte start code");
}

static void bytes(void)
{
    struct misb_stamp found;
    fresh();
    send("ASpI");
    in.more = 5000;
    send("AEPiii");
    static uint8_t nal[4 + MISB_NAL_MAX] = {0, 0, 0, 1};
    size_t stamp = 4 + misb_write(nal + 4, &now.stamp), aud = 6;
    uint8_t *mine = malloc(in.len + stamp);
    size_t sei = 9; /* start code and SEI of letter E */
    if (!mine)
        _exit(99);
    memcpy(mine, in.p + aud, sei);
    memcpy(mine + sei, nal, stamp);
    memcpy(mine + sei + stamp, in.p + aud + sei, in.len - aud - sei);
    size_t len = in.len - aud + stamp;
    ok(out_len == len + COOK_AUD && !memcmp(out, mine, len) &&
           !memcmp(out + len, "\0\0\0\1\x09\xf0", COOK_AUD),
       "every byte of the camera's, the stamp and the delimiter");
    ok(misb_read(nal + 4, stamp - 4, &found) && found.us == now.stamp.us, "the time given");
    ok(cook.count == 4, "in four pieces, none of them a copy of the picture");
    free(mine);
    now.arrival = 1;
    gives("TP", "TPA", "arrival time and one in the stream");
    ok(!cook.copies && cook.count == 3 && cook.own_stamp, "the stream's stays");
    gives("P", "TPA", "arrival time and none in the stream");
    now.arrival = 0;
}

static void sets(void)
{
    fresh();
    gives("Sp", "", "sets alone are kept");
    gives("I", "ASpTIA", "and go out with the keyframe");
    gives("I", "SpTIA", "and with every one that lacks them");
    gives("P", "TPA", "not with others");
    gives("SpI", "SpTIA", "a keyframe with its own needs none");
    gives("SI", "SpTIA", "only the one it lacks");
    gives("pI", "SpTIA", "only the other");
    in.sps.mbs = 3;
    gives("S", "", "a new one alone");
    gives("P", "STPA", "goes out with the next picture, whatever that is");
    gives("P", "TPA", "once");
    in.sps.mbs = 5;
    take("SP");
    gives("P", "STPA", "one that was not written is still owed");
    in.pps.id = 7;
    in.last.pps = 7;
    gives("pI", "SpTIA", "another PPS: the SPS it refers to");
    in.pps.id = 8;
    send("p");
    gives("SI", "SppTIA", "the PPS it refers to, and the one owed");
}

static void losses(void)
{
    fresh();
    send("SpI");
    cook_lost(&cook);
    gives("P", "TPA", "lost, but frame_num goes on: nothing referred to it");
    send("P");
    take("P");
    cook_lost(&cook);
    ok(send("P") == COOK_WAITING, "a reference lost: wait");
    ok(send("P") == COOK_WAITING, "and wait");
    gives("I", "SpTIA", "up to the keyframe");
    gives("P", "TPA", "and on");
    take("P");
    gives("P", "TPA", "a gap in frame_num alone is nothing");
    take("P");
    cook_lost(&cook);
    send("P");
    gives("RK", "SEpTPA", "a recovery point ends it as well");
    cook_lost(&cook);
    ok(send("P") == COOK_WRITE, "counted from there");
    for (int i = 0; i < 14; i++)
        send("P");
    cook_lost(&cook);
    ok(in.last.frame_num == 0 || send("P") == COOK_WRITE, "frame_num wraps");
    in.last.header = 0x01; /* nothing refers to this one; the next has the same frame_num */
    take("P");
    cook_lost(&cook);
    in.last.header = 0;
    in.last.frame_num--;
    ok(send("P") == COOK_WRITE, "a lost picture that nothing refers to breaks nothing");
    in.last.header = 0x01;
    send("P");
    cook_lost(&cook);
    in.last.header = 0;
    in.last.frame_num--;
    ok(send("P") == COOK_WRITE, "nor is one that was written what the next is counted from");
    fresh();
    cook_lost(&cook);
    ok(send("P") == COOK_WAITING, "no sets known: nothing to go by, wait");
    in.len = 0;
    add_line(&in, "SpI");
    cook_skip(&cook, in.p, in.len);
    gives("I", "ASpTIA", "the sets of a skipped buffer are kept");
    for (int i = 0; i < 3; i++)
        send("P");
    in.len = 0;
    add_line(&in, "P");
    cook_skip(&cook, in.p, in.len);
    unsigned waited = 0;
    while (waited < 2 * COOK_WAIT_MAX && send("P") == COOK_WAITING)
        waited++;
    ok(waited == COOK_WAIT_MAX - 1, "no keyframe for ever: it goes on, after %u", waited);
}

static void refused(void)
{
    char many[3 * COOK_PARTS + 8] = "I";
    fresh();
    send("SpI");
    ok(send("0") == COOK_GARBAGE && send("") == COOK_GARBAGE && send("-") == COOK_GARBAGE,
       "no NAL unit");
    ok(send("E") == COOK_SETS_IN, "SEI alone");
    in.last.first_mb = 0;
    send("I");
    ok(send("i") == COOK_TORN, "the second half of a picture");
    ok(send("P") == COOK_WRITE || cook.waiting, "told as a loss");
    fresh();
    for (int i = 0; i < COOK_PARTS; i++)
        memcpy(many + 1 + 2 * i, "Ai", 3);
    ok(send(many) == COOK_GARBAGE, "more pieces than there is room for");
    fresh();
    in.lead = 3;
    for (unsigned id = 0; id < 40; id++) {
        in.pps.id = id;
        send("Sp");
    }
    in.last.pps = 39;
    ok(send("I") == COOK_WRITE && cook.count <= COOK_IOV, "more sets than are kept");
}

/* Every cut of an access unit: nothing is read behind it, and the list is sound. */
static void cuts(void)
{
    int good = 1;
    fresh();
    in.more = 30;
    add_line(&in, "A3SpETRIiii0");
    size_t whole = in.len;
    uint8_t *edge = edge_of(whole);
    for (size_t len = 0; len <= whole; len++) {
        memcpy(edge - len, in.p, len);
        cook_init(&cook);
        if (cook_take(&cook, edge - len, len, &now) == COOK_WRITE)
            good &= cook.count <= COOK_IOV && cook.count >= 3;
    }
    ok(good, "cut at every length");
}

int main(void)
{
    order();
    bytes();
    sets();
    losses();
    refused();
    cuts();
    return done();
}
