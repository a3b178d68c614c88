/* A DEL that nobody could do, written down for the next call or the daemon. */
#ifndef WEFT_PENDING_H
#define WEFT_PENDING_H

#include "call.h"
#include "io.h"

/*
 * Writes the DEL down in the state directory or, failing that, the run directory, and says where. False when neither takes
 * it, with each one's reason added to `reasons`.
 */
bool write_pending_del(const struct call *call, struct text *reasons);

#endif
