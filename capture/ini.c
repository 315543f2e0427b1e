#include "capture/ini.h"

#include <string.h>

enum row_kind { ROW_BLANK, ROW_COMMENT, ROW_NUL, ROW_TEXT };

struct row {
    enum row_kind kind;
    const char *text; /* without outer blanks */
    size_t length, indent;
    size_t next; /* where the next line begins */
};

/* str.isspace(), as far as ASCII goes. */
static int is_blank(char c)
{
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31);
}

static void trim(const char **text, size_t *length)
{
    while (*length && is_blank(**text))
        (*text)++, (*length)--;
    while (*length && is_blank((*text)[*length - 1]))
        (*length)--;
}

/* The line that begins at `at`, which is before the end. */
static struct row read_row(const char *text, size_t length, size_t at)
{
    struct row row = {.text = text + at};
    size_t end = at;

    while (end < length && text[end] != '\n' && text[end] != '\r')
        end++;
    row.length = end - at;
    trim(&row.text, &row.length);
    row.indent = (size_t)(row.text - (text + at));
    if (!row.length)
        row.kind = ROW_BLANK;
    else if (memchr(row.text, 0, row.length))
        row.kind = ROW_NUL;
    else
        row.kind = *row.text == '#' || *row.text == ';' ? ROW_COMMENT : ROW_TEXT;
    if (end + 1 < length && text[end] == '\r' && text[end + 1] == '\n')
        end++;
    row.next = end < length ? end + 1 : length;
    return row;
}

void ini_init(struct ini *ini, const char *text, size_t length)
{
    *ini = (struct ini){.text = text, .length = length};
    if (length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        ini->at = 3;
}

static enum ini_kind bad(const struct row *row, struct ini_item *item, const char *why)
{
    item->name = row->text;
    item->name_length = row->length;
    item->why = why;
    return item->kind = INI_BAD;
}

/* "[name]" and anything behind it; a name may hold brackets. */
static int is_section(const struct row *row, struct ini_item *item)
{
    size_t end = row->length;

    if (*row->text != '[')
        return 0;
    while (end > 1 && row->text[end - 1] != ']')
        end--;
    if (end < 3)
        return 0;
    item->name = row->text + 1;
    item->name_length = end - 2;
    return 1;
}

/* Takes the lines that continue the value. Blank lines and comments between them belong to it,
 * those behind the last of them do not. */
static void take_value(struct ini *ini, struct ini_item *item)
{
    unsigned line = ini->line;

    for (size_t at = ini->at; at < ini->length;) {
        struct row row = read_row(ini->text, ini->length, at);
        at = row.next;
        line++;
        if (row.kind == ROW_BLANK || row.kind == ROW_COMMENT)
            continue;
        if (row.kind == ROW_NUL || row.indent <= ini->indent)
            break;
        item->value_length = (size_t)(row.text + row.length - item->value);
        ini->at = at;
        ini->line = line;
    }
}

static enum ini_kind read_key(struct ini *ini, const struct row *row, struct ini_item *item)
{
    size_t n = 0;

    while (n < row->length && row->text[n] != '=' && row->text[n] != ':')
        n++;
    if (n == row->length) /* and deeper lines still continue the key before it, if there is one */
        return bad(row, item, "neither a [section] nor key = value");
    ini->key = n > 0;
    if (!n)
        return bad(row, item, "no key before the = or :");
    item->name = row->text;
    item->name_length = n;
    trim(&item->name, &item->name_length);
    item->value = row->text + n + 1;
    item->value_length = row->length - n - 1;
    take_value(ini, item);
    return item->kind = INI_KEY;
}

enum ini_kind ini_next(struct ini *ini, struct ini_item *item)
{
    while (ini->at < ini->length) {
        struct row row = read_row(ini->text, ini->length, ini->at);
        ini->at = row.next;
        *item = (struct ini_item){.line = ++ini->line};
        if (row.kind == ROW_NUL)
            return bad(&row, item, "a NUL in it");
        if (row.kind != ROW_TEXT || (ini->key && row.indent > ini->indent))
            continue;
        ini->indent = row.indent;
        if (is_section(&row, item)) {
            ini->section = 1;
            ini->key = 0;
            return item->kind = INI_SECTION;
        }
        if (!ini->section)
            return bad(&row, item, "text before the first [section]");
        return read_key(ini, &row, item);
    }
    *item = (struct ini_item){.kind = INI_END, .line = ini->line};
    return item->kind;
}

struct buffer {
    char *out;
    size_t size, length;
};

static void put(struct buffer *b, char c)
{
    if (b->length + 1 < b->size)
        b->out[b->length] = c;
    b->length++;
}

static size_t finish(struct buffer *b)
{
    if (b->size)
        b->out[b->length < b->size ? b->length : b->size - 1] = 0;
    return b->length;
}

size_t ini_value(const struct ini_item *item, char *out, size_t size)
{
    struct buffer b = {out, size, 0};

    for (size_t at = 0; at < item->value_length;) {
        struct row row = read_row(item->value, item->value_length, at);
        if (!at || row.kind != ROW_COMMENT) { /* behind the key nothing is a comment */
            if (at)
                put(&b, '\n');
            for (size_t i = 0; i < row.length; i++)
                put(&b, row.text[i]);
        }
        at = row.next;
    }
    return finish(&b);
}

size_t ini_key(const struct ini_item *item, char *out, size_t size)
{
    struct buffer b = {out, size, 0};

    for (size_t i = 0; i < item->name_length; i++) {
        char c = item->name[i];
        put(&b, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
    return finish(&b);
}
