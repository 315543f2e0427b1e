/* The users file: what is read, what is a mistake and where, limits, every cut. The hashes are of
 * "secret", as crypt(3), openssl and htpasswd made them. */
#include "serve/users.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define YESCRYPT "$y$j9T$k2.jCZwFQl/psxdDmo4th1$juziboUOmvsSQ9yOFyGi8XKcItAhTBVbd6MX.kUcFyD"
#define GOST     "$gy$j9T$Q.CY8fZ2th8uDWOgDXAjL.$KlKnmqvfN58RanH1yvY087XzioxXy9bhfde1elA.J./"
#define SCRYPT   "$7$CU..../....qDrVeNPyLOL9LJ1Ax8qs31$Yt9scyZA/.Fs2EDKEiQXWOxsS2Gw5JVbCb6pOVZdpuD"
#define BCRYPT   "$2y$05$oW2HOOcHQ8eNERZTIzeJqOS2xqIy4vv/ntQOku4Kb2WHtDWapzb8G"
#define SHA512                                                                                     \
    "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/"      \
    "O6IND4WQhG."
#define SHA256 "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM."
#define MD5    "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1"
#define APR1   "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"

static char *edge; /* an unreadable page begins here */
static struct users users;
static struct users_mistake mistake[8];
static const char *text;

static void make_edge(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = USERS_BYTES + page;
    char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED || mprotect(map + room, page, PROT_NONE))
        _exit(99);
    edge = map + room;
}

static unsigned parse(const char *from, size_t length)
{
    memset(&users, 0xa5, sizeof users);
    memset(mistake, 0, sizeof mistake);
    text = edge - length;
    memcpy(edge - length, from, length);
    return users_parse(&users, text, length, mistake, 8);
}

static int has(const char *name, const char *hash)
{
    const struct users_entry *e = users_find(&users, text, name, strlen(name));
    return e && e->hash_length == strlen(hash) && !memcmp(text + e->hash, hash, e->hash_length);
}

static void good_file(void)
{
    static const char file[] = "# people: joe:x\n"
                               "\n"
                               "joe:" YESCRYPT "\n"
                               " \t\n"
                               "joe2:" GOST "\r\n"
                               "Ann B:" SCRYPT "\n"
                               "\r\n"
                               "zo\xc3\xa9:" BCRYPT "\n"
                               "a:" SHA512 "\n"
                               "j:" SHA256 "\n"
                               "jo:" MD5;
    unsigned count = parse(file, sizeof file - 1);
    ok(count == 0 && users.count == 7, "a file of seven: %u, %u mistakes", users.count, count);
    ok(has("joe", YESCRYPT) && has("joe2", GOST) && has("Ann B", SCRYPT) && has("a", SHA512),
       "names and hashes");
    ok(has("zo\xc3\xa9", BCRYPT) && has("j", SHA256) && has("jo", MD5), "more of them");
    ok(!users_find(&users, text, "jo2", 3) && !users_find(&users, text, "JOE", 3) &&
           !users_find(&users, text, "", 0) && !users_find(&users, text, "x", 1),
       "others are not there");
    int fits = 1;
    for (size_t cut = 0; cut < sizeof file; cut++)
        fits &= parse(file, cut) + users.count <= 7;
    ok(fits, "cut anywhere");
    ok(parse(file, 0) == 0 && users.count == 0, "an empty file");
}

static const struct {
    const char *text;
    unsigned line;
    const char *why;
} bad[] = {
    {"joe\n", 1, "no colon"},
    {"\n\njoe", 3, "no colon"},
    {":" SHA512, 1, "not a user's name"},
    {" joe:" SHA512, 1, "not a user's name"},
    {"joe :" SHA512, 1, "not a user's name"},
    {"jo\te:" SHA512, 1, "not a user's name"},
    {"#\njoe:\n", 2, "no hash"},
    {"joe:\r\n", 1, "no hash"},
    {"joe:secret", 1, "not a kind of hash that will do: one that begins with $y$"},
    {"joe:" APR1, 1, "not a kind of hash"},
    {"joe:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", 1, "not a kind of hash"},
    {"joe:abgOeLfPimXQo", 1, "not a kind of hash"},
    {"joe:!", 1, "not a kind of hash"},
    {"joe:$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", 1, "not a kind of hash"},
    {"joe:$6", 1, "not a kind of hash"},
    {"joe:$6$", 1, "the hash is cut short"},
    {"joe:$6$abcdefgh", 1, "the hash is cut short"},
    {"joe:$y$j9T$1cald7bi4abRAxFfB3R701$", 1, "the hash is cut short"},
    {"joe: " SHA512, 1, "something behind the hash"},
    {"joe:" SHA512 " ", 1, "something behind the hash"},
    {"joe:" SHA512 ":admin", 1, "something behind the hash"},
    {"joe:" SHA512 "\r", 1, "something behind the hash"},
    {"joe:" SHA512 "\r\r\n", 1, "something behind the hash"},
    {"joe:" SHA512 "\nann:" MD5 "\njoe:" SHA256, 3, "a user who is there already"},
    {"joe:" SHA512 "\njoe\n", 2, "no colon"},
};

static void bad_files(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        unsigned count = parse(bad[i].text, strlen(bad[i].text));
        ok(count == 1 && mistake[0].line == bad[i].line &&
               !strncmp(mistake[0].why, bad[i].why, strlen(bad[i].why)),
           "%zu: line %u: %s", i, mistake[0].line, count ? mistake[0].why : "none");
    }
    ok(parse("a\0b:" SHA512, 4 + strlen(SHA512)) == 1, "a zero in a name");
    ok(parse("a:" SHA512 "\0", 3 + strlen(SHA512)) == 1, "a zero behind a hash");
    static const char several[] = "a\nb:" MD5 "\nc:\n\nb:" MD5 "\nd:" MD5 "\n";
    ok(parse(several, sizeof several - 1) == 3 && mistake[0].line == 1 && mistake[1].line == 3 &&
           mistake[2].line == 5 && users.count == 2 && has("b", MD5) && has("d", MD5),
       "each mistake of a file is named, the other lines are read");
    ok(users_parse(&users, several, sizeof several - 1, mistake, 1) == 3 && mistake[0].line == 1 &&
           users_parse(&users, several, sizeof several - 1, NULL, 0) == 3,
       "with room for one, or none, they are counted");
}

/* Every kind, without its last byte, is cut short, and with one more it is not for us to say. */
static void cut_hashes(void)
{
    static const char *const hashes[] = {YESCRYPT, GOST, SCRYPT, BCRYPT, SHA512, SHA256, MD5};
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        char line[300];
        int n = snprintf(line, sizeof line, "joe:%s", hashes[i]);
        ok(parse(line, (size_t)n) == 0 && parse(line, (size_t)n - 1) == 1 &&
               !strcmp(mistake[0].why, "the hash is cut short"),
           "%.4s: whole, and without its last byte", hashes[i]);
    }
}

static void limits(void)
{
    static char file[USERS_BYTES + 2];
    size_t n = 0;
    for (int i = 0; i < USERS_MAX; i++)
        n += (size_t)snprintf(file + n, sizeof file - n, "u%d:" MD5 "\n", i);
    ok(parse(file, n) == 0 && users.count == USERS_MAX && has("u0", MD5) && has("u255", MD5),
       "256 users");
    n += (size_t)snprintf(file + n, sizeof file - n, "one:" MD5 "\n");
    ok(parse(file, n) == 1 && mistake[0].line == 257 && !strncmp(mistake[0].why, "too many", 8),
       "257 users");
    memset(file, '#', sizeof file);
    ok(parse(file, USERS_BYTES) == 0, "64 KiB");
    ok(parse(file, USERS_BYTES + 1) == 1 && mistake[0].line == 0 && !users.count, "a byte more");
    n = (size_t)snprintf(file, sizeof file, "joe:$6$");
    memset(file + n, 'a', 253);
    ok(parse(file, n + 252) == 0 && users.count == 1, "a hash of 255 bytes");
    ok(parse(file, n + 253) == 1 && !strncmp(mistake[0].why, "a hash of more", 14), "of 256");
    memset(file, 'a', 65);
    snprintf(file + 65, 200, ":%s", MD5);
    ok(parse(file + 1, 65 + strlen(MD5)) == 0 && parse(file, 66 + strlen(MD5)) == 1,
       "a name of 64 bytes, and of 65");
}

int main(void)
{
    make_edge();
    good_file();
    bad_files();
    cut_hashes();
    limits();
    return done();
}
