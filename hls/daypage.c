#include "hls/daypage.h"

#include <stdio.h>
#include <string.h>

enum { ENTRY_MAX = 400, FRAME_MAX = 1600 };

static const char marker[] = "<meta name=\"generator\" content=\"fmp4hls\">";

static const char front[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"generator\" content=\"fmp4hls\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"dark\">\n"
    "<title>Recordings</title>\n"
    "<link rel=\"icon\" href=\"data:,\">\n"
    "<style>\n"
    "  body { margin: 0 auto; padding: 0.5rem; max-width: 60rem; background: #000; color: #999;\n"
    "    font: 1rem/1.5 system-ui, sans-serif }\n"
    "  video { display: block; width: 100%; max-height: 80vh; background: #111 }\n"
    "  summary { padding: 0.5rem; cursor: pointer }\n"
    "  summary:hover, a:hover, a:focus { color: #fff }\n"
    "  a { color: inherit; padding: 0.5rem }\n"
    "</style>\n"
    "<body>\n"
    "<p>Days are by UTC. A day that is not over plays from its end, as it is still growing.</p>\n";

static const char back[] = "</body>\n</html>\n";

static void add_entry(struct folder_file *file, const char *title, const char *uri)
{
    char text[ENTRY_MAX];
    int n = snprintf(text, sizeof text,
                     "<details><summary>%s</summary>\n"
                     "<video controls preload=\"none\" playsinline src=\"%s.m3u8\"></video>\n"
                     "<a href=\"%s.m3u8\">for a media player, or where the browser has no HLS</a>"
                     "</details>\n",
                     title, uri, uri);
    if (n > 0 && n < ENTRY_MAX)
        folder_add(file, text, (size_t)n);
}

int daypage_write(struct folder *f, struct folder_file *file, const struct days *d)
{
    char name[NAME_LENGTH + 1];
    name_write(name, &(struct name){.kind = NAME_PAGE});
    if (folder_begin(f, file, name) < 0)
        return -1;
    folder_add(file, front, strlen(front));
    add_entry(file, "Live", "stream");
    for (size_t i = d->count; i-- > 0;) {
        name_write_day(name, d->day[i].day, d->day[i].part);
        add_entry(file, name, name);
    }
    folder_add(file, back, strlen(back));
    return folder_commit(file);
}

uint64_t daypage_size(const struct days *d)
{
    return FRAME_MAX + (d->count + 2) * (uint64_t)ENTRY_MAX;
}

int daypage_is_ours(const char *text, size_t len)
{
    return memmem(text, len, marker, strlen(marker)) != NULL;
}
