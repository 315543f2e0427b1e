/* Any bytes may be a request head. What is judged stays judged whatever follows, a whole head needs
 * all of its bytes, and a path that is let through is clean. */
#include "serve/http.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Within the copy, and from then on the same for every copy of these bytes. */
static void rebase(struct http_span *span, const char *copy, const uint8_t *data, size_t size)
{
    if (!span->p) {
        assert(!span->len);
        return;
    }
    assert(span->p >= copy && span->p + span->len <= copy + size);
    span->p = (const char *)data + (span->p - copy);
}

/* A target ends in what is of this server, which no name of another stands in front of. */
static void check_target(const struct http_request *req)
{
    const struct http_span *target = &req->target, *origin = &req->origin;
    assert(origin->p + origin->len == target->p + target->len);
    if (req->authority.p) {
        assert(req->authority.len && strcspn(req->authority.p, "/?#@ \\") >= req->authority.len);
        assert(req->authority.p + req->authority.len == origin->p && origin->p > target->p);
        assert(!origin->len || *origin->p == '/' || *origin->p == '?');
    } else {
        int all = req->method == HTTP_OPTIONS && target->len == 1 && *target->p == '*';
        assert(origin->p == target->p && (all || (target->len && *target->p == '/')));
    }
}

/* From memory of just that size, so that one byte too far is seen. */
static int parse(const uint8_t *data, size_t size, struct http_request *req)
{
    char *copy = malloc(size);
    if (size)
        memcpy(copy, data, size);
    int got = http_parse(copy, size, req);
    if (got > 0) {
        check_target(req);
        assert(!req->minor || req->host.p);
        rebase(&req->name, copy, data, size);
        rebase(&req->target, copy, data, size);
        rebase(&req->origin, copy, data, size);
        rebase(&req->authority, copy, data, size);
        rebase(&req->host, copy, data, size);
        rebase(&req->authorization, copy, data, size);
        rebase(&req->agent, copy, data, size);
        rebase(&req->referer, copy, data, size);
    }
    free(copy);
    return got;
}

static void check_path(const char *path)
{
    assert(path[0] == '/' && strlen(path) < HTTP_PATH_MAX);
    assert(!strstr(path, "/../") && !strstr(path, "/./") && !strchr(path, '\\'));
    size_t n = strlen(path);
    assert(!(n >= 2 && !strcmp(path + n - 2, "/.")) && !(n >= 3 && !strcmp(path + n - 3, "/..")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request req, part;
    int got = parse(data, size, &req);

    assert(got >= HTTP_BAD && got <= (int)size);
    if (got == HTTP_BAD || !size)
        return 0;
    size_t cut = (size_t)data[size - 1] * size / 256;
    int before = parse(data, cut, &part);
    if (got == HTTP_MORE) {
        assert(before == HTTP_MORE);
        return 0;
    }
    assert(before == ((size_t)got <= cut ? got : HTTP_MORE));
    if (before == got)
        assert(!memcmp(&req, &part, sizeof req));
    check_path(req.path);
    return 0;
}
