#include "serve/accesslog.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DATE_MAX = 80, REQUEST_MAX = ACCESSLOG_METHOD_MAX + ACCESSLOG_TARGET_MAX + 16 };

#define LAST_SECOND INT64_C(253402300799) /* of 9999: years have four digits */

static size_t escape(char *out, size_t max, const char *p, size_t len, int blanks)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)p[i];
        int plain = c >= ' ' && c < 127 && c != '"' && c != '\\' && !(c == ' ' && blanks);
        if (max - n < (plain ? 1 : 4))
            break;
        if (plain) {
            out[n++] = (char)c;
            continue;
        }
        out[n++] = '\\';
        out[n++] = 'x';
        out[n++] = digits[c >> 4];
        out[n++] = digits[c & 15];
    }
    out[n] = 0;
    return n;
}

size_t accesslog_text(char *out, size_t max, const char *p, size_t len)
{
    return escape(out, max, p, len, 0);
}

void accesslog_user(struct accesslog *a, const char *p, size_t len)
{
    escape(a->user, ACCESSLOG_USER_MAX, p, len, 1);
}

void accesslog_referer(struct accesslog *a, const char *p, size_t len)
{
    size_t host = 0, end, user;
    while (host < len && p[host] != '/')
        host++;
    if (len - host < 2 || p[host + 1] != '/') {
        escape(a->referer, ACCESSLOG_REFERER_MAX, p, len, 0);
        return;
    }
    host += 2;
    for (end = host; end < len && p[end] != '/' && p[end] != '?' && p[end] != '#'; end++)
        ;
    for (user = end; user > host && p[user - 1] != '@'; user--)
        ;
    size_t n = escape(a->referer, ACCESSLOG_REFERER_MAX, p, host, 0);
    escape(a->referer + n, ACCESSLOG_REFERER_MAX - n, p + user, len - user, 0);
}

void accesslog_address(char out[INET6_ADDRSTRLEN], const struct in6_addr *addr)
{
    const char *got = IN6_IS_ADDR_V4MAPPED(addr)
                          ? inet_ntop(AF_INET, &addr->s6_addr[12], out, INET6_ADDRSTRLEN)
                          : inet_ntop(AF_INET6, addr, out, INET6_ADDRSTRLEN);
    if (!got)
        snprintf(out, INET6_ADDRSTRLEN, "-");
}

static int is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* The C library's gmtime() may read a file of time zones, and allocates for it. */
static void write_date(char out[DATE_MAX], int64_t at)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    at = at < 0 ? 0 : at > LAST_SECOND ? LAST_SECOND : at;
    int days = (int)(at / 86400), second = (int)(at % 86400), year = 1970, month = 0;
    for (; days >= 365 + is_leap(year); year++)
        days -= 365 + is_leap(year);
    for (; days >= lengths[month] + (month == 1 && is_leap(year)); month++)
        days -= lengths[month] + (month == 1 && is_leap(year));
    snprintf(out, DATE_MAX, "%02d/%s/%04d:%02d:%02d:%02d +0000", days + 1, months[month], year,
             second / 3600, second / 60 % 60, second % 60);
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

static void write_number(char out[24], int64_t n)
{
    if (n < 0)
        snprintf(out, 24, "-");
    else
        snprintf(out, 24, "%" PRId64, n);
}

size_t accesslog_line(char out[ACCESSLOG_LINE_MAX], const struct accesslog *a)
{
    char addr[INET6_ADDRSTRLEN] = "-", date[DATE_MAX], request[REQUEST_MAX] = "-";
    char status[24], bytes[24], took[32] = "-";
    if (a->addr)
        accesslog_address(addr, a->addr);
    write_date(date, a->at);
    if (*a->target)
        snprintf(request, sizeof request, "%s %s HTTP/1.%d", a->method, a->target, a->minor & 1);
    write_number(status, a->status ? (int64_t)a->status : -1);
    write_number(bytes, a->bytes);
    if (a->took >= 0)
        snprintf(took, sizeof took, "%" PRId64 ".%03d", a->took / 1000000,
                 (int)(a->took / 1000 % 1000));
    int n = snprintf(out, ACCESSLOG_LINE_MAX, "%s - %s [%s] \"%s\" %s %s \"%s\" \"%s\" %s %s\n",
                     addr, or_dash(a->user), date, request, status, bytes, or_dash(a->referer),
                     or_dash(a->agent), took, a->why ? a->why : "-");
    return (size_t)n;
}
