/* Access units out of a byte stream: where they begin and end, however the bytes arrive, and when.
 */
#include "capture/au.h"
#include "capture/sei.h"
#include "tests/tap.h"
#include "tests/unit/h264.h"

enum { LOG_MAX = 200000 };

/* All that was handed out, as numbers: what two runs must agree on. */
struct log {
    size_t n;
    uint64_t v[LOG_MAX];
};

static struct au_framer framer;
static struct log at_once, other;

static void note(struct log *log, uint64_t v)
{
    if (log->n == LOG_MAX)
        _exit(98);
    log->v[log->n++] = v;
}

static void note_unit(struct log *log, enum au_result r, const struct au *au, size_t at)
{
    note(log, r);
    note(log, at);
    note(log, au->size);
    if (r != AU_READY)
        return;
    note(log, au->count);
    note(log, (uint64_t)au->idr << 1 | au->intra);
    note(log, (uint64_t)au->first.first_mb << 32 | au->first.frame_num);
    note(log, (uint64_t)au->first.type << 8 | au->first.known);
    for (unsigned i = 0; i < au->count; i++) {
        note(log, at + au->nal[i].at);
        note(log, (uint64_t)au->nal[i].len << 16 | au->nal[i].header * 256u | au->nal[i].lead);
    }
}

static int same(const struct log *a, const struct log *b)
{
    return a->n == b->n && !memcmp(a->v, b->v, a->n * sizeof a->v[0]);
}

/* Shows the framer the stream up to `len`. With an edge, the window ends there. Returns where it
 * begins next time. */
static size_t show(const struct stream *s, size_t from, size_t len, int end, uint8_t *edge,
                   struct log *log)
{
    struct au au;
    enum au_result r;
    for (;;) {
        const uint8_t *window = s->p + from;
        if (edge) {
            memcpy(edge - (len - from), window, len - from);
            window = edge - (len - from);
        }
        r = au_next(&framer, window, len - from, end, &au);
        if (r == AU_MORE)
            return from;
        note_unit(log, r, &au, from);
        if (au.size == 0 || au.size > len - from)
            _exit(97);
        from += au.size;
    }
}

static void run_at_once(const struct stream *s)
{
    at_once.n = 0;
    au_init(&framer);
    show(s, 0, s->len, 1, NULL, &at_once);
}

/* In pieces of `step` bytes. */
static int run_in_pieces(const struct stream *s, size_t step, uint8_t *edge)
{
    size_t from = 0;
    other.n = 0;
    au_init(&framer);
    for (size_t len = 0; len < s->len; len += step)
        from = show(s, from, len, 0, edge, &other);
    from = show(s, from, s->len, 0, edge, &other);
    show(s, from, s->len, 1, edge, &other);
    return same(&at_once, &other);
}

static int run_in_two(const struct stream *s, size_t cut, uint8_t *edge)
{
    other.n = 0;
    au_init(&framer);
    size_t from = show(s, 0, cut, 0, edge, &other);
    show(s, from, s->len, 1, edge, &other);
    return same(&at_once, &other);
}

/* Whether the access units at once are those of the line: one a stretch between bars, of as many
 * NAL units as it has letters for; behind an exclamation mark nothing is handed out. */
static int as_the_line_says(const char *line)
{
    size_t at = 0;
    for (;;) {
        size_t stop = strcspn(line, "|!"), want = 0;
        for (size_t i = 0; i < stop; i++)
            want += !strchr(" -0g34", line[i]);
        if (at + 4 > at_once.n || at_once.v[at] != AU_READY || at_once.v[at + 3] != want)
            return 0;
        at += 7 + 2 * want;
        if (line[stop] != '|')
            return at == at_once.n;
        line += stop + 1;
    }
}

static void check(const char *line, const char *what)
{
    static const size_t sizes[] = {0, 5, 60, 61, 62, 63, 64, 65, 200};
    int right = 1, cut = 1, bytes = 1;
    static uint8_t *edge;
    if (!edge)
        edge = edge_of(1 << 16);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        struct stream s = {.more = sizes[i / 2], .lead = i & 1 ? 3 : 4};
        add_line(&s, line);
        run_at_once(&s);
        right &= as_the_line_says(line);
        bytes &= run_in_pieces(&s, 1, edge);
        for (size_t n = 0; n <= s.len; n += 10000 / tap_often(10000))
            cut &= run_in_two(&s, n, edge);
        free(s.p);
    }
    ok(right, "%s: %s", what, line);
    ok(cut && bytes, "the same when cut at every byte, and byte by byte");
}

static void lines(void)
{
    check("ASpTI|ATP|ATP|ATP!A", "delimiters, as our cameras write them");
    check("SpI|P|P|P|I|P", "no delimiters");
    check("3SpI|4P|3P|4P", "start codes of 3 and 4 bytes");
    check("ASpEIiiii|AEPiii|APi!A", "many slices");
    check("SpIii|Pii|Pii|Iii", "many slices, no delimiters");
    check("gSpI|P", "garbage in front");
    check("0SpI0|P0|P0", "zeros in front and behind");
    check("-Sp-I--i|-P-|P-", "empty NAL units");
    check("SpNIENiFi|NPNi|EP", "prefix, SEI and filler between the slices of a picture");
    check("SpISpi|Pi", "parameter sets between the slices of a picture");
    check("SpI|J|J|J", "IDR pictures that do not change idr_pic_id");
    check("SpIi|Ji|Ji", "with two slices each");
    check("P|Pi|SpI|P", "a start on P, without parameter sets");
    check("I|J|SpP", "pictures long before any parameter sets");
    check("SpIQ|IZ|I", "end of sequence and of stream");
    check("ASpIQ|AP!AE", "end of sequence in front of a delimiter");
    check("SpI|P!E", "SEI with no picture behind");
    check("SpI|P!Sp", "parameter sets with no picture behind");
    check("AASpI|AP|AP!A", "two delimiters in a row");
    check("SpKi|P|K", "no IDR at all");
    check("SpI|SpI|SpP", "parameter sets in front of every picture");
    check("SpI|SP|pP|EP", "parameter sets one at a time");
    check("SpIF|PF|P", "filler behind a picture stays with it");
}

static void nothing(void)
{
    static const char *const of_nothing[] = {"",  "A",   "AA", "Sp",   "g",
                                             "0", "---", "E",  "ASpE", "Q"};
    int good = 1;
    for (size_t i = 0; i < sizeof of_nothing / sizeof of_nothing[0]; i++) {
        struct stream s = {0};
        add_bytes(&s, "", 0);
        add_line(&s, of_nothing[i]);
        run_at_once(&s);
        good &= at_once.n == 0 && run_in_pieces(&s, 1, NULL);
        free(s.p);
    }
    ok(good, "without a slice there is no access unit");
}

/* What the list of an access unit says of its bytes. */
static void places(void)
{
    struct stream s = {.more = 7};
    struct au au;
    add_line(&s, "g0 3S4p0I0|3P");
    au_init(&framer);
    ok(au_next(&framer, s.p, s.len, 1, &au) == AU_READY && au.count == 3, "three NAL units");
    int codes = 1, ends = 1;
    for (unsigned i = 0; i < au.count; i++) {
        const struct au_nal *n = &au.nal[i];
        codes &= s.p[n->at] == n->header && s.p[n->at - 1] == 1;
        for (unsigned k = 2; k <= n->lead; k++)
            codes &= s.p[n->at - k] == 0;
        ends &= n->len > 0 && s.p[n->at + n->len - 1] != 0;
    }
    ok(codes, "each behind a start code of the length it says");
    ok(ends, "each without zeros at its end");
    /* In front of a 3-byte code are zeros of the caller's: the last of them makes it 4. */
    ok(au.nal[0].lead == 4 && au.nal[1].lead == 4 && au.nal[2].lead == 4, "a zero in front counts");
    ok(au.idr && au.intra && au.first.known && au.first.first_mb == 0, "an IDR picture");
    size_t first = au.size;
    ok(au_next(&framer, s.p + first, s.len - first, 1, &au) == AU_READY && !au.idr && !au.intra &&
           au.first.frame_num == 1 && au.size == s.len - first,
       "then a P picture, to the end");
    free(s.p);
}

/* The length of window at which the first access unit is handed out. */
static size_t ready_at(const struct stream *s)
{
    struct au au;
    au_init(&framer);
    for (size_t len = 0; len <= s->len; len++)
        if (au_next(&framer, s->p, len, 0, &au) == AU_READY)
            return len;
    return 0;
}

static void delay(void)
{
    struct stream s = {.more = 300};
    add_line(&s, "ASpTI");
    size_t picture = s.len;
    add_line(&s, "A");
    ok(ready_at(&s) == picture + 5, "a delimiter's header byte ends the access unit");
    s.len = picture;
    add_line(&s, "P");
    ok(ready_at(&s) == picture + 4 + SLICE_HEADER_MAX, "the next slice's header ends it");
    s.len = picture;
    add_line(&s, "TP");
    ok(ready_at(&s) == picture + 4 + 32 + 4 + SLICE_HEADER_MAX,
       "its header behind an SEI as well, which is not counted in");
    s.len = picture;
    s.more = 0;
    add_line(&s, "PE");
    ok(ready_at(&s) == s.len - 5 + 1 && ready_at(&s), "or the end of a short slice");
    free(s.p);
}

/* A slice cut short within its header must not be read on into what follows. */
static void cut_header(void)
{
    struct stream s = {.more = 100};
    add_line(&s, "SpI");
    add_bytes(&s, "\0\0\1\x41\x9a", 5);
    add_line(&s, "PP");
    run_at_once(&s);
    size_t n = at_once.n;
    int good = run_in_pieces(&s, 1, NULL);
    for (size_t step = 2; step < 150; step++)
        good &= run_in_pieces(&s, step, NULL);
    ok(n && good, "a slice that ends within its header: the same in pieces of any size");
    free(s.p);
}

static unsigned count(enum au_result r)
{
    unsigned found = 0;
    for (size_t i = 0; i < at_once.n;
         i += at_once.v[i] == AU_READY ? 7 + 2 * (size_t)at_once.v[i + 3] : 3)
        found += at_once.v[i] == r;
    return found;
}

static size_t dropped(void)
{
    size_t bytes = 0;
    for (size_t i = 0; i < at_once.n;
         i += at_once.v[i] == AU_READY ? 7 + 2 * (size_t)at_once.v[i + 3] : 3)
        bytes += at_once.v[i] == AU_BAD ? (size_t)at_once.v[i + 2] : 0;
    return bytes;
}

static void too_many_bytes(size_t more, const char *what)
{
    struct stream s = {.more = 100};
    add_line(&s, "ASpI|AP|A");
    size_t good = s.len;
    s.more = more;
    add_letter(&s, 'P');
    s.more = 100;
    add_line(&s, "ii");
    size_t bad = s.len - good;
    add_line(&s, "|AP|AP|A");
    run_at_once(&s);
    ok(count(AU_READY) == 4 && count(AU_BAD) >= 1, "%s: the pictures before and behind are there",
       what);
    ok(dropped() >= bad && dropped() <= bad + 12, "and all of it is dropped, and nothing else");
    ok(run_in_pieces(&s, 1 << 20, NULL) && run_in_pieces(&s, 99991, NULL) &&
           run_in_pieces(&s, AU_BYTES_MAX, NULL),
       "the same in pieces");
    free(s.p);
}

static void too_many_nals(void)
{
    struct stream s = {.more = 1};
    add_line(&s, "ASpI|AP|AP");
    for (int i = 0; i < 20000; i++)
        add_letter(&s, 'i');
    add_line(&s, "|AP|AP!A");
    run_at_once(&s);
    ok(count(AU_READY) == 4 && count(AU_BAD) == 2, "20000 slices: dropped, the others are there");
    ok(run_in_pieces(&s, 7, NULL) && run_in_pieces(&s, 1000, NULL), "the same in pieces");
    s.len = 0;
    add_line(&s, "SpI");
    for (int i = 0; i < AU_NALS_MAX - 4; i++)
        add_letter(&s, 'i');
    add_line(&s, "P");
    run_at_once(&s);
    ok(count(AU_READY) == 2 && count(AU_BAD) == 0, "%d NAL units are taken", AU_NALS_MAX - 1);
    free(s.p);
}

static void garbage(void)
{
    struct stream s = {.more = 100};
    size_t n = 40 << 20;
    uint8_t *junk = malloc(n);
    if (!junk)
        _exit(99);
    for (size_t i = 0; i < n; i++)
        junk[i] = (uint8_t)(i * 7 | 2);
    add_bytes(&s, junk, n);
    add_line(&s, "SpI|P");
    run_at_once(&s);
    ok(count(AU_READY) == 2 && count(AU_BAD) == 2, "40 MiB of garbage in front");
    ok(run_in_pieces(&s, 1 << 20, NULL), "the same in pieces");
    memset(s.p, 0, n);
    run_at_once(&s);
    ok(count(AU_READY) == 2 && run_in_pieces(&s, 1 << 20, NULL), "40 MiB of zeros in front");
    for (size_t i = 0; i + 3 < n; i += 3)
        memcpy(s.p + i, "\0\0\1", 3);
    run_at_once(&s);
    ok(count(AU_READY) == 2 && run_in_pieces(&s, 1 << 20, NULL), "40 MiB of empty NAL units");
    free(junk);
    free(s.p);
}

static int recovery(const char *bytes, size_t len)
{
    static uint8_t *edge;
    if (!edge)
        edge = edge_of(1);
    memcpy(edge - len, bytes, len);
    return sei_recovery_point(edge - len, len);
}

static void recovery_points(void)
{
    ok(recovery("\6\6\1\xc4\x80", 5) == 1, "a recovery point");
    ok(recovery("\6\1\1\x55\6\1\xc4\x80", 8) == 1, "behind another message");
    ok(recovery("\6\1\1\x55\x80", 5) == 0, "another message alone");
    ok(recovery("\6\5\xff\xff\xff\xff\xff", 7) == 0, "a size without end");
    ok(recovery("\6\xff\xff\xff\xff", 5) == 0, "a type without end");
    ok(recovery("\6", 1) == 0 && recovery("", 0) == 0 && recovery("\6\6", 2) == 0, "cut short");
}

int main(void)
{
    lines();
    nothing();
    places();
    delay();
    cut_header();
    too_many_bytes(AU_BYTES_MAX - 100, "as much as is too much");
    too_many_bytes(AU_BYTES_MAX + (3 << 20), "3 MiB too much");
    too_many_nals();
    garbage();
    recovery_points();
    return done();
}
