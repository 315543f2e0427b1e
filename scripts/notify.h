/* Tells the service manager that started this how it stands: sd_notify(3)'s protocol, without its
 * library. */
#ifndef SCRIPTS_NOTIFY_H
#define SCRIPTS_NOTIFY_H

/* Sends "NAME=VALUE" lines to $NOTIFY_SOCKET. Nothing happens where nobody listens. */
void notify_say(const char *text);

#endif
