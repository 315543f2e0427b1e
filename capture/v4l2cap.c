/* v4l2cap: the camera at the head of the pipe. Options and signals; see v4l2cap.h for the rest. */
#include "capture/v4l2cap.h"
#include "capture/exit.h"
#include "capture/number.h"
#include "capture/v4l2conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: v4l2cap [-d device] [-s WxH] [-r fps] [-f FOURCC] [-c control=value]... [-F conf]\n"
    "               [-n frames]\n"
    "       v4l2cap -l [-d device] [-c control=value]... [-F conf]\n"
    "       v4l2cap -L [-d device]\n"
    "       v4l2cap -h | -V\n";

volatile sig_atomic_t v4l2cap_stop, v4l2cap_key_wanted;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        v4l2cap_key_wanted = 1;
    else
        v4l2cap_stop = 1;
}

/* Caught early: until then SIGUSR1 would kill. A second SIGTERM or SIGINT ends it even while a
 * driver does not answer. */
static void catch_signals(void)
{
    struct sigaction key = {.sa_handler = on_signal};
    struct sigaction end = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGUSR1, &key, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void bad_option(const char *option, const char *value, const char *why)
{
    fprintf(stderr, "v4l2cap: %s %s: %s\n", option, value, why);
    exit(EXIT_USAGE);
}

static uint32_t parse_fourcc(const char *text)
{
    uint32_t code = 0;
    size_t len = strlen(text);

    if (len < 1 || len > 4)
        bad_option("-f", text, "want a four-character code like H264");
    for (size_t i = 0; i < 4; i++) {
        unsigned char c = i < len ? (unsigned char)text[i] : ' ';
        if (c < ' ' || c > '~')
            bad_option("-f", text, "want a four-character code like H264");
        code |= (uint32_t)c << 8 * i;
    }
    return code;
}

static void show(const char *text)
{
    fputs(text, stdout);
    exit(fflush(stdout) ? EXIT_AGAIN : 0);
}

static void parse_option(struct v4l2cap_options *o, int c, const char *option)
{
    switch (c) {
    case 'd':
        o->device = optarg;
        break;
    case 's':
        if (number_parse_size(optarg, V4L2CAP_SIDE_MAX, &o->width, &o->height))
            bad_option("-s", optarg, "want WIDTHxHEIGHT, like 1280x720");
        o->size_given = 1;
        break;
    case 'r':
        if (rate_parse(optarg, &o->rate))
            bad_option("-r", optarg,
                       "want frames a second like 30, 29.97 or 30000/1001, 0.1 to 240");
        o->rate_given = 1;
        break;
    case 'f':
        o->fourcc = parse_fourcc(optarg);
        break;
    case 'c':
        if (*optarg == '=' || !*optarg)
            bad_option("-c", optarg, "want name=value (v4l2cap -l lists the controls)");
        if (o->controls == V4L2CAP_CONTROLS)
            bad_option("-c", optarg, "more than 64 of them");
        o->control[o->controls++] = optarg;
        break;
    case 'F':
        o->conf = optarg;
        break;
    case 'l':
    case 'L':
        if (o->mode && o->mode != c)
            bad_option("-l", "-L", "one of them at a time");
        o->mode = c;
        break;
    case 'n':
        if (number_parse(optarg, 1, UINT32_MAX, &o->frames))
            bad_option("-n", optarg, "want a number of frames, 1 to 4294967295");
        break;
    case 'h':
        show(usage);
        break;
    case 'V':
        show("v4l2cap " VERSION "\n");
        break;
    case ':':
        bad_option("option", option, "needs a value");
        break;
    default:
        bad_option("option", option, "unknown (-h shows the usage)");
    }
}

static size_t read_file(const char *path, char *text, size_t size)
{
    size_t length = 0;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        bad_option("-F", path, strerror(errno));
    while ((n = read(fd, text + length, size - length)) > 0)
        length += (size_t)n;
    if (n < 0)
        bad_option("-F", path, strerror(errno));
    if (length == size)
        bad_option("-F", path, "larger than 64 KiB");
    close(fd);
    return length;
}

/* The file's controls go before those of -c, which so have the last word; so have -s and -r. */
static void read_conf(struct v4l2cap_options *o)
{
    static char text[V4L2CONF_BYTES + 1];
    static struct v4l2conf conf;
    size_t length = read_file(o->conf, text, sizeof text);

    if (v4l2conf_read(&conf, text, length, o->device) < 0) {
        fprintf(stderr, "v4l2cap: %s:%u: %s\n", o->conf, conf.line, conf.why);
        exit(EXIT_USAGE);
    }
    if (!conf.found)
        fprintf(stderr, "v4l2cap: %s: no section [%s]\n", o->conf, o->device);
    if (o->controls + conf.controls > V4L2CAP_CONTROLS)
        bad_option("-F", o->conf, "with -c more than 64 controls");
    memmove(o->control + conf.controls, o->control, o->controls * sizeof *o->control);
    memcpy(o->control, conf.control, conf.controls * sizeof *o->control);
    o->controls += conf.controls;
    if (!o->size_given && conf.width)
        o->width = conf.width;
    if (!o->size_given && conf.height)
        o->height = conf.height;
    if (!o->rate_given && conf.rate_given)
        o->rate = conf.rate;
}

static void parse(struct v4l2cap_options *o, int argc, char **argv)
{
    int c;

    *o = (struct v4l2cap_options){.width = 640, .height = 480, .rate = {30, 1}};
    opterr = 0;
    while ((c = getopt(argc, argv, "+:d:s:r:f:c:F:n:lLhV")) != -1) {
        char option[] = {'-', (char)optopt, 0};
        parse_option(o, c, option);
    }
    if (optind < argc)
        bad_option("argument", argv[optind], "unexpected (-h shows the usage)");
    if (!o->device && o->mode != 'L')
        o->device = "/dev/video0";
    if (o->mode && (o->size_given || o->rate_given || o->fourcc || o->frames))
        bad_option("-l or -L", "with -s, -r, -f or -n", "only lists");
    if (o->mode == 'L' && (o->controls || o->conf))
        bad_option("-L", "with -c or -F", "only lists");
    if (o->conf)
        read_conf(o);
}

int main(int argc, char **argv)
{
    static struct v4l2cap_options o;
    static struct device device;

    catch_signals();
    parse(&o, argc, argv);
    if (o.mode == 'l')
        return v4l2cap_list(&o);
    if (o.mode == 'L')
        return v4l2cap_list_formats(&o);
    if (isatty(STDOUT_FILENO))
        bad_option("standard output", "is a terminal", "want a pipe or a file for the video");
    int status = v4l2cap_open(&device, &o);
    if (status)
        return status;
    status = v4l2cap_run(&device, &o);
    device_close(&device);
    return status;
}
