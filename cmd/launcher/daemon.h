/* Handing a call to the node daemon. */
#ifndef WEFT_DAEMON_H
#define WEFT_DAEMON_H

#include <stddef.h>
#include <stdint.h>

#include "call.h"

enum outcome {
  /* The answer is there, whole. */
  ANSWERED,
  /* The daemon has the call and did not answer by the deadline. */
  LATE,
  /* No daemon does the call: weft must do it itself. */
  UNSERVED,
};

struct answer {
  int exit_status;
  const char *body;
  size_t body_length;
  /* Where nothing was answered: why, in words. */
  const char *reason;
};

/* <run>/weft.sock */
const char *socket_path(void);

/* Deadlines are moments of now_ms: `accept_by` for the daemon to take the call, `answer_by` for its answer. */
enum outcome ask_daemon(const struct call *call, int64_t accept_by, int64_t answer_by, struct answer *answer);

#endif
