/* Clocks, and memory that is there or the end. */
#include "mover.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t clock_ns(clockid_t id) {
  struct timespec time;
  clock_gettime(id, &time);
  return (int64_t)time.tv_sec * SECOND_NS + time.tv_nsec;
}

int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

/* The kernel stamps arrivals by the wall clock, which may be set at any time: only the difference of this moment counts. */
int64_t monotonic_of_real(int64_t real_ns) { return real_ns - clock_ns(CLOCK_REALTIME) + now_ns(); }

void *grow(void *array, size_t bytes) {
  void *grown = realloc(array, bytes);
  if (grown != NULL) return grown;
  perror("mover");
  exit(1);
}
