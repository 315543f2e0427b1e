#include "mux/paramstore.h"

#include <string.h>

#include "capture/nal.h"

static struct raw_set *slot(struct raw_set *sets, unsigned *count, unsigned max, unsigned id)
{
    for (unsigned i = 0; i < *count; i++)
        if (sets[i].id == id)
            return &sets[i];
    return *count < max ? &sets[(*count)++] : NULL;
}

static enum store_result keep(struct raw_set *set, unsigned id, const uint8_t *nal, size_t len)
{
    if (!set)
        return STORE_BAD;
    if (set->len == len && memcmp(set->bytes, nal, len) == 0)
        return STORE_SAME;
    enum store_result result = set->len ? STORE_CHANGED : STORE_NEW;
    memcpy(set->bytes, nal, len);
    set->len = (uint16_t)len;
    set->id = (uint8_t)id;
    set->in_config = 0;
    return result;
}

enum store_result paramstore_put(struct paramstore *s, const uint8_t *nal, size_t len)
{
    struct sps sps;
    struct pps pps;
    if (len > PARAMSET_BYTES_MAX)
        return STORE_BAD;
    if (nal_type(nal[0]) == NAL_SPS) {
        if (sps_parse(nal, len, &sps) < 0)
            return STORE_BAD;
        struct raw_set *set = slot(s->sps, &s->sps_count, STORE_SPS_MAX, sps.id);
        enum store_result result = keep(set, sps.id, nal, len);
        if (result != STORE_BAD)
            s->parsed[sps.id] = sps;
        return result;
    }
    if (pps_parse(nal, len, &pps) < 0)
        return STORE_BAD;
    struct raw_set *set = slot(s->pps, &s->pps_count, STORE_PPS_MAX, pps.id);
    enum store_result result = keep(set, pps.id, nal, len);
    if (result != STORE_BAD)
        s->parsed_pps[pps.id] = pps;
    return result;
}

int paramstore_empty(const struct paramstore *s)
{
    for (unsigned i = 0; i < s->pps_count; i++)
        if (s->parsed[s->parsed_pps[s->pps[i].id].sps_id].valid)
            return 0;
    return 1;
}

static const struct raw_set *find(const struct raw_set *sets, unsigned count, const uint8_t *nal,
                                  size_t len)
{
    for (unsigned i = 0; i < count; i++)
        if (sets[i].len == len && memcmp(sets[i].bytes, nal, len) == 0)
            return &sets[i];
    return NULL;
}

int paramstore_in_config(const struct paramstore *s, const uint8_t *nal, size_t len)
{
    const struct raw_set *set = nal_type(nal[0]) == NAL_SPS ? find(s->sps, s->sps_count, nal, len)
                                                            : find(s->pps, s->pps_count, nal, len);
    return set && set->in_config;
}
