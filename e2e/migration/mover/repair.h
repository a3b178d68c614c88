/* A TCP connection's end that goes from one socket to another. */
#ifndef REPAIR_H
#define REPAIR_H

#include "mover.h"

#include <sys/socket.h>

struct endpoint {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  };
  socklen_t length;
};

struct endpoint endpoint_of(const struct party *party, int family, uint16_t port);
/*
 * From a socket that hears nothing any more to a fresh one, both of which are in repair afterwards: silent. Says how many bytes of its queue were
 * never sent, and are to be written again when it lives. Returns what is wrong, or NULL.
 */
const char *move_connection(int from, int to, int *unsent);
/* Out of repair: it lives, and says so. */
void finish_connection(int fd);

#endif
