/* How many files fanout may have open, and that no child gets one of them. */
#ifndef SERVE_DESCRIPTORS_H
#define SERVE_DESCRIPTORS_H

/* Raises the limit of open files as far as it goes. Returns how many connections that allows, at
 * most LIMIT_CONNECTIONS. */
unsigned descriptors_allow(void);

/* Keeps all that is open but the standard three from the children. */
void descriptors_keep(void);

#endif
