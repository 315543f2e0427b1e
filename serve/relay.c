#include "serve/relay.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096 };

static uint32_t asked; /* how many questions, so that each gets its own answer */

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 body;
};

int relay_end(const struct sockaddr_storage *from, struct in6_addr *addr, uint16_t *port)
{
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)from;
        *addr = six->sin6_addr;
        *port = ntohs(six->sin6_port);
        return 0;
    }
    const struct sockaddr_in *four = (const void *)from;
    memset(addr, 0, sizeof *addr);
    addr->s6_addr[10] = addr->s6_addr[11] = 0xff;
    memcpy(&addr->s6_addr[12], &four->sin_addr, 4);
    *port = ntohs(four->sin_port);
    return from->ss_family == AF_INET ? 0 : -1;
}

static void fill(struct question *q, const struct proxy_ends *ends)
{
    int four = IN6_IS_ADDR_V4MAPPED(&ends->client) && IN6_IS_ADDR_V4MAPPED(&ends->server);
    size_t skip = four ? 12 : 0;
    memset(q, 0, sizeof *q);
    q->head.nlmsg_len = sizeof *q;
    q->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    q->head.nlmsg_flags = NLM_F_REQUEST;
    q->head.nlmsg_seq = ++asked;
    q->body.sdiag_family = four ? AF_INET : AF_INET6;
    q->body.sdiag_protocol = IPPROTO_TCP;
    q->body.idiag_ext = 1 << (INET_DIAG_INFO - 1);
    q->body.idiag_states = ~0U;
    q->body.id.idiag_sport = htons(ends->server_port);
    q->body.id.idiag_dport = htons(ends->client_port);
    memcpy(q->body.id.idiag_src, &ends->server.s6_addr[skip], 16 - skip);
    memcpy(q->body.id.idiag_dst, &ends->client.s6_addr[skip], 16 - skip);
    q->body.id.idiag_cookie[0] = q->body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
}

/* Of the attributes at p[0, size). The kernel's struct tcp_info may be shorter than the one known
 * here, or longer. */
static uint32_t min_rtt(const char *p, size_t size)
{
    struct tcp_info info = {0};
    struct rtattr a;
    while (size >= sizeof a) {
        memcpy(&a, p, sizeof a);
        size_t whole = ((size_t)a.rta_len + RTA_ALIGNTO - 1) / RTA_ALIGNTO * RTA_ALIGNTO;
        if (a.rta_len < sizeof a || whole > size)
            break;
        size_t n = a.rta_len - sizeof a;
        if (a.rta_type == INET_DIAG_INFO)
            memcpy(&info, p + sizeof a, n < sizeof info ? n : sizeof info);
        p += whole;
        size -= whole;
    }
    return info.tcpi_min_rtt;
}

/* Where there is no such connection the kernel may answer with a listening socket, whose other end
 * has no port. */
static int ask(int diag, const struct proxy_ends *ends, struct inet_diag_msg *msg, uint32_t *rtt)
{
    char answer[ANSWER_MAX];
    struct nlmsghdr head;
    const size_t least = sizeof head + sizeof *msg;
    struct question q;
    fill(&q, ends);
    if (send(diag, &q, sizeof q, 0) < 0)
        return -1;
    ssize_t n;
    do { /* the answer is there when it has been asked for */
        n = recv(diag, answer, sizeof answer, MSG_DONTWAIT);
        if (n < (ssize_t)least)
            return -1;
        memcpy(&head, answer, sizeof head);
    } while (head.nlmsg_seq != q.head.nlmsg_seq);
    if (head.nlmsg_len > (size_t)n || head.nlmsg_len < least ||
        head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
        return -1;
    memcpy(msg, answer + sizeof head, sizeof *msg);
    *rtt = min_rtt(answer + least, head.nlmsg_len - least);
    return msg->id.idiag_dport == q.body.id.idiag_dport ? 0 : -1;
}

int relay_ask(const struct relay *r, struct relay_left *left)
{
    struct inet_diag_msg msg;
    uint32_t rtt;
    if (ask(r->diag, &r->hop, &msg, &rtt) < 0)
        return -1;
    left->bytes = msg.idiag_rqueue;
    if (ask(r->diag, &r->client, &msg, &rtt) < 0)
        return -1;
    left->bytes += msg.idiag_wqueue;
    left->trip = rtt;
    return 0;
}

/* Whether the kernel answers at all: where it cannot it would look for a module each time. Asks of
 * a socket that listens, which is there as well. */
static int answers(int diag)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct proxy_ends ends = {.client = in6addr_loopback};
    struct inet_diag_msg msg;
    struct sockaddr_storage here = {0};
    socklen_t size = sizeof here;
    uint32_t rtt;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int good = fd >= 0 && bind(fd, (void *)&at, sizeof at) == 0 && listen(fd, 1) == 0 &&
               getsockname(fd, (void *)&here, &size) == 0 &&
               relay_end(&here, &ends.server, &ends.server_port) == 0;
    ends.client = ends.server;
    good = good && ask(diag, &ends, &msg, &rtt) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

int relay_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0 || answers(fd))
        return fd;
    close(fd);
    return -1;
}

static int is_loopback(const struct in6_addr *a)
{
    return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == IN_LOOPBACKNET);
}

void relay_set(struct relay *r, int diag, int fd, const struct proxy_ends *client)
{
    struct sockaddr_storage here, there;
    socklen_t here_size = sizeof here, there_size = sizeof there;
    r->diag = diag;
    r->client = *client;
    if (diag <= 0 || !client->client_port || is_loopback(&client->client) ||
        getsockname(fd, (void *)&here, &here_size) < 0 ||
        getpeername(fd, (void *)&there, &there_size) < 0 ||
        relay_end(&here, &r->hop.client, &r->hop.client_port) < 0 ||
        relay_end(&there, &r->hop.server, &r->hop.server_port) < 0)
        r->diag = 0;
}
