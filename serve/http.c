#include "serve/http.h"

#include <string.h>
#include <strings.h>

/* The end of the head: behind the first empty line. 0 when there is none yet. Lines may end in LF
 * alone (RFC 9112 2.2). */
static size_t head_end(const char *buf, size_t len)
{
    const char *p = buf, *end = buf + len, *lf;
    while ((lf = memchr(p, '\n', (size_t)(end - p)))) {
        size_t line = (size_t)(lf - p);
        if (lf != buf && (line == 0 || (line == 1 && *p == '\r')))
            return (size_t)(lf + 1 - buf);
        p = lf + 1;
    }
    return 0;
}

/* Cuts a line off the front of *rest, without its line end. */
static struct http_span cut_line(struct http_span *rest)
{
    const char *lf = memchr(rest->p, '\n', rest->len);
    struct http_span line = {rest->p, (size_t)(lf - rest->p)};
    rest->len -= line.len + 1;
    rest->p = lf + 1;
    if (line.len && line.p[line.len - 1] == '\r')
        line.len--;
    return line;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A letter, a digit or one of the others. */
static int is_one_of(char c, const char *others)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c && strchr(others, c));
}

/* RFC 9110 5.6.2 */
static int is_token(struct http_span v)
{
    for (size_t i = 0; i < v.len; i++)
        if (!is_one_of(v.p[i], "!#$%&'*+-.^_`|~"))
            return 0;
    return v.len > 0;
}

/* A carriage return in the middle of a line, too, may end it for somebody else. */
static int has_control(struct http_span v)
{
    for (size_t i = 0; i < v.len; i++)
        if (((unsigned char)v.p[i] < ' ' && v.p[i] != '\t') || v.p[i] == 127)
            return 1;
    return 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Nothing that could mean another place to the file system than to us: no control characters, no
 * backslash, no "." or ".." segment (RFC 3986 5.2.4), whether it came encoded or not. */
static int clean_path(const char *path)
{
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127 || *p == '\\')
            return 0;
    for (const char *p = path; (p = strchr(p, '/')); p++) {
        size_t segment = strcspn(p + 1, "/");
        if ((segment == 1 && p[1] == '.') || (segment == 2 && p[1] == '.' && p[2] == '.'))
            return 0;
    }
    return 1;
}

/* The length of the name or address that v begins with (RFC 3986 3.2.2), perhaps none. ffmpeg sends
 * a link-local address with its zone, which is behind a % and may be anything. */
static size_t host_name(struct http_span v)
{
    int literal = v.len && v.p[0] == '[';
    size_t i = literal ? 1 : 0;
    while (i < v.len && is_one_of(v.p[i], literal ? "-._~!$&'()*+,;=:%" : "-._~!$&'()*+,;=%")) {
        if (v.p[i] == '%' && !literal &&
            (v.len - i < 3 || hex(v.p[i + 1]) < 0 || hex(v.p[i + 2]) < 0))
            return 0;
        i++;
    }
    if (!literal)
        return i;
    return i > 1 && i < v.len && v.p[i] == ']' ? i + 1 : 0;
}

/* host[:port] (RFC 9110 7.2), either perhaps empty. */
static int is_host(struct http_span v)
{
    size_t i = host_name(v);
    if (i < v.len && v.p[i++] != ':')
        return 0;
    while (i < v.len && is_digit(v.p[i]))
        i++;
    return i == v.len;
}

/* Cuts http://host[:port] off the front of *url. A user in front of the host is an error, and so is
 * no host (RFC 9110 4.2.1, 4.2.4). */
static int cut_authority(struct http_span *url, struct http_span *authority)
{
    static const char *const schemes[] = {"http://", "https://"};
    size_t begin = 0, end;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t n = strlen(schemes[i]);
        if (url->len > n && strncasecmp(url->p, schemes[i], n) == 0)
            begin = n;
    }
    for (end = begin; end < url->len && url->p[end] != '/' && url->p[end] != '?';)
        end++;
    *authority = (struct http_span){url->p + begin, end - begin};
    *url = (struct http_span){url->p + end, url->len - end};
    return begin && is_host(*authority) && host_name(*authority) ? 0 : -1;
}

/* The path in front of a query; none is the same as "/" (RFC 9110 4.2.3). */
static int decode_path(struct http_span target, char out[HTTP_PATH_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < target.len && target.p[i] != '?'; i++) {
        int c = (unsigned char)target.p[i];
        if (c ==
            '#') /* no part of a request (RFC 9112 3.2): one reader cuts here, another does not */
            return -1;
        if (c == '%') {
            if (target.len - i < 3 || hex(target.p[i + 1]) < 0 || hex(target.p[i + 2]) < 0)
                return -1;
            c = hex(target.p[i + 1]) << 4 | hex(target.p[i + 2]);
            i += 2;
        }
        if (c == 0 || n + 1 >= HTTP_PATH_MAX)
            return -1;
        out[n++] = (char)c;
    }
    if (n == 0)
        out[n++] = '/';
    out[n] = 0;
    return clean_path(out) ? 0 : -1;
}

static enum http_method method_of(struct http_span name)
{
    static const char *const known[] = {"GET", "HEAD", "OPTIONS"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (name.len == strlen(known[i]) && memcmp(name.p, known[i], name.len) == 0)
            return (enum http_method)i;
    return HTTP_OTHER;
}

/* RFC 9112 3.2.1, 3.2.2, 3.2.4 */
static int read_target(struct http_span target, struct http_request *req)
{
    static const struct http_span root = {"/", 1};
    req->target = req->origin = target;
    if (req->method == HTTP_OPTIONS && target.len == 1 && *target.p == '*')
        return decode_path(root, req->path);
    if (!target.len || (*target.p != '/' && cut_authority(&req->origin, &req->authority) < 0))
        return -1;
    return decode_path(req->origin, req->path);
}

static int request_line(struct http_span line, struct http_request *req)
{
    const char *sp = memchr(line.p, ' ', line.len);
    if (!sp || has_control(line))
        return -1;
    size_t method = (size_t)(sp - line.p);
    if (!is_token((struct http_span){line.p, method}))
        return -1;
    req->name = (struct http_span){line.p, method};
    req->method = method_of(req->name);
    struct http_span rest = {sp + 1, line.len - method - 1};
    const char *sp2 = memchr(rest.p, ' ', rest.len);
    if (!sp2)
        return -1;
    struct http_span target = {rest.p, (size_t)(sp2 - rest.p)};
    struct http_span version = {sp2 + 1, rest.len - target.len - 1};
    if (version.len != 8 || memcmp(version.p, "HTTP/1.", 7) != 0)
        return -1;
    if (version.p[7] != '0' && version.p[7] != '1')
        return -1;
    req->minor = version.p[7] - '0';
    return read_target(target, req);
}

static int is_field(struct http_span name, const char *want)
{
    return name.len == strlen(want) && strncasecmp(name.p, want, name.len) == 0;
}

/* Whether a comma-separated list holds this token. */
static int has_token(struct http_span v, const char *token)
{
    size_t n = strlen(token);
    for (size_t i = 0; i + n <= v.len; i++) {
        int starts = i == 0 || v.p[i - 1] == ',' || v.p[i - 1] == ' ' || v.p[i - 1] == '\t';
        int ends = i + n == v.len || v.p[i + n] == ',' || v.p[i + n] == ' ' || v.p[i + n] == '\t';
        if (starts && ends && strncasecmp(v.p + i, token, n) == 0)
            return 1;
    }
    return 0;
}

static int contains(struct http_span v, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= v.len; i++)
        if (memcmp(v.p + i, text, n) == 0)
            return 1;
    return 0;
}

/* Digits from v on; stops at the first other character. Returns how many, 0 for none or overflow.
 */
static size_t number(struct http_span v, uint64_t *out)
{
    size_t i = 0;
    *out = 0;
    for (; i < v.len && is_digit(v.p[i]); i++) {
        if (i == 18)
            return 0;
        *out = *out * 10 + (uint64_t)(v.p[i] - '0');
    }
    return i;
}

/* bytes=N-, bytes=N-M, bytes=-N. A header of several ranges, or one that makes no sense, is
 * ignored, as RFC 9110 14.2 allows. */
static void read_range(struct http_span v, struct http_request *req)
{
    if (v.len < 7 || strncasecmp(v.p, "bytes=", 6) != 0)
        return;
    v = (struct http_span){v.p + 6, v.len - 6};
    uint64_t first = 0, last = UINT64_MAX;
    size_t n = number(v, &first);
    if (n == v.len || v.p[n] != '-')
        return;
    struct http_span rest = {v.p + n + 1, v.len - n - 1};
    if (rest.len && number(rest, &last) != rest.len)
        return;
    if ((n == 0 && rest.len == 0) || (n && last < first))
        return;
    req->has_range = 1;
    req->suffix = n == 0;
    req->first = n == 0 ? last : first;
    req->last = n == 0 ? UINT64_MAX : last;
}

/* What several lines of a head say together. */
struct said {
    int close, keep_alive, length, coding;
    uint64_t bytes;
};

/* What may be said once only: two could mean one thing here and another to somebody else. */
static int only_once(struct http_span *have, struct http_span v)
{
    if (have->p)
        return -1;
    *have = v;
    return 0;
}

static int header_field(struct http_span name, struct http_span v, struct http_request *req,
                        struct said *said)
{
    uint64_t bytes;
    if (is_field(name, "Connection")) {
        said->close |= has_token(v, "close");
        said->keep_alive |= has_token(v, "keep-alive");
    } else if (is_field(name, "Content-Length")) {
        if (!v.len || number(v, &bytes) != v.len || (said->length && bytes != said->bytes))
            return -1;
        said->length = 1;
        said->bytes = bytes;
    } else if (is_field(name, "Transfer-Encoding")) {
        said->coding = 1;
    } else if (is_field(name, "Range")) {
        read_range(v, req);
    } else if (is_field(name, "User-Agent")) {
        req->agent = v;
        req->firefox = contains(v, "Firefox/");
        req->chrome = contains(v, "Chrome/");
    } else if (is_field(name, "Referer")) {
        req->referer = v;
    } else if (is_field(name, "Host")) {
        return is_host(v) ? only_once(&req->host, v) : -1;
    } else if (is_field(name, "Authorization")) {
        return only_once(&req->authorization, v);
    }
    return 0;
}

static int header_line(struct http_span line, struct http_request *req, struct said *said)
{
    const char *colon = memchr(line.p, ':', line.len);
    if (!colon || has_control(line))
        return -1;
    struct http_span name = {line.p, (size_t)(colon - line.p)};
    struct http_span v = {colon + 1, line.len - name.len - 1};
    /* A folded line or a space before the colon: RFC 9112 5.1 and 5.2 say to refuse. */
    if (!is_token(name))
        return -1;
    while (v.len && (*v.p == ' ' || *v.p == '\t'))
        v = (struct http_span){v.p + 1, v.len - 1};
    while (v.len && (v.p[v.len - 1] == ' ' || v.p[v.len - 1] == '\t'))
        v.len--;
    return header_field(name, v, req, said);
}

/* The lines behind the request line, up to the empty one. */
static int header_lines(struct http_span rest, struct http_request *req)
{
    struct said said = {0};
    while (rest.len) {
        struct http_span line = cut_line(&rest);
        if (line.len && header_line(line, req, &said) < 0)
            return -1;
    }
    if (said.length && said.coding) /* RFC 9112 6.1 */
        return -1;
    if (req->minor && !req->host.p) /* RFC 9112 3.2 */
        return -1;
    req->has_body = said.coding || said.bytes;
    req->keep_alive = !said.close && (req->minor || said.keep_alive);
    return 0;
}

/* What cannot be the beginning of a request need not be waited for. */
static int hopeless(struct http_span part, struct http_request *req)
{
    if (memchr(part.p, '\n', part.len))
        return request_line(cut_line(&part), req) < 0;
    if (part.len && part.p[part.len - 1] == '\r')
        part.len--;
    const char *sp = memchr(part.p, ' ', part.len);
    struct http_span method = {part.p, sp ? (size_t)(sp - part.p) : part.len};
    return has_control(part) || (part.len && !is_token(method));
}

int http_parse(const char *buf, size_t len, struct http_request *req)
{
    memset(req, 0, sizeof *req);
    /* Empty lines in front of a request are to be ignored (RFC 9112 2.2). */
    size_t skip = 0;
    while (skip < len && (buf[skip] == '\r' || buf[skip] == '\n'))
        skip++;
    size_t head = head_end(buf + skip, len - skip);
    if (!head)
        return hopeless((struct http_span){buf + skip, len - skip}, req) ? HTTP_BAD : HTTP_MORE;
    struct http_span rest = {buf + skip, head};
    if (request_line(cut_line(&rest), req) < 0 || header_lines(rest, req) < 0)
        return HTTP_BAD;
    return (int)(skip + head);
}
