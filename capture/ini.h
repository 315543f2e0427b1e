/* INI files in the dialect of Python's configparser.ConfigParser() (CPython 3.10 and later), item
 * by item:
 *
 *   # a comment, and so is a line that begins with ;
 *   [/dev/video0]                  up to the last ] of the line; what follows that is ignored
 *   Key = value # and so on        or "Key: value": the first of = and : counts
 *     more of the value            lines indented deeper than the key continue it
 *
 * Blanks around lines, keys and values do not count, except that indentation decides what continues
 * a value; there even a [section] is text. A comment is a line of its own, indented as it likes,
 * also between the lines of a value, of which it is no part; a blank line there is. Lines end in
 * LF, CR LF or CR; the last one needs none. Names and values have any length; only a value may be
 * empty.
 *
 * Mistakes: text before the first section; a line with neither = nor :, such as []; no key before
 * the = or :; a NUL.
 *
 * What differs from configparser:
 *   - A % is a %, and %% are two: no interpolation.
 *   - [DEFAULT] is a section like the others.
 *   - Nothing is remembered, so two sections or keys of one name are two items. configparser calls
 *     that a mistake; so may the caller.
 *   - Bytes stay what they are: blanks are ASCII's (space, 9 to 13, 28 to 31), only A to Z become
 *     lower case, and UTF-8 is not checked.
 *   - A byte order mark at the beginning is skipped, a NUL is a mistake.
 *   - No mistake ends the reading, so that all of them can be named.
 *
 * Pure: reads the caller's text where it is, which must outlive the items; no allocation, no limit
 * but UINT_MAX lines, time in proportion to the length. Limit the size of the file instead. */
#ifndef CAPTURE_INI_H
#define CAPTURE_INI_H

#include <stddef.h>

enum ini_kind {
    INI_SECTION, /* name */
    INI_KEY,     /* name, value: see ini_key() and ini_value() */
    INI_END,     /* and again whenever asked; line is the last one, 0 in an empty text */
    INI_BAD,     /* name is the line without its outer blanks, why a few words */
};

struct ini_item {
    enum ini_kind kind;
    unsigned line; /* 1 is the first; of a key, where the key is */
    const char *name;
    size_t name_length;
    const char *value; /* as it is in the text, with the lines that continue it */
    size_t value_length;
    const char *why;
};

struct ini {
    const char *text;
    size_t length, at;
    unsigned line; /* how many came before at */
    /* Private. */
    size_t indent; /* of the last line that continued nothing */
    int section;   /* one was seen */
    int key;       /* deeper lines continue one */
};

void ini_init(struct ini *ini, const char *text, size_t length);

/* Returns item->kind. After INI_BAD it goes on behind the mistake; lines that would have continued
 * a mistake are passed over. */
enum ini_kind ini_next(struct ini *ini, struct ini_item *item);

/* The value as configparser returns it: its lines without outer blanks, joined by '\n', trailing
 * empty ones dropped. The key in lower case. Only for INI_KEY. As snprintf(): at most size bytes
 * are written, a final NUL included; returns the length of all of it without the NUL, so a result
 * of size or more means that it was cut. */
size_t ini_value(const struct ini_item *item, char *out, size_t size);
size_t ini_key(const struct ini_item *item, char *out, size_t size);

#endif
