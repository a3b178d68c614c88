/* The call as the runtime makes it: CNI_* variables and stdin, laid out as the request that a daemon reads. */
#ifndef WEFT_CALL_H
#define WEFT_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the plugin takes as a configuration: 1 MiB (pkg/cni/configuration.ts). */
#define CONFIGURATION_MAX (1024 * 1024)

struct call {
  /* Of CNI_COMMAND, CNI_CONTAINERID and CNI_IFNAME; empty where they are absent. */
  const char *verb;
  const char *container_id;
  const char *if_name;
  /* stdin: a byte more than CONFIGURATION_MAX means that there was too much of it. */
  const char *conf;
  size_t conf_length;
  /* The whole request of the socket's protocol; NULL when the environment has more than a daemon takes. */
  const char *request;
  size_t request_length;
};

/* Reads environment and stdin. Returns 0, or the errno for which stdin could not be read: ETIMEDOUT when it did not end. */
int read_call(struct call *call, int64_t deadline);

#endif
