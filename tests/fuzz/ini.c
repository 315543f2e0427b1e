/* Any bytes may be read as an INI file: its items come in the order of their lines and lie within
 * it, and what they say, written down again in the plainest way, reads the same without a mistake.
 */
#include "capture/ini.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

enum { SIZE_MAX_READ = 1 << 12, OUT_MAX = 1 << 14 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t write_text(char *out, const char *text, size_t length)
{
    size_t n = 0;

    for (size_t i = 0; i < length; i++) {
        out[n++] = text[i];
        if (text[i] == '\n')
            out[n++] = ' ';
    }
    return n;
}

static size_t write_item(char *out, const struct ini_item *item)
{
    static char part[OUT_MAX];
    size_t n = 0, length;

    if (item->kind == INI_SECTION) {
        out[n++] = '[';
        n += write_text(out + n, item->name, item->name_length);
        out[n++] = ']';
    } else {
        length = ini_key(item, part, sizeof part);
        assert(length == item->name_length && !part[length]);
        n += write_text(out + n, part, length);
        out[n++] = '=';
        length = ini_value(item, part, sizeof part);
        assert(length <= item->value_length && strlen(part) == length);
        n += write_text(out + n, part, length);
    }
    out[n++] = '\n';
    return n;
}

static void check_item(const struct ini_item *item, const char *text, size_t size)
{
    const char *end = text + size;

    assert(item->name_length && item->name >= text &&
           item->name_length <= (size_t)(end - item->name));
    if (item->kind == INI_KEY)
        assert(item->value > item->name && item->value <= end &&
               item->value_length <= (size_t)(end - item->value));
    assert((item->kind == INI_BAD) == (item->why != NULL));
}

/* All items but mistakes, which are counted. */
static size_t write_all(char *out, const char *text, size_t size, unsigned *bad)
{
    struct ini ini;
    struct ini_item item;
    unsigned line = 0;
    size_t n = 0;

    *bad = 0;
    ini_init(&ini, text, size);
    while (ini_next(&ini, &item) != INI_END) {
        assert(item.line > line);
        line = item.line;
        check_item(&item, text, size);
        if (item.kind == INI_BAD)
            ++*bad;
        else
            n += write_item(out + n, &item);
    }
    assert(item.line >= line && ini_next(&ini, &item) == INI_END);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char once[OUT_MAX], twice[OUT_MAX];
    unsigned bad;

    if (!size || size > SIZE_MAX_READ)
        return 0;
    size_t n = write_all(once, (const char *)data, size, &bad);
    size_t again = write_all(twice, once, n, &bad);
    assert(!bad && again == n && !memcmp(once, twice, n));
    return 0;
}
