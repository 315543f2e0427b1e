#include "scripts/args.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void args_init(struct args *args)
{
    args->used = args->count = 0;
    args->full = 0;
}

void args_add_bytes(struct args *args, const char *string, size_t length)
{
    if (args->full || args->count == ARGS_COUNT || length >= sizeof args->text - args->used ||
        memchr(string, 0, length)) {
        args->full = 1;
        return;
    }
    memcpy(args->text + args->used, string, length);
    args->text[args->used + length] = 0;
    args->used += length + 1;
    args->count++;
}

void args_add(struct args *args, const char *string)
{
    args_add_bytes(args, string, strlen(string));
}

void args_addf(struct args *args, const char *format, ...)
{
    char *at = args->text + args->used;
    size_t room = sizeof args->text - args->used;
    va_list list;
    va_start(list, format);
    int n = vsnprintf(at, room, format, list);
    va_end(list);
    if (args->full || args->count == ARGS_COUNT || n < 0 || (size_t)n >= room) {
        args->full = 1;
        return;
    }
    args->used += (size_t)n + 1;
    args->count++;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One word from *line on into out, of at least strlen(*line) bytes. Returns its length, or -1. */
static long word(const char **line, char *out)
{
    const char *p = *line;
    long n = 0;
    char quote = 0;
    for (; *p && (quote || !is_blank(*p)); p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? 0 : *p;
        } else if (*p == '\\' && quote != '\'') {
            if (!*++p)
                return -1;
            out[n++] = *p;
        } else {
            out[n++] = *p;
        }
    }
    *line = p;
    return quote ? -1 : n;
}

int args_split(struct args *args, const char *line)
{
    char text[ARGS_BYTES];
    if (strlen(line) >= sizeof text) {
        args->full = 1;
        return 0;
    }
    for (;;) {
        while (is_blank(*line))
            line++;
        if (!*line)
            return 0;
        long n = word(&line, text);
        if (n < 0)
            return -1;
        args_add_bytes(args, text, (size_t)n);
    }
}

void args_vector(struct args *args, char **argv)
{
    char *p = args->text;
    for (size_t i = 0; i < args->count; i++) {
        argv[i] = p;
        p += strlen(p) + 1;
    }
    argv[args->count] = NULL;
}

int args_equal(const struct args *a, const struct args *b)
{
    return a->full == b->full && a->used == b->used && memcmp(a->text, b->text, a->used) == 0;
}
