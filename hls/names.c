/* The reader takes a name apart loosely and lets the writer judge. */
#include "hls/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/number.h"
#include "hls/date.h"

enum { DAY_LENGTH = 10 }; /* of 2026-11-25 */

#define TEMPORARY ".tmp"
#define UNDATED   "undated"

static const char *const fixed[] = {
    [NAME_LIVE] = "live.m3u8",
    [NAME_MASTER] = "stream.m3u8",
    [NAME_PAGE] = "index.html",
};

void name_write_day(char out[NAME_LENGTH + 1], uint32_t day, uint32_t part)
{
    char date[DATE_LENGTH + 1] = UNDATED, number[16] = "";
    if (day) {
        date_write(date, day * NAME_DAY_US);
        date[DAY_LENGTH] = 0;
    }
    if (part > 1)
        snprintf(number, sizeof number, "-%" PRIu32, part);
    snprintf(out, NAME_LENGTH + 1, "%.10s%s", date, number);
}

void name_write(char out[NAME_LENGTH + 1], const struct name *n)
{
    const char *end = n->temporary ? TEMPORARY : "";
    char day[NAME_LENGTH + 1];
    out[0] = 0;
    switch (n->kind) {
    case NAME_OTHER:
        break;
    case NAME_SEGMENT:
        snprintf(out, NAME_LENGTH + 1, "seg-%" PRIu64 ".m4s%s", n->number, end);
        break;
    case NAME_INIT:
        snprintf(out, NAME_LENGTH + 1, "init-%" PRIu64 ".mp4%s", n->number, end);
        break;
    case NAME_DAY:
        name_write_day(day, n->day, n->part);
        snprintf(out, NAME_LENGTH + 1, "%.22s.m3u8%s", day, end);
        break;
    default:
        snprintf(out, NAME_LENGTH + 1, "%s%s", fixed[n->kind], end);
        break;
    }
}

static int begins(const char *text, const char *word)
{
    return strncmp(text, word, strlen(word)) == 0;
}

static void read_day(struct name *n, const char *text)
{
    const char *behind = text + strlen(UNDATED);
    uint64_t part = 1;
    n->kind = NAME_DAY;
    if (!begins(text, UNDATED)) {
        behind = text + DAY_LENGTH;
        char date[DATE_LENGTH + 1] = "0000-00-00T00:00:00.000Z";
        memcpy(date, text, DAY_LENGTH);
        n->day = (uint32_t)(date_read(date) / NAME_DAY_US);
    }
    if (*behind == '-' && !number_digits(behind + 1, &part))
        part = 0;
    n->part = (uint32_t)part;
}

struct name name_parse(const char *text)
{
    struct name n = {.kind = NAME_OTHER};
    char again[NAME_LENGTH + 1];
    size_t len = strlen(text), end = strlen(TEMPORARY);
    if (len > NAME_LENGTH || len < DAY_LENGTH - 1)
        return n;
    n.temporary = strcmp(text + len - end, TEMPORARY) == 0;
    for (unsigned i = NAME_LIVE; i <= NAME_PAGE; i++)
        if (begins(text, fixed[i]))
            n.kind = (enum name_kind)i;
    if (begins(text, "seg-") && number_digits(text + 4, &n.number))
        n.kind = NAME_SEGMENT;
    else if (begins(text, "init-") && number_digits(text + 5, &n.number))
        n.kind = NAME_INIT;
    else if (n.kind == NAME_OTHER && len >= DAY_LENGTH)
        read_day(&n, text);
    name_write(again, &n);
    if (strcmp(again, text) != 0 || n.number >> 62 || (n.kind == NAME_INIT && n.number >> 32))
        n.kind = NAME_OTHER;
    return n;
}
