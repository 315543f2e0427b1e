/* What an INI file says to the capture program. */
#include <stdio.h>
#include <string.h>

#include "capture/v4l2conf.h"
#include "tests/tap.h"

static struct v4l2conf conf;

static int reads(const char *text)
{
    return v4l2conf_read(&conf, text, strlen(text), "/dev/video0") == 0;
}

static int wrong(const char *text, unsigned line, const char *why)
{
    return !reads(text) && conf.line == line && strstr(conf.why, why);
}

int main(void)
{
    static char text[V4L2CONF_BYTES];
    ok(reads("") && !conf.found && !conf.controls && !conf.width, "nothing");
    ok(reads("[server]\nwidth = x\n[/dev/video1]\nfps = y\n") && !conf.found,
       "what other sections say does not matter");
    ok(reads("[/dev/video0]\nwidth = 1280\nheight = 720\nfps = 29.97\nname = a\ncommand = b\n"
             "rotation = 90\nauto_sleep = no\nExposure_Auto: Manual Mode\ngain = \n"),
       "a section");
    ok(conf.found && conf.width == 1280 && conf.height == 720 && conf.rate_given &&
           conf.rate.num == 2997 && conf.rate.den == 100,
       "size and rate");
    ok(conf.controls == 2 && strcmp(conf.control[0], "exposure_auto=Manual Mode") == 0 &&
           strcmp(conf.control[1], "gain=") == 0,
       "controls");
    ok(wrong("[/dev/video0]\nwidth = 0\n", 2, "pixels"), "width");
    ok(wrong("[/dev/video0]\n\nheight = 1x\n", 3, "pixels"), "height");
    ok(wrong("[/dev/video0]\nfps = 1000\n", 2, "rate"), "fps");
    ok(wrong("fps = 30\n", 1, "section"), "the file's form");
    size_t n = (size_t)snprintf(text, sizeof text, "[/dev/video0]\n");
    for (int i = 0; i <= V4L2CONF_CONTROLS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "c%d = 1\n", i);
    ok(wrong(text, V4L2CONF_CONTROLS + 2, "64"), "too many controls");
    n = (size_t)snprintf(text, sizeof text, "[/dev/video0]\nc = ");
    memset(text + n, 'x', V4L2CONF_TEXT - 3);
    text[n + V4L2CONF_TEXT - 3] = 0;
    ok(reads(text) && strlen(conf.control[0]) == V4L2CONF_TEXT - 1, "as long as can be");
    text[n + V4L2CONF_TEXT - 3] = 'x';
    text[n + V4L2CONF_TEXT - 2] = 0;
    ok(wrong(text, 2, "too long"), "one byte longer");
    memset(text, 'k', 300);
    memcpy(text, "[/dev/video0]\n", 14);
    memcpy(text + 300, "=1\n", 4);
    ok(wrong(text, 2, "too long"), "a long key");
    return done();
}
