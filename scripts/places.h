/* Where the appliance finds what it needs. Each function returns 0, or -1 with errno. */
#ifndef SCRIPTS_PLACES_H
#define SCRIPTS_PLACES_H

#include <stddef.h>

/* Puts the directory of this program, and ../libexec/fmp4streamer seen from there, in front of the
 * PATH: all that is started later is found by its name. */
int places_tools(void);

/* 1 when that program can be executed: by its path, or by its name somewhere on the PATH. */
int places_have(const char *program);

/* Where run, finish and the page are: $FMP4STREAMER_DATA, else ../service (in a checkout) or
 * ../share/fmp4streamer seen from the directory of this program. tried: of PATH_MAX bytes, the name
 * that was tried; out: the real path of at most size - 1 bytes. */
int places_data(char *tried, char *out, size_t size);

/* Where a certificate of our own is kept, and recordings by default, into out of PATH_MAX bytes:
 * $FMP4STREAMER_STATE, else /var/lib/fmp4streamer for root, else fmp4streamer in $XDG_STATE_HOME or
 * ~/.local/state. */
int places_state(char *out);

/* The run directory, made where it is missing: $FMP4STREAMER_RUN, else /run/fmp4streamer for root,
 * else fmp4streamer in $XDG_RUNTIME_DIR; tried is empty when that is not set. Made for others'
 * reading; one that is there must belong to this user, as who owns it says what runs. */
int places_run(char *tried, char *out, size_t size);

#endif
