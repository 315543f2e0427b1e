#include "scripts/page.h"

#include <stdio.h>

static const char top[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1, viewport-fit=cover\">\n"
    "<meta name=\"color-scheme\" content=\"dark\">\n"
    "<title>Live</title>\n"
    "<link rel=\"icon\" href=\"data:,\">\n"
    "<style>\n"
    "  body { margin: 0; background: #000; color: #999; font: 0.8rem/1.5 system-ui, sans-serif;\n"
    "    display: grid; gap: 2px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), "
    "1fr)) }\n"
    "  a { position: relative; color: inherit; text-decoration: none }\n"
    "  video { display: block; width: 100%; aspect-ratio: 16 / 9; object-fit: contain }\n"
    "  span { position: absolute; top: 0.5rem; left: 0.75rem; text-shadow: 0 0 0.2rem #000 }\n"
    "  a:hover, a:focus { color: #fff }\n"
    "</style>\n"
    "<body>\n";

size_t page_write(const struct config *config, char *out)
{
    int n = snprintf(out, PAGE_BYTES, "%s", top);
    for (size_t i = 0; i < config->count; i++) {
        const char *name = config->camera[i].name;
        n += snprintf(out + n, PAGE_BYTES - (size_t)n,
                      "<a href=\"%s/\"><video %smuted playsinline src=\"%s/%s.mp4\"></video>"
                      "<span>%s</span></a>\n",
                      name, i < PAGE_LIVE ? "autoplay " : "", name,
                      i < PAGE_LIVE ? "stream" : "still", name);
    }
    n += snprintf(out + n, PAGE_BYTES - (size_t)n, "</body>\n</html>\n");
    return (size_t)n;
}
