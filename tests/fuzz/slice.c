/* Slices under parameter sets of any kind: the first two bytes are the lengths of an SPS and a PPS;
 * what is behind those is two slices, of half the bytes each. */
#include "capture/slice.h"
#include "capture/poc.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sps sps[SPS_IDS];
static struct pps pps[PPS_IDS];

static int read_slice(const uint8_t *nal, size_t len, struct slice *s, struct poc *poc)
{
    if (slice_parse(nal, len, sps, pps, s) < 0)
        return 0;
    assert(s->type <= 4 && s->sps_id < SPS_IDS && s->idr <= 1);
    int resets = slice_resets(nal, len, sps, pps);
    if (s->known)
        poc_order(poc, &sps[s->sps_id], s, resets);
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice a, b, again;
    struct sps s;
    struct pps p;
    struct poc poc = {0};
    if (size < 2 || size < 2 + (size_t)data[0] + data[1])
        return 0;
    memset(sps, 0, sizeof sps);
    memset(pps, 0, sizeof pps);
    const uint8_t *at = data + 2;
    if (sps_parse(at, data[0], &s) == 0)
        sps[s.id] = s;
    at += data[0];
    if (pps_parse(at, data[1], &p) == 0)
        pps[p.id] = p;
    at += data[1];
    size_t half = (size_t)(data + size - at) / 2;
    if (!read_slice(at, half, &a, &poc) || !read_slice(at + half, half, &b, &poc))
        return 0;
    slice_new_picture(&a, &b);
    assert(!a.known || a.redundant || !slice_new_picture(&a, &a));
    /* Whatever follows a header that could be read is not looked at. */
    if (half > SLICE_HEADER_MAX)
        assert(slice_parse(at, SLICE_HEADER_MAX, sps, pps, &again) < 0 || again.known == a.known);
    return 0;
}
