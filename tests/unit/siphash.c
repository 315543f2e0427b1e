/* SipHash-2-4 against what OpenSSL's makes of the same: the key 00 01 .. 0f, n bytes 00 01 .. */
#include "serve/siphash.h"
#include "tests/tap.h"

#include <string.h>

static const struct {
    size_t length;
    uint64_t hash;
} vectors[] = {
    {0, 0x726fdb47dd0e0e31},  {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
    {8, 0x93f5f5799a932462},  {9, 0x9e0082df0ba9e4b0},  {15, 0xa129ca6149be45e5},
    {16, 0x3f2acc7f57c29bdb}, {63, 0x958a324ceb064572}, {64, 0xacd2c40b8502cad8},
};

int main(void)
{
    struct siphash_key key;
    uint8_t data[1000];
    for (size_t i = 0; i < sizeof key; i++)
        key.bytes[i] = (uint8_t)i;
    for (size_t i = 0; i < 64; i++)
        data[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        ok(siphash(&key, data, vectors[i].length) == vectors[i].hash, "%zu bytes",
           vectors[i].length);
    memset(&key, 0xff, sizeof key);
    memset(data, 'a', sizeof data);
    ok(siphash(&key, data, sizeof data) == 0x190cfa895b53c9fc, "1000 bytes, another key");
    ok(siphash(&key, data, 7) != siphash(&key, "aaaaaaa\0", 8), "a zero behind them counts");
    return done();
}
