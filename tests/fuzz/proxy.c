/* The PROXY line: never more than is there, never longer than it may be, and cut at any byte it
 * wants more or is bad. */
#include "serve/proxy.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_ends ends, part;
    char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    int n = proxy_parse(copy, size, &ends);
    if (n > PROXY_MAX || (n > 0 && (size_t)n > size) || (n > 0 && copy[n - 1] != '\n'))
        abort();
    for (size_t i = 0; n > 0 && i < (size_t)n; i++)
        if (proxy_parse(copy, i, &part) != PROXY_MORE)
            abort();
    free(copy);
    return 0;
}
