/* What capture/ini.h makes of texts, for a program that compares: any number of them on stdin, each
 * after a line with its length in bytes; on stdout one line an item, what it holds in hexadecimal:
 *
 *   section LINE NAME
 *   key LINE NAME VALUE
 *   bad LINE
 *   end LINE */
#include <stdio.h>
#include <stdlib.h>

#include "capture/ini.h"

enum { TEXT_MAX = 1 << 16 };

static void print_hex(const char *text, size_t length)
{
    printf(" ");
    for (size_t i = 0; i < length; i++)
        printf("%02x", (unsigned)(unsigned char)text[i]);
}

static void print_item(const struct ini_item *item)
{
    static const char *const kinds[] = {"section", "key", "end", "bad"};
    static char out[TEXT_MAX];

    printf("%s %u", kinds[item->kind], item->line);
    if (item->kind == INI_SECTION)
        print_hex(item->name, item->name_length);
    if (item->kind == INI_KEY) {
        print_hex(out, ini_key(item, out, sizeof out));
        print_hex(out, ini_value(item, out, sizeof out));
    }
    printf("\n");
}

int main(void)
{
    static char text[TEXT_MAX];
    struct ini ini;
    struct ini_item item;
    char head[32];

    while (fgets(head, sizeof head, stdin)) {
        size_t length = strtoul(head, NULL, 10);
        if (length >= sizeof text || fread(text, 1, length, stdin) != length)
            return 1;
        ini_init(&ini, text, length);
        do {
            ini_next(&ini, &item);
            print_item(&item);
        } while (item.kind != INI_END);
    }
    return ferror(stdin) || fflush(stdout);
}
