/* The appliance's configuration: what is read from it, what it makes run, and every mistake. */
#include <stdio.h>
#include <string.h>

#include "scripts/config.h"
#include "scripts/lines.h"
#include "scripts/page.h"
#include "scripts/plan.h"
#include "scripts/tlsconf.h"
#include "tests/tap.h"

static struct config config;
static struct config_mistakes mistakes;
static struct plan plan;
static const struct plan_places places = {"/www", "/pages", "/run/stunnel.conf"};

static int reads(const char *text)
{
    return config_read(&config, text, strlen(text), &mistakes) == 0;
}

/* Whether the only mistake is in that line and says so. */
static int mistaken(const char *text, unsigned line, const char *says)
{
    int good = !reads(text) && mistakes.count == 1 && mistakes.list[0].line == line &&
               strstr(mistakes.list[0].text, says);
    if (!good)
        for (size_t i = 0; i < mistakes.count; i++)
            printf("# %u: %s\n", mistakes.list[i].line, mistakes.list[i].text);
    return good;
}

/* The arguments of a service, joined by '|'. */
static const char *runs(const char *name)
{
    static char text[ARGS_BYTES];
    for (size_t i = 0; i < plan.count; i++) {
        struct args *args = &plan.service[i].args;
        if (strcmp(plan.service[i].name, name) != 0)
            continue;
        memcpy(text, args->text, args->used);
        for (size_t j = 0; j + 1 < args->used; j++)
            if (!text[j])
                text[j] = '|';
        return text;
    }
    return "no such service";
}

static int is(const char *name, const char *want)
{
    const char *got = runs(name);
    if (strcmp(got, want) == 0)
        return 1;
    printf("# %s: %s\n", name, got);
    return 0;
}

static int planned(const char *text)
{
    return reads(text) && plan_make(&plan, &config, &places) == 0;
}

static void test_defaults(void)
{
    ok(planned("") && plan.count == 3, "an empty file is one camera");
    ok(is("cam0", "ondemand|-d|3|cam0|v4l2cap|-d|/dev/video0|-s|640x480|-r|30/1"), "its capture");
    ok(is("cam0/log", "ringput|-d|3|cam0|h264fmp4|-g|au"), "its stage");
    ok(is("web", "fanout|-d|3|-l|8000|-w|/pages|-w|/www|cam0"), "the web server");
    ok(strcmp(plan.service[0].name, "cam0/log") == 0, "a logger is laid out before its producer");
    config_default(&config);
    ok(config.count == 1 && config.camera[0].auto_sleep && config.port == 8000, "no file at all");
}

static void test_keys(void)
{
    ok(planned(
           "[server]\nlisten = ::1\nport: 80\npriority=-20\n"
           "[/dev/v4l/by-id/usb-Some_Maker_Some_Long_Camera_Name_1234567890ABCDEF-video-index0]\n"
           "WIDTH = 1920\nheight=1080\nfps = 29.97\nauto_sleep = OFF\nrotation = 270\n"
           "Exposure_Auto = Manual Mode\nh264_level = 4.2\n"
           "[/dev/video2]\nname = garden\ncapture_format = H264\n"),
       "all keys");
    ok(is("cam0",
          "ondemand|-d|3|-a|cam0|v4l2cap|-d|/dev/v4l/by-id/"
          "usb-Some_Maker_Some_Long_Camera_Name_1234567890ABCDEF-video-index0|-s|1920x1080|-r|"
          "2997/100|-c|exposure_auto=Manual Mode|-c|h264_level=4.2"),
       "size, rate and controls are said to the capture program");
    ok(is("cam0/log", "ringput|-d|3|cam0|h264fmp4|-g|au|-R|270"), "rotation is the muxer's");
    ok(is("web", "fanout|-d|3|-l|[::1]:80|-w|/pages|-w|/www|cam0|garden"), "IPv6; both cameras");
    ok(config.priority == -20, "priority");
    static const char *const yes[] = {"yes", "On", "TRUE", "1"}, *const no[] = {"no", "oFF",
                                                                                "false", "0"};
    char text[64];
    int good = 1;
    for (int i = 0; i < 4; i++) {
        snprintf(text, sizeof text, "[/a]\nauto_sleep=%s", yes[i]);
        good &= reads(text) && config.camera[0].auto_sleep;
        snprintf(text, sizeof text, "[/a]\nauto_sleep=%s", no[i]);
        good &= reads(text) && !config.camera[0].auto_sleep;
    }
    ok(good, "the words for yes and no");
}

static void test_command(void)
{
    ok(planned("[/a]\ncommand = rpicam-vid --inline  -t 0\n  -o - 'a b'\"c'd\" e\\ f '' $(x) #y\n"),
       "a command in two lines");
    ok(is("cam0", "ondemand|-d|3|cam0|rpicam-vid|--inline|-t|0|-o|-|a bc'd|e f||$(x)|#y"),
       "words, quotes, nothing expanded");
    ok(mistaken("[/a]\ncommand = x 'y\n", 2, "quote"), "a quote that is not closed");
    ok(mistaken("[/a]\ncommand = x \\\n", 2, "backslash"), "a backslash at the end");
    ok(mistaken("[/a]\ncommand =\n", 2, "empty"), "an empty command");
    ok(mistaken("[/a]\ncommand = x\nfps = 30\n", 1, "for the command to say"), "fps beside it");
    ok(mistaken("[/a]\nbrightness = 1\ncommand = x\n", 1, "for the command to say"), "controls");
    ok(reads("[/a]\ncommand = x\nrotation = 90\nname = b\nauto_sleep = no\n"), "what may be");
}

static void test_mistakes(void)
{
    ok(mistaken("[server]\nport = 65536\n", 2, "65535"), "port");
    ok(mistaken("[server]\nport = 80x\n", 2, "port = 80x"), "what is behind a number");
    ok(mistaken("[server]\npriority = -21\n", 2, "-20"), "priority");
    ok(mistaken("[server]\npriority = 20\n", 2, "19"), "priority, too low");
    ok(mistaken("[/a]\nwidth = 0\n", 2, "pixels"), "width");
    ok(mistaken("[/a]\nheight = 99999\n", 2, "16384"), "height");
    ok(mistaken("[/a]\nrotation = 45\n", 2, "90"), "rotation");
    ok(mistaken("[/a]\nauto_sleep = maybe\n", 2, "yes or no"), "auto_sleep");
    ok(mistaken("[/a]\nname = a/b\n", 2, "letters"), "name");
    ok(mistaken("[/a]\nname = web\n", 2, "another service"), "a name that is taken");
    ok(mistaken("[/a]\nfps = 30\nFPS = 25\n", 3, "second"), "a key twice");
    ok(mistaken("[/a]\ngain = 1\nGain = 2\n", 3, "second"), "a control twice");
    ok(reads("[/a]\ngain = 1\ngain_auto = 2\n"), "but not one that only begins alike");
    ok(mistaken("[/a]\n[/b]\n[/a]\nfps = no\n", 3, "line 1"), "a section twice");
    ok(mistaken("[server]\n[server]\n", 2, "second"), "[server] twice");
    ok(mistaken("[DEFAULT]\nfps = 20\n", 1, "neither"), "a section that is nothing");
    ok(mistaken("[/a]\nname = cam1\n[/b]\n", 3, "cam1"), "a name that another has by default");
    ok(mistaken("[/a]\ncapture_format = MJPG\n", 2, "not there yet"), "MJPG");
    ok(mistaken("[/a]\nencoder = /dev/video11\n", 2, "not there yet"), "an encoder");
    ok(mistaken("fps = 30\n", 1, "section"), "a key in no section");
    ok(mistaken("[/a]\nfps\n", 2, "="), "a line that is nothing");
}

static void test_server(void)
{
    ok(planned("[server]\nport = 80\nhttps_port = 443\nkeyfile = /k y\ncertfile = /c\n"
               "redirect = yes\nproxy_port = 9001\nusers = /etc/u\nwww = /srv/w\n"
               "max_viewers = 10\nmax_per_address = 4\nlog = On\n"),
       "all keys of [server]");
    ok(is("web",
          "fanout|-d|3|-l|80|-P|9001|-r|443|-w|/srv/w|-w|/pages|-w|/www|-u|/etc/u|-a|4|-m|10|"
          "-L|cam0"),
       "the web server");
    ok(is("tls", "env|GLIBC_TUNABLES=glibc.malloc.mmap_max=0|stunnel|/run/stunnel.conf"), "HTTPS");
    ok(plan.service[2].binds && plan.service[3].binds && !plan.service[0].binds &&
           plan.service[3].starts_ready && !plan.service[2].starts_ready,
       "who binds low ports, who cannot say that he is ready");
    ok(planned("[server]\nhttps_port = 8443\n") && config.proxy_port == 8001 &&
           !*config.certfile.path && !plan.service[3].binds,
       "HTTPS with a certificate of our own");
    ok(planned("[server]\nkeyfile = /k\ncertfile = /c\n") && config.https_port == 8443,
       "a certificate alone means HTTPS");
    ok(planned("[server]\nproxy_port = 8002\n") && plan.count == 3 &&
           strstr(runs("web"), "|-P|8002|"),
       "a front end of somebody else's");
    ok(planned("") && !strstr(runs("web"), "-P") && !strstr(runs("web"), "-u") &&
           !strstr(runs("web"), "-L") && plan.service[2].talks && !plan.service[0].talks,
       "none of it");
    ok(mistaken("[server]\nlog = maybe\n", 2, "yes or no"), "log");
    ok(mistaken("[server]\nlog =\n", 2, "yes or no"), "log, and nothing");
    ok(mistaken("[server]\nkeyfile = /k\n", 1, "both"), "a key without a certificate");
    ok(mistaken("[server]\ncertfile = /c\n", 1, "both"), "a certificate without a key");
    ok(mistaken("[server]\ncertfile = c\nkeyfile = /k\n", 2, "from / on") ||
           mistakes.list[1].line == 2,
       "a path from nowhere");
    ok(mistaken("[server]\nredirect = yes\n", 1, "https_port"), "a redirection to nothing");
    ok(mistaken("[server]\nport = 443\nhttps_port = 443\n", 1, "both are 443"), "one port twice");
    ok(mistaken("[server]\nport = 8001\nhttps_port = 443\n", 1, "taken"), "the third of them");
    ok(mistaken("[server]\nmax_viewers = 0\n", 2, "1 to 2048"), "no viewer");
    ok(mistaken("[server]\nmax_per_address = 9999\n", 2, "1 to 4096"), "too many of one");
    ok(mistaken("[server]\nhttps_prot = 1\n", 2, "https_prot"), "no such key");
    ok(mistaken("[a]\n", 1, "neither"), "no such section");
    ok(mistaken("[/a]\ncapture_format = YUYV\nencoder = /dev/video11\ndecoder = /dev/video10\n"
                "capture_memory = DMABUF\n",
                2, "not there yet"),
       "one line for all that an encoder would take");
    ok(!reads("[/a]\nencoder = /x\n[/b]\nencoder = /x\n") && mistakes.count == 2, "a camera");
}

static void test_record(void)
{
    ok(planned("[record]\ndir = /r\n") && plan.count == 4 && config.camera[0].recorded,
       "a [record] is enough: all cameras");
    ok(is("rec-cam0", "ringcat|cam0|fmp4hls|-d|/r/cam0|-t|6|-k|10G"), "the recorder");
    ok(plan.service[3].role == ROLE_RECORD && plan.service[3].starts_ready &&
           !plan.service[3].logged,
       "is the recorder's user's, and cannot say that it is ready");
    ok(planned("[/a]\n[/b]\nname = b\n[record]\ndir = /r\nkeep = 7d\nsegment = 2.5\n"
               "cameras =\n  b\n\n"),
       "all keys of [record], in front of cameras or behind");
    ok(!config.camera[0].recorded && config.camera[1].recorded && plan.count == 6 &&
           is("rec-b", "ringcat|b|fmp4hls|-d|/r/b|-t|2.5|-k|7d"),
       "one camera of two");
    ok(planned("[/a]\n") && plan.count == 3 && !config.camera[0].recorded && !config.record.line,
       "without it nothing is recorded");
    ok(reads("[record]\nkeep = 500M\n") && config.record.keep_bytes == 500u << 20 &&
           config.record.keep_line == 2,
       "a size");
    ok(reads("[record]\nkeep = 24h\n") && config.record.keep_bytes == 0, "an age");
    ok(mistaken("[record]\nkeep = 6\n", 2, "age"), "a number of segments");
    ok(mistaken("[record]\nkeep = 10K\n", 2, "10G"), "another unit");
    ok(mistaken("[record]\nkeep = 0h\n", 2, "age"), "nothing");
    ok(mistaken("[record]\nkeep = 99999999T\n", 2, "size"), "more than there is");
    ok(mistaken("[record]\nkeep =\n", 2, "age"), "an empty one");
    ok(mistaken("[record]\nsegment = 0.4\n", 2, "0.5 to 60"), "a short segment");
    ok(mistaken("[record]\nsegment = 61\n", 2, "0.5 to 60"), "a long one");
    ok(mistaken("[record]\ndir = here\n", 2, "from / on"), "a directory from nowhere");
    ok(mistaken("[record]\ncameras = cam0 cam1\n", 2, "cam1: no camera"), "an unknown camera");
    ok(mistaken("[/a]\nname = ab\n[record]\ncameras = a\n", 4, "a: no camera"),
       "one that only begins alike");
    ok(mistaken("[record]\ncameras =\n", 2, "empty"), "no camera");
    ok(mistaken("[record]\nkeeps = 1d\n", 2, "keeps: no key of [record]"), "no such key");
    ok(mistaken("[record]\n[/a]\n[record]\n", 3, "line 1"), "[record] twice");
    ok(mistaken("[/a]\n[/b]\nname = rec-cam0\n[record]\n", 2, "recorder of cam0"),
       "a camera that is called as another's recorder");
    ok(reads("[/a]\n[/b]\nname = rec-cam0\n[record]\ncameras = rec-cam0\n"),
       "but where that has none it may be");
    ok(mistaken("[/a]\nname = recordings\n[record]\n", 1, "where recordings are"),
       "a camera that is called as all recordings");
    ok(reads("[/a]\nname = recordings\n"), "which it may be where there are none");
}

static void test_pages(void)
{
    static char page[PAGE_BYTES], long_page[PAGE_BYTES];
    static const char installed[] = "<video></video>\n<nav><a href=\"x\">X</a></nav>\n";
    size_t n;
    reads("[/a]\n[/b]\n[/c]\n[record]\ncameras = cam0 cam2\n");
    n = page_recordings(&config, page);
    ok(n == strlen(page) && strstr(page, "<a href=\"cam0/\">cam0</a>") &&
           strstr(page, "<a href=\"cam2/\">cam2</a>") && !strstr(page, "cam1"),
       "the page of all recordings");
    n = page_camera(installed, sizeof installed - 1, "../recordings/a/", page);
    ok(n == strlen(page) &&
           strcmp(page, "<video></video>\n<nav><a href=\"../recordings/a/\">Recordings</a> "
                        "<a href=\"x\">X</a></nav>\n") == 0,
       "a camera's page with a link to them");
    n = page_camera(installed, 16, "r", page);
    ok(n == 16 && memcmp(page, installed, 16) == 0, "one that has no place for it");
    memset(long_page, ' ', sizeof long_page);
    ok(page_camera(long_page, PAGE_BYTES - 1, "r", page) == PAGE_BYTES - 1 &&
           page_camera(long_page, PAGE_BYTES, "r", page) == 0,
       "one that is too long");
}

static void test_files(void)
{
    static char text[TLSCONF_BYTES], page[PAGE_BYTES], many[CONFIG_BYTES];
    size_t n = 0, length;
    reads("[server]\nhttps_port = 8443\n");
    length = tlsconf_write(&config, "/run/pair.pem", 1, text);
    ok(length == strlen(text) && strstr(text, "\naccept = :::8443\n") &&
           strstr(text, "\nconnect = 127.0.0.1:8001\nprotocol = proxy\ncert = /run/pair.pem\n"),
       "stunnel's configuration");
    tlsconf_write(&config, "/run/pair.pem", 0, text);
    ok(strstr(text, "\naccept = 0.0.0.0:8443\n") != NULL, "without IPv6");
    reads("[server]\nlisten = ::1\nhttps_port = 8443\n");
    tlsconf_write(&config, "/run/pair.pem", 1, text);
    ok(strstr(text, "\naccept = ::1:8443\n") != NULL, "on one address");
    ok(tlsconf_write(&config, "/run\npid = /x", 1, text) == 0, "a path with a newline is refused");
    for (int i = 0; i < CONFIG_CAMERAS; i++)
        n += (size_t)snprintf(many + n, sizeof many - n, "[/%d]\nname = %0*d\n", i, CONFIG_NAME_MAX,
                              i);
    ok(reads(many) && (length = page_write(&config, page)) == strlen(page) && length < PAGE_BYTES,
       "a page of as many cameras as there may be");
    int live = 0, stills = 0;
    for (const char *p = page; (p = strstr(p, "/stream.mp4\"")); p++)
        live++;
    for (const char *p = page; (p = strstr(p, "/still.mp4\"")); p++)
        stills++;
    ok(live == PAGE_LIVE && live + stills == CONFIG_CAMERAS, "%d live, %d stills", live, stills);
}

static void test_limits(void)
{
    static char text[CONFIG_BYTES];
    size_t n = 0;
    for (int i = 0; i < CONFIG_CAMERAS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "[/%d]\n", i);
    ok(planned(text) && plan.count == 2 * CONFIG_CAMERAS + 1, "as many cameras as can be");
    snprintf(text + n, sizeof text - n, "[/more]\n");
    ok(mistaken(text, CONFIG_CAMERAS + 1, "more than 16"), "one more");
    snprintf(text + n, sizeof text - n, "[server]\nhttps_port = 443\n[record]\n");
    ok(planned(text) && plan.count == PLAN_SERVICES, "as many services");
    n = (size_t)snprintf(text, sizeof text, "[/a]\n");
    for (int i = 0; i < 200; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "fps = x%d\nfps = y\n", i);
    ok(!reads(text) && mistakes.count == 400, "more mistakes than are listed are counted");
    n = (size_t)snprintf(text, sizeof text, "[/a]\n");
    for (int i = 0; i < ARGS_COUNT + 1; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "control%d = 1\n", i);
    ok(mistaken(text, ARGS_COUNT + 2, "too many"), "too many controls");
    n = (size_t)snprintf(text, sizeof text, "[/a]\n");
    for (int i = 0; i < ARGS_COUNT / 2; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "control%d = 1\n", i);
    ok(reads(text) && plan_make(&plan, &config, &places) < 0 &&
           strcmp(plan.service[plan.count].name, "cam0") == 0,
       "controls that fit, but not into the arguments");
    memset(text, 'x', sizeof text);
    memcpy(text, "[/a]\nk=", 7);
    ok(!reads((text[CONFIG_TEXT_MAX + 7] = 0, text)) && mistakes.list[0].line == 2, "a long value");
    memset(text, 'x', sizeof text);
    memcpy(text, "[/", 2);
    text[CONFIG_TEXT_MAX + 1] = ']';
    text[CONFIG_TEXT_MAX + 2] = 0;
    ok(!reads(text) && mistakes.list[0].line == 1, "a long section");
}

static void test_lines(void)
{
    static struct lines lines;
    static char text[3 * LINES_MAX];
    const char *p = "one\n\n t\two\033[1m\r\nthr";
    size_t n = strlen(p);
    const char *line = lines_next(&lines, &p, &n);
    ok(line && strcmp(line, "one") == 0, "a line");
    line = lines_next(&lines, &p, &n);
    ok(line && strcmp(line, " t wo?[1m?") == 0, "no control characters, no empty lines");
    ok(!lines_next(&lines, &p, &n) && n == 0, "an unfinished one");
    p = "ee\n";
    n = 3;
    line = lines_next(&lines, &p, &n);
    ok(line && strcmp(line, "three") == 0, "comes when it is whole");
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\n';
    p = text;
    n = sizeof text;
    line = lines_next(&lines, &p, &n);
    ok(line && strlen(line) == LINES_MAX && n == 0, "a long one is cut");
}

int main(void)
{
    test_defaults();
    test_keys();
    test_command();
    test_mistakes();
    test_server();
    test_record();
    test_pages();
    test_files();
    test_limits();
    test_lines();
    return done();
}
