/* The ring's order of stores and loads, as serve/ring.c has it, under memory that reorders.
 *
 * The writer's stores go into a buffer, from which they become visible in any order that C11 leaves
 * them: a relaxed store may pass any other to another place; a release store waits for all stores
 * in front of it; stores behind a release fence wait for those in front of the fence. The reader's
 * loads are made in the order of the program, which its acquire load and its acquire fence give it
 * as far as it matters here: they are the only order it relies on, and the two loads of bytes and
 * slot between them are tried both ways round.
 *
 * A ring of two fragments' bytes and three entries: fragment n has its bytes in data[n % 2], and its
 * slot in slot[n % 3]; both hold n + 1, and bytes are stored in two halves.
 *
 * BROKEN=1: bytes are stored in front of tail. BROKEN=2: no release fence behind tail. BROKEN=3:
 * head is stored relaxed. BROKEN=4: the reader does not look at tail again. BROKEN=5: it waits for
 * whatever comes after it has looked, not after what it saw. */
#ifndef BROKEN
#define BROKEN 0
#endif
#define FRAGS 4
#define PLACES 10 /* tail, head, wake, slots 3, halves of data 2 x 2 */
#define TAIL 0
#define HEAD 1
#define WAKE 2
#define SLOT 3
#define DATA 6

byte mem[PLACES];
/* Of each place at most one store is on its way: a second waits for the first (coherence). */
bool held[PLACES];   /* a store is on its way */
byte value[PLACES];  /* of that store */
byte stage[PLACES];  /* how many fences were in front of it */
byte fences;
bool sleeping, finished;

/* Nothing that was in front of the newest fence is still on its way, or of an older stage. */
#define OLDER(s) ((held[0] && stage[0] < s) || (held[1] && stage[1] < s) || (held[2] && stage[2] < s) || \
                  (held[3] && stage[3] < s) || (held[4] && stage[4] < s) || (held[5] && stage[5] < s) || \
                  (held[6] && stage[6] < s) || (held[7] && stage[7] < s) || (held[8] && stage[8] < s) || \
                  (held[9] && stage[9] < s))

inline store(where, what)
{
    atomic { !held[where] -> held[where] = true; value[where] = what; stage[where] = fences }
}

/* A store-release is visible behind everything in front of it, but holds nothing behind it back. */
inline store_release(where, what)
{
    atomic { !held[where] -> held[where] = true; value[where] = what; stage[where] = fences + 1 }
}

/* The memory: any store whose elders are visible may become so. */
active proctype memory()
{
    byte i;
end:
    do
    :: atomic {
        if
        :: held[0] && !OLDER(stage[0]) -> i = 0
        :: held[1] && !OLDER(stage[1]) -> i = 1
        :: held[2] && !OLDER(stage[2]) -> i = 2
        :: held[3] && !OLDER(stage[3]) -> i = 3
        :: held[4] && !OLDER(stage[4]) -> i = 4
        :: held[5] && !OLDER(stage[5]) -> i = 5
        :: held[6] && !OLDER(stage[6]) -> i = 6
        :: held[7] && !OLDER(stage[7]) -> i = 7
        :: held[8] && !OLDER(stage[8]) -> i = 8
        :: held[9] && !OLDER(stage[9]) -> i = 9
        fi;
        mem[i] = value[i];
        held[i] = false;
        i = 0
       }
    od
}

active proctype writer()
{
    byte n;
    do
    :: n < FRAGS ->
#if BROKEN == 1
        store(DATA + 2 * (n % 2), n + 1);
        store(DATA + 2 * (n % 2) + 1, n + 1);
        fences++;
#endif
        if
        :: n >= 2 -> store(TAIL, n - 1) /* fragments below it are being overwritten */
        :: else
        fi;
#if BROKEN != 2
        fences++;
#endif
#if BROKEN != 1
        store(DATA + 2 * (n % 2), n + 1);
        store(DATA + 2 * (n % 2) + 1, n + 1);
#endif
        store(SLOT + n % 3, n + 1);
#if BROKEN == 3
        store(HEAD, n + 1);
#else
        store_release(HEAD, n + 1);
        fences++; /* the next release store is behind this one */
#endif
        /* The system call sees to it that all is visible before anybody is woken. */
        store_release(WAKE, n + 1);
        !held[WAKE] && !held[HEAD];
        sleeping = false;
        n++
    :: else -> break
    od;
    finished = true
}

active proctype reader()
{
    byte seen, head, i, slot, one, two, tail, again, got;
    do
    :: got == FRAGS -> break
    :: else ->
        seen = mem[WAKE];
        head = mem[HEAD];
        if
        :: head > got -> /* any of those that may be there */
            i = head - 1;
            if
            :: i > got -> i--
            :: skip
            fi;
            if
            :: slot = mem[SLOT + i % 3]; one = mem[DATA + 2 * (i % 2)]; two = mem[DATA + 2 * (i % 2) + 1]
            :: two = mem[DATA + 2 * (i % 2) + 1]; one = mem[DATA + 2 * (i % 2)]; slot = mem[SLOT + i % 3]
            fi;
            tail = mem[TAIL];
            again = mem[HEAD];
#if BROKEN == 4
            tail = 0;
#endif
            if
            :: i >= tail && again - i < 3 -> assert(slot == i + 1 && one == i + 1 && two == i + 1)
            :: else
            fi;
            got = (i + 1 > got -> i + 1 : got)
        :: else ->
#if BROKEN == 5
            seen = mem[WAKE];
#endif
            /* The kernel compares and goes to sleep in one step. */
            atomic {
                if
                :: mem[WAKE] == seen -> sleeping = true
                :: else
                fi
            }
            !sleeping /* never: a wake-up was lost */
        fi;
        slot = 0; one = 0; two = 0; tail = 0; again = 0; head = 0; i = 0; seen = 0
    od
}
