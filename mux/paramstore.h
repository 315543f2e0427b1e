/* The parameter sets of a stream, as bytes and parsed, by id: what an avcC is made of. */
#ifndef MUX_PARAMSTORE_H
#define MUX_PARAMSTORE_H

#include <stddef.h>
#include <stdint.h>

#include "capture/paramset.h"

enum {
    PARAMSET_BYTES_MAX = 1024, /* of one NAL unit; a longer one is refused */
    STORE_SPS_MAX = 31,        /* numOfSequenceParameterSets has 5 bits (14496-15 5.3.3.1.2) */
    STORE_PPS_MAX = 64,        /* distinct PPS ids one stream may use here; avcC allows 255 */
};

struct raw_set {
    uint16_t len; /* 0: empty slot */
    uint8_t id;
    uint8_t in_config; /* the avcC last made from this store holds exactly these bytes */
    uint8_t bytes[PARAMSET_BYTES_MAX];
};

struct paramstore {
    struct raw_set sps[STORE_SPS_MAX];
    struct raw_set pps[STORE_PPS_MAX];
    unsigned sps_count, pps_count;
    struct sps parsed[SPS_IDS];     /* by id */
    struct pps parsed_pps[PPS_IDS]; /* by id */
};

enum store_result {
    STORE_BAD,     /* damaged, or one more than the store holds; the store is as before */
    STORE_SAME,    /* these bytes were there already */
    STORE_NEW,     /* an id not seen before */
    STORE_CHANGED, /* other bytes under an id seen before */
};

/* Takes an SPS or PPS NAL unit, header byte first. */
enum store_result paramstore_put(struct paramstore *s, const uint8_t *nal, size_t len);

/* Whether the store has nothing to make an avcC of. */
int paramstore_empty(const struct paramstore *s);

/* The NAL unit is in the avcC last made (and so may be left out of the samples). */
int paramstore_in_config(const struct paramstore *s, const uint8_t *nal, size_t len);

#endif
