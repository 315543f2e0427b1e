/* Text that is written into a buffer bit by bit; what does not fit is cut off. */
#ifndef SERVE_TEXT_H
#define SERVE_TEXT_H

#include <stddef.h>

struct text {
    char *p;
    size_t cap, len; /* len < cap */
};

__attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *format, ...);

#endif
