#include "capture/rate.h"

#include "capture/number.h"

enum { DECIMALS_MAX = 4, SECOND_US = 1000000 };

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int rate_parse(const char *text, struct rate *rate)
{
    uint64_t num, part = 0, den = 1;
    const char *end = number_digits(text, &num);

    if (!end || num > (uint64_t)RATE_MAX * RATE_DEN_MAX)
        return -1;
    if (*end == '.') {
        const char *point = end;
        end = number_digits(point + 1, &part);
        if (!end || end - point - 1 > DECIMALS_MAX)
            return -1;
        for (const char *p = point + 1; p < end; p++)
            den *= 10;
        num = num * den + part;
    } else if (*end == '/') {
        end = number_digits(end + 1, &den);
    }
    if (!end || *end || den < 1 || den > RATE_DEN_MAX)
        return -1;
    if (num > RATE_MAX * den || num * RATE_MIN_INV < den)
        return -1;
    uint32_t common = gcd((uint32_t)num, (uint32_t)den);
    *rate = (struct rate){(uint32_t)num / common, (uint32_t)den / common};
    return 0;
}

/* num frames take exactly den seconds, so only the rest of a division is rounded. */
uint64_t rate_us(struct rate rate, uint64_t n)
{
    uint64_t cycle = (uint64_t)rate.den * SECOND_US;
    uint64_t rest = n % rate.num * cycle;

    return n / rate.num * cycle + (2 * rest + rate.num) / (2 * (uint64_t)rate.num);
}

uint64_t rate_due(struct rate rate, uint64_t us)
{
    uint64_t cycle = (uint64_t)rate.den * SECOND_US;
    uint64_t n = us / cycle * rate.num + us % cycle * rate.num / cycle;

    while (rate_us(rate, n + 1) <= us)
        n++;
    while (n && rate_us(rate, n) > us)
        n--;
    return n;
}

uint32_t rate_second(struct rate rate)
{
    uint32_t frames = (2 * rate.num + rate.den) / (2 * rate.den);

    return frames ? frames : 1;
}
