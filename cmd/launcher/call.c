#include "call.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"
#include "wire.h"

#define ENVIRONMENT_MAX (64 * 1024)

/* Header, environment and stdin, one behind the other, so that nothing is copied and one send() may do. */
static char request[HEADER_BYTES + ENVIRONMENT_MAX + CONFIGURATION_MAX + 1];

extern char **environ;

/* CNI_* and PATH, which delegated plugins are executed with. The rest of the environment is nobody's business. */
static bool is_wanted(const char *entry) {
  bool is_ours = strncmp(entry, "CNI_", 4) == 0 || strncmp(entry, "PATH=", 5) == 0;
  return is_ours && strchr(entry, '=') != NULL;
}

/* Whether the block has a value for the entry's key already: of duplicates the first counts, as for getenv(3). */
static bool has_key_of(const struct text *block, const char *entry) {
  size_t key_length = (size_t)(strchr(entry, '=') - entry) + 1;
  for (size_t at = 0; at < block->length; at += strlen(block->bytes + at) + 1) {
    if (strncmp(block->bytes + at, entry, key_length) == 0) return true;
  }
  return false;
}

/* Which network namespace a path leads to, so that the daemon knows whether this call is its own. */
static void add_netns(struct text *block, const char *key, const char *path) {
  struct stat found;
  if (path[0] == '\0' || stat(path, &found) != 0) return;
  add(block, key);
  add(block, "=");
  add_number(block, found.st_dev);
  add(block, ":");
  add_number(block, found.st_ino);
  add_bytes(block, "", 1);
}

static struct text collect_environment(void) {
  struct text block = {.bytes = request + HEADER_BYTES, .capacity = ENVIRONMENT_MAX};
  for (char **entry = environ; *entry != NULL && !block.is_cut; entry++) {
    if (is_wanted(*entry) && !has_key_of(&block, *entry)) add_bytes(&block, *entry, strlen(*entry) + 1);
  }
  add_netns(&block, "WEFT_CALLER_NETNS", "/proc/self/ns/net");
  add_netns(&block, "WEFT_TARGET_NETNS", variable("CNI_NETNS", ""));
  return block;
}

static int read_stdin(char *conf, size_t *length, int64_t deadline) {
  while (*length <= CONFIGURATION_MAX) {
    if (!wait_for(STDIN_FILENO, POLLIN, deadline)) return ETIMEDOUT;
    ssize_t got = read(STDIN_FILENO, conf + *length, CONFIGURATION_MAX + 1 - *length);
    if (got == 0) return 0;
    if (got < 0 && errno != EINTR && errno != EAGAIN) return errno;
    if (got > 0) *length += (size_t)got;
  }
  return 0;
}

int read_call(struct call *call, int64_t deadline) {
  struct text environment = collect_environment();
  size_t environment_length = environment.is_cut ? 0 : environment.length;
  char *conf = request + HEADER_BYTES + environment_length;
  *call = (struct call){
      .verb = variable("CNI_COMMAND", ""),
      .container_id = variable("CNI_CONTAINERID", ""),
      .if_name = variable("CNI_IFNAME", ""),
      .conf = conf,
  };
  int error = read_stdin(conf, &call->conf_length, deadline);
  if (environment.is_cut) return error;
  write_header(request, KIND_CALL, (uint32_t)environment_length, (uint32_t)call->conf_length);
  call->request = request;
  call->request_length = HEADER_BYTES + environment_length + call->conf_length;
  return error;
}
