#include "scripts/lines.h"

const char *lines_next(struct lines *lines, const char **bytes, size_t *length)
{
    while (*length) {
        char c = *(*bytes)++;
        (*length)--;
        if (c == '\n') {
            size_t n = lines->used;
            lines->text[n] = 0;
            lines->used = 0;
            if (n)
                return lines->text;
        } else if (lines->used < LINES_MAX) {
            unsigned char u = (unsigned char)c;
            lines->text[lines->used++] = u == '\t' ? ' ' : u < ' ' || u == 127 ? '?' : c;
        }
    }
    return NULL;
}
