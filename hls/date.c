#include "hls/date.h"

#include <inttypes.h>
#include <stdio.h>

enum { EPOCH = 1970, MS_A_DAY = 86400000, US_A_MS = 1000 };

/* From 0001-01-01 to the first of January of that year (Gregorian). */
static uint64_t days_before(uint64_t year)
{
    uint64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400;
}

static unsigned days_of(unsigned month, uint64_t year)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = days_before(year + 1) - days_before(year) == 366;
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

void date_write(char out[DATE_LENGTH + 1], uint64_t us)
{
    uint64_t ms = us / US_A_MS % MS_A_DAY, day = us / US_A_MS / MS_A_DAY + days_before(EPOCH);
    uint64_t year = EPOCH + us / US_A_MS / MS_A_DAY / 366; /* some too early, at most */
    unsigned month = 1;
    while (days_before(year + 1) <= day)
        year++;
    day -= days_before(year);
    for (; day >= days_of(month, year); month++)
        day -= days_of(month, year);
    int n = snprintf(
        out, DATE_LENGTH + 1,
        "%04" PRIu64 "-%02u-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64 "Z",
        year, month, day + 1, ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    if (n != DATE_LENGTH)
        out[0] = 0;
}

static unsigned digits(const char *p, int n)
{
    unsigned v = 0;
    for (int i = 0; i < n; i++)
        v = v * 10 + (unsigned)(unsigned char)p[i] - '0';
    return v;
}

uint64_t date_read(const char *p)
{
    uint64_t year = digits(p, 4), days = days_before(year) - days_before(EPOCH);
    for (unsigned month = 1; month < digits(p + 5, 2) && month <= 12; month++)
        days += days_of(month, year);
    days += digits(p + 8, 2) - 1u;
    uint64_t ms = digits(p + 11, 2) * UINT64_C(3600000) + digits(p + 14, 2) * UINT64_C(60000) +
                  digits(p + 17, 2) * UINT64_C(1000) + digits(p + 20, 3);
    return (days * MS_A_DAY + ms) * US_A_MS;
}
