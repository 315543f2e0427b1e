#include "capture/control.h"

#include "capture/number.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- Names --- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void control_name(const char *label, char out[CONTROL_NAME])
{
    size_t n = 0;
    int pair = 0; /* the last character is a `_` that may still take one more into itself */

    for (; *label && n < CONTROL_NAME - 1; label++) {
        char c = lower(*label);
        if (strchr(",&(.)", c))
            continue;
        if (c == ' ' || c == '-')
            c = '_';
        if (c == '_' && pair) {
            pair = 0;
            continue;
        }
        pair = c == '_';
        out[n++] = c;
    }
    out[n] = 0;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Levenshtein's, a row at a time. */
unsigned control_distance(const char *a, const char *b)
{
    unsigned row[CONTROL_NAME];
    size_t len = strnlen(b, CONTROL_NAME - 1);

    for (size_t j = 0; j <= len; j++)
        row[j] = (unsigned)j;
    for (unsigned i = 1; *a && i < CONTROL_NAME; a++, i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            unsigned same = diagonal + (*a != b[j - 1]);
            diagonal = row[j];
            row[j] = least(row[j] + 1, row[j - 1] + 1, same);
        }
    }
    return row[len];
}

/* --- Values --- */

int control_plain(const struct control *c)
{
    switch (c->query.type) {
    case V4L2_CTRL_TYPE_INTEGER:
    case V4L2_CTRL_TYPE_INTEGER64:
    case V4L2_CTRL_TYPE_BOOLEAN:
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
    case V4L2_CTRL_TYPE_BITMASK:
    case V4L2_CTRL_TYPE_BUTTON:
        return !(c->query.flags & V4L2_CTRL_FLAG_HAS_PAYLOAD);
    case V4L2_CTRL_TYPE_STRING:
        return c->query.elems <= 1;
    default:
        return 0;
    }
}

__attribute__((format(printf, 2, 3))) static int wrong(char why[CONTROL_WHY], const char *format,
                                                       ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(why, CONTROL_WHY, format, ap);
    va_end(ap);
    return -1;
}

/* Digits after 0x. Returns what follows them, or a null pointer. */
static const char *hex_digits(const char *p, uint64_t *value)
{
    static const char digits[] = "0123456789abcdef";
    const char *start = p, *digit;

    for (*value = 0; *p && (digit = strchr(digits, lower(*p))); p++) {
        if (*value >> 60)
            return NULL;
        *value = *value << 4 | (uint64_t)(digit - digits);
    }
    return p > start ? p : NULL;
}

/* The whole text as a number, decimal with an optional sign, or 0x... */
static int parse_number(const char *text, int64_t *value)
{
    int negative = *text == '-';
    const char *p = text + negative, *end;
    uint64_t n;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
        end = hex_digits(p + 2, &n);
    else
        end = number_digits(p, &n);
    if (!end || *end || n > (uint64_t)INT64_MAX + (uint64_t)negative)
        return -1;
    *value = !negative ? (int64_t)n : n > INT64_MAX ? INT64_MIN : -(int64_t)n;
    return 0;
}

static int parse_integer(const struct v4l2_query_ext_ctrl *q, const char *text, int64_t *value,
                         char why[CONTROL_WHY])
{
    int64_t v;

    if (!parse_number(text, &v) && v >= q->minimum && v <= q->maximum &&
        (q->step <= 1 || ((uint64_t)v - (uint64_t)q->minimum) % q->step == 0)) {
        *value = v;
        return 0;
    }
    if (q->step > 1)
        return wrong(why, "want a number from %" PRId64 " to %" PRId64 " in steps of %" PRIu64,
                     (int64_t)q->minimum, (int64_t)q->maximum, (uint64_t)q->step);
    return wrong(why, "want a number from %" PRId64 " to %" PRId64, (int64_t)q->minimum,
                 (int64_t)q->maximum);
}

static int parse_boolean(const char *text, int64_t *value, char why[CONTROL_WHY])
{
    static const char *const words[] = {"0", "1", "no", "yes", "false", "true", "off", "on"};
    char word[CONTROL_NAME];

    control_name(text, word);
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!strcmp(word, words[i])) {
            *value = i & 1;
            return 0;
        }
    }
    return wrong(why, "want 0, 1, no, yes, false or true");
}

static int wrong_item(const struct control *c, char why[CONTROL_WHY])
{
    size_t len = (size_t)snprintf(why, CONTROL_WHY, "want one of");

    for (unsigned i = 0; i < c->items && len < CONTROL_WHY; i++) {
        const char *comma = i + 1 < c->items ? "," : "";
        int n =
            c->query.type == V4L2_CTRL_TYPE_MENU
                ? snprintf(why + len, CONTROL_WHY - len, " '%s' (%" PRIu32 ")%s", c->item[i].label,
                           c->item[i].index, comma)
                : snprintf(why + len, CONTROL_WHY - len, " %" PRId64 "%s", c->item[i].value, comma);
        len += n > 0 ? (size_t)n : 0;
    }
    return -1;
}

static int parse_menu(const struct control *c, const char *text, int64_t *value,
                      char why[CONTROL_WHY])
{
    int named = c->query.type == V4L2_CTRL_TYPE_MENU;
    char want[CONTROL_NAME], has[CONTROL_NAME];
    int64_t number;
    int numeric = !parse_number(text, &number);

    control_name(text, want);
    for (int loose = 0; loose < 3; loose++) {
        for (unsigned i = 0; i < c->items; i++) {
            const struct control_item *item = &c->item[i];
            int hit = 0;
            control_name(item->label, has);
            if (loose == 2)
                hit = numeric && number == (named ? (int64_t)item->index : item->value);
            else if (named)
                hit = loose ? !strcmp(has, want) : !strcmp(item->label, text);
            if (hit) {
                *value = item->index;
                return 0;
            }
        }
    }
    return wrong_item(c, why);
}

static int parse_bits(const struct v4l2_query_ext_ctrl *q, const char *text, int64_t *value,
                      char why[CONTROL_WHY])
{
    uint32_t mask = (uint32_t)q->maximum;
    int64_t v;

    if (parse_number(text, &v) || v < 0 || v & ~(int64_t)mask)
        return wrong(why, "want a bit mask within 0x%" PRIx32, mask);
    *value = v;
    return 0;
}

static int parse_text(const struct v4l2_query_ext_ctrl *q, const char *text, char out[CONTROL_TEXT],
                      char why[CONTROL_WHY])
{
    size_t len = strlen(text);
    int64_t n = (int64_t)len;

    if (n >= q->minimum && n <= q->maximum && len < CONTROL_TEXT &&
        (q->step <= 1 || (uint64_t)(n - q->minimum) % q->step == 0)) {
        memcpy(out, text, len + 1);
        return 0;
    }
    if (q->step > 1)
        return wrong(why, "want %" PRId64 " to %" PRId64 " characters, in steps of %" PRIu64,
                     (int64_t)q->minimum, (int64_t)q->maximum, (uint64_t)q->step);
    return wrong(why, "want %" PRId64 " to %" PRId64 " characters", (int64_t)q->minimum,
                 (int64_t)q->maximum);
}

int control_parse(const struct control *c, const char *text, struct control_value *value,
                  char why[CONTROL_WHY])
{
    value->number = 0;
    value->text[0] = 0;
    if (!control_plain(c))
        return wrong(why, "an array or a compound, which can't be set from text");
    if (c->query.flags & V4L2_CTRL_FLAG_READ_ONLY)
        return wrong(why, "read-only");
    switch (c->query.type) {
    case V4L2_CTRL_TYPE_BOOLEAN:
        return parse_boolean(text, &value->number, why);
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
        return parse_menu(c, text, &value->number, why);
    case V4L2_CTRL_TYPE_BITMASK:
        return parse_bits(&c->query, text, &value->number, why);
    case V4L2_CTRL_TYPE_BUTTON:
        return !*text || !strcmp(text, "1") ? 0 : wrong(why, "a button: want nothing or 1");
    case V4L2_CTRL_TYPE_STRING:
        return parse_text(&c->query, text, value->text, why);
    default:
        return parse_integer(&c->query, text, &value->number, why);
    }
}

void control_format(const struct control *c, const struct control_value *value, char *out,
                    size_t size)
{
    switch (c->query.type) {
    case V4L2_CTRL_TYPE_STRING:
        snprintf(out, size, "%s", value->text);
        return;
    case V4L2_CTRL_TYPE_BITMASK:
        snprintf(out, size, "0x%" PRIx32, (uint32_t)value->number);
        return;
    case V4L2_CTRL_TYPE_BUTTON:
        snprintf(out, size, "%s", "");
        return;
    case V4L2_CTRL_TYPE_MENU:
    case V4L2_CTRL_TYPE_INTEGER_MENU:
        for (unsigned i = 0; i < c->items; i++) {
            if ((int64_t)c->item[i].index != value->number)
                continue;
            if (c->query.type == V4L2_CTRL_TYPE_MENU)
                snprintf(out, size, "%s", c->item[i].label);
            else
                snprintf(out, size, "%" PRId64, c->item[i].value);
            return;
        }
        break;
    default:
        break;
    }
    snprintf(out, size, "%" PRId64, value->number);
}
