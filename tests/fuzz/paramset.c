/* An SPS and a PPS of any bytes: what is taken is within the limits. */
#include "capture/paramset.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sps s;
    struct pps p;
    int taken = sps_parse(data, size, &s) == 0;
    assert(taken == s.valid);
    if (taken) {
        assert(s.id < SPS_IDS && s.chroma_format_idc <= 3);
        assert(s.bit_depth_luma >= 8 && s.bit_depth_luma <= 14);
        assert(s.bit_depth_chroma >= 8 && s.bit_depth_chroma <= 14);
        assert(s.width >= 1 && s.width <= PICTURE_SIDE_MAX);
        assert(s.height >= 1 && s.height <= PICTURE_SIDE_MAX);
        assert(s.log2_max_frame_num >= 4 && s.log2_max_frame_num <= 16 && s.poc_type <= 2);
        assert(s.poc_type || (s.log2_max_poc_lsb >= 4 && s.log2_max_poc_lsb <= 16));
    }
    taken = pps_parse(data, size, &p) == 0;
    assert(taken == p.valid);
    assert(!taken || (p.sps_id < SPS_IDS && p.refs_default[0] <= REFS_MAX));
    return 0;
}
