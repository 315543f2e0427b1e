#include "scripts/page.h"

#include <stdio.h>
#include <string.h>

static const char top[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1, viewport-fit=cover\">\n"
    "<meta name=\"color-scheme\" content=\"dark\">\n"
    "<link rel=\"icon\" href=\"data:,\">\n";

static const char live_top[] =
    "<title>Live</title>\n"
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

static const char recordings_top[] =
    "<title>Recordings</title>\n"
    "<style>\n"
    "  body { margin: 1rem; background: #000; color: #999; font: 1rem/1.8 system-ui, sans-serif }\n"
    "  ul { list-style: none; padding: 0 }\n"
    "  a { color: inherit }\n"
    "  a:hover, a:focus { color: #fff }\n"
    "</style>\n"
    "<body>\n"
    "<p><a href=\"../\">Live</a></p>\n"
    "<ul>\n";

/* Safari cannot play the first, and takes the second. */
static const char live_video[] =
    "<a href=\"%s/\"><video autoplay muted playsinline>"
    "<source src=\"%s/stream.mp4\" type=\"video/mp4\">"
    "<source src=\"%s/stream.m3u8\" type=\"application/vnd.apple.mpegurl\"></video>"
    "<span>%s</span></a>\n";

static const char still_video[] =
    "<a href=\"%s/\"><video muted playsinline src=\"%s/still.mp4\"></video><span>%s</span></a>\n";

size_t page_write(const struct config *config, char *out)
{
    int n = snprintf(out, PAGE_BYTES, "%s%s", top, live_top);
    for (size_t i = 0; i < config->count; i++) {
        const char *name = config->camera[i].name;
        if (i < PAGE_LIVE)
            n += snprintf(out + n, PAGE_BYTES - (size_t)n, live_video, name, name, name, name);
        else
            n += snprintf(out + n, PAGE_BYTES - (size_t)n, still_video, name, name, name);
    }
    int recorded = 0;
    for (size_t i = 0; i < config->count; i++)
        recorded |= config->camera[i].recorded;
    n += snprintf(out + n, PAGE_BYTES - (size_t)n, "%s</body>\n</html>\n",
                  recorded ? "<a href=\"recordings/\">Recordings</a>\n" : "");
    return (size_t)n;
}

size_t page_recordings(const struct config *config, char *out)
{
    int n = snprintf(out, PAGE_BYTES, "%s%s", top, recordings_top);
    for (size_t i = 0; i < config->count; i++) {
        const struct config_camera *camera = &config->camera[i];
        if (camera->recorded)
            n += snprintf(out + n, PAGE_BYTES - (size_t)n, "<li><a href=\"%s/\">%s</a></li>\n",
                          camera->name, camera->name);
    }
    n += snprintf(out + n, PAGE_BYTES - (size_t)n, "</ul>\n</body>\n</html>\n");
    return (size_t)n;
}

size_t page_camera(const char *page, size_t length, const char *href, char *out)
{
    static const char nav[] = "<nav>";
    const char *found = memmem(page, length, nav, sizeof nav - 1);
    size_t before = found ? (size_t)(found - page) + sizeof nav - 1 : length;
    int n = snprintf(out, PAGE_BYTES, "%.*s%s%s%s%.*s", (int)before, page,
                     found ? "<a href=\"" : "", found ? href : "",
                     found ? "\">Recordings</a> " : "", (int)(length - before), page + before);
    return n < PAGE_BYTES ? (size_t)n : 0;
}
