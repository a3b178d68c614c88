/* Executing weft itself, the single executable, in the place of this process. */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

#include "io.h"

/*
 * Executes $WEFT_EXE or, failing that, the installed weft, with this environment. Returns only when neither can be, with
 * each one's reason added to `reasons`.
 */
void execute_weft(char *const arguments[], struct text *reasons);

/* Gives weft, as its stdin, what was read from this process's. False, with errno set, where that fails. */
bool put_back_stdin(const char *bytes, size_t length);

#endif
