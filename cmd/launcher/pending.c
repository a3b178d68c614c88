/* The format is the head comment's of pkg/ledger/pending.ts, which is also the reader. */
#include "pending.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 1024
#define FILE_BYTES_MAX (4 * 1024 * 1024)
#define KEY_DIGITS 16
/* Beside the errnos, none of which is negative: the folder has as many files as it may. */
#define FOLDER_FULL (-1)

static char content_buffer[FILE_BYTES_MAX];

static uint64_t hash_string(uint64_t hash, const char *words) {
  /* With the NUL, which stands between the parts of the key. FNV-1a, 64 bits: pkg/digest/fnv.ts. */
  for (size_t index = 0; index <= strlen(words); index++) hash = (hash ^ (unsigned char)words[index]) * 0x100000001b3ULL;
  return hash;
}

/* The network is empty: its name is the configuration's to tell, which the launcher does not read. */
static void add_key_digits(struct text *text, const struct call *call) {
  uint64_t hash = hash_string(hash_string(0xcbf29ce484222325ULL, call->container_id), call->if_name);
  for (int shift = 60; shift >= 0; shift -= 4) add_bytes(text, &"0123456789abcdef"[hash >> shift & 0xf], 1);
}

static uint64_t wall_clock_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_REALTIME, &time);
  return (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
}

static struct text render(const struct call *call, bool with_conf) {
  struct text content = TEXT_IN(content_buffer);
  add(&content, "{\"version\":1,\"containerId\":");
  add_json(&content, call->container_id, strlen(call->container_id));
  add(&content, ",\"ifName\":");
  add_json(&content, call->if_name, strlen(call->if_name));
  add(&content, ",\"requestedAt\":");
  add_number(&content, wall_clock_ms());
  if (with_conf) {
    add(&content, ",\"conf\":");
    add_json(&content, call->conf, call->conf_length);
  }
  add(&content, "}\n");
  return content;
}

/* A configuration that is incomplete, or no text, or too long when written as a JSON string, is of no use later. */
static struct text render_file(const struct call *call) {
  bool is_usable = call->conf_length > 0 && call->conf_length <= CONFIGURATION_MAX && is_plain_text(call->conf, call->conf_length);
  struct text content = render(call, is_usable);
  return content.is_cut ? render(call, false) : content;
}

static bool make_folder(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int made = mkdir(path, 0700);
    *slash = '/';
    if (made != 0 && errno != EEXIST) return false;
  }
  return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* Whether one more file may stand in the folder; a DEL that is written a second time takes the first one's place. */
static bool has_room(int folder, const char *name) {
  if (faccessat(folder, name, F_OK, 0) == 0) return true;
  int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *list = own < 0 ? NULL : fdopendir(own);
  if (list == NULL) return false;
  int entries = -2; /* without . and .. */
  while (readdir(list) != NULL) entries++;
  closedir(list);
  errno = FOLDER_FULL;
  return entries < FILES_MAX;
}

static bool write_file(int folder, const char *name, struct text content) {
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  bool is_written = write_all(fd, content.bytes, content.length, INT64_MAX) && fsync(fd) == 0;
  int error = errno;
  close(fd);
  errno = error;
  return is_written;
}

static bool write_in_folder(int folder, const struct call *call) {
  char name_buffer[KEY_DIGITS + sizeof ".json"], draft_buffer[KEY_DIGITS + 32];
  struct text name = TEXT_IN(name_buffer), draft = TEXT_IN(draft_buffer);
  add_key_digits(&name, call);
  add(&name, ".json");
  add(&draft, ".");
  add_key_digits(&draft, call);
  add(&draft, ".");
  add_number(&draft, (uint64_t)getpid());
  add(&draft, ".tmp");
  if (!has_room(folder, as_string(&name))) return false;
  bool is_there = write_file(folder, as_string(&draft), render_file(call)) && renameat(folder, draft_buffer, folder, name_buffer) == 0;
  int error = errno;
  if (!is_there) unlinkat(folder, draft_buffer, 0);
  errno = error;
  return is_there && fsync(folder) == 0;
}

/* 0, or why not. */
static int write_in(char *path, const struct call *call) {
  int folder = make_folder(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  bool is_written = folder >= 0 && write_in_folder(folder, call);
  int error = errno;
  if (folder >= 0) close(folder);
  return is_written ? 0 : error;
}

static bool write_below(const char *directory, const struct call *call, struct text *reasons) {
  static char buffer[4096 + sizeof "/pending-dels"];
  struct text path = TEXT_IN(buffer);
  add(&path, directory);
  add(&path, "/pending-dels");
  as_string(&path);
  int error = path.length < path.capacity ? write_in(buffer, call) : ENAMETOOLONG;
  if (error == 0) {
    SAY("the DEL of container ", call->container_id, " ", call->if_name, " is written down in ", buffer, ", to be done later");
    return true;
  }
  if (reasons->length > 0) add(reasons, "; ");
  add(reasons, buffer);
  add(reasons, ": ");
  add(reasons, error == FOLDER_FULL ? "it holds 1024 files already" : error_name(error));
  return false;
}

bool write_pending_del(const struct call *call, struct text *reasons) {
  return write_below(variable("WEFT_STATE_DIR", "/var/lib/weft"), call, reasons) ||
         write_below(variable("WEFT_RUN_DIR", "/run/weft"), call, reasons);
}
