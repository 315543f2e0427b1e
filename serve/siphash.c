#include "serve/siphash.h"

enum { COMPRESS = 2, FINISH = 4 }; /* rounds */

static uint64_t rotate(uint64_t x, int left)
{
    return x << left | x >> (64 - left);
}

static uint64_t little_endian(const uint8_t *p, size_t bytes)
{
    uint64_t x = 0;
    for (size_t i = 0; i < bytes; i++)
        x |= (uint64_t)p[i] << (8 * i);
    return x;
}

static void rounds(uint64_t v[4], int count)
{
    for (; count > 0; count--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static void absorb(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    rounds(v, COMPRESS);
    v[0] ^= word;
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t length)
{
    const uint8_t *p = data;
    uint64_t k0 = little_endian(key->bytes, 8), k1 = little_endian(key->bytes + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                     k1 ^ 0x7465646279746573};
    size_t whole = length / 8 * 8;
    for (size_t i = 0; i < whole; i += 8)
        absorb(v, little_endian(p + i, 8));
    /* The last word ends in the length's low byte, so that trailing zeros count. */
    absorb(v, (uint64_t)length << 56 | little_endian(p + whole, length - whole));
    v[2] ^= 0xff;
    rounds(v, FINISH);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
