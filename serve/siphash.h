/* SipHash-2-4 (Aumasson and Bernstein, 2012): a hash that nobody without the key can predict or
 * collide. */
#ifndef SERVE_SIPHASH_H
#define SERVE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint8_t bytes[16]; /* from getrandom(2), once a process */
};

/* Of data[0, length). The same on every machine: words are read as little-endian. */
uint64_t siphash(const struct siphash_key *key, const void *data, size_t length);

#endif
