#include "weft.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* include/uapi/linux/memfd.h, Linux 6.3 */
#endif

#define INSTALLED_WEFT "/usr/local/bin/weft"
/* Set for the weft that is executed: a launcher that finds it was executed by a launcher. */
#define LAUNCHED_MARK "WEFT_LAUNCHED"

extern char **environ;

/* Whether the path leads to this very program. A copy of it is caught by the mark. */
static bool is_launcher(const char *path) {
  struct stat own, other;
  if (stat("/proc/self/exe", &own) != 0 || stat(path, &other) != 0) return false;
  return own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

static void add_reason(struct text *reasons, const char *path, const char *reason) {
  if (reasons->length > 0) add(reasons, "; ");
  add(reasons, path);
  add(reasons, ": ");
  add(reasons, reason);
}

/* Comes back only when it fails; returns the reason. weft starts with the usual dispositions of signals. */
static const char *execute(const char *path, char *const arguments[]) {
  if (is_launcher(path)) return "it is the launcher and not weft";
  signal(SIGPIPE, SIG_DFL);
  execve(path, arguments, environ);
  int error = errno;
  signal(SIGPIPE, SIG_IGN);
  return error_name(error);
}

void execute_weft(char *const arguments[], struct text *reasons) {
  if (getenv(LAUNCHED_MARK) != NULL) {
    add_reason(reasons, variable("WEFT_EXE", INSTALLED_WEFT), "it leads back to the launcher and not to weft");
    return;
  }
  if (putenv(LAUNCHED_MARK "=1") != 0) {
    add_reason(reasons, "the environment", error_name(errno));
    return;
  }
  /* What the runtime left open is of no use to weft. An older kernel than Linux 5.9 leaves it open. */
  syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, 0U);
  const char *named = variable("WEFT_EXE", NULL);
  if (named != NULL) {
    const char *reason = execute(named, arguments);
    add_reason(reasons, named, reason);
    SAY("WEFT_EXE names ", named, ", which cannot be executed: ", reason);
  }
  add_reason(reasons, INSTALLED_WEFT, execute(INSTALLED_WEFT, arguments));
}

/* A file in memory; sealed against being executed, since a hardened kernel gives no other (vm.memfd_noexec = 2). */
static int file_with(const char *bytes, size_t length) {
  int fd = memfd_create("stdin", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = memfd_create("stdin", MFD_CLOEXEC);
  if (fd < 0) return -1;
  if (write_all(fd, bytes, length, INT64_MAX) && lseek(fd, 0, SEEK_SET) == 0) return fd;
  close(fd);
  return -1;
}

/* In the process that only writes. It ends with the last byte, or with the reader (EPIPE). */
static void write_and_exit(int fd, const char *bytes, size_t length) {
  for (int other = STDIN_FILENO; other <= STDERR_FILENO; other++) close(other);
  _exit(write_all(fd, bytes, length, INT64_MAX) ? 0 : 1);
}

/* A pipe and a process that fills it: for where there are no files in memory. */
static int pipe_with(const char *bytes, size_t length) {
  int ends[2], status = 1;
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    /* A grandchild is no child of weft, which would not know what to do with one it did not start. */
    pid_t writer = fork();
    if (writer == 0) write_and_exit(ends[1], bytes, length);
    _exit(writer < 0);
  }
  close(ends[1]);
  if (child > 0 && waitpid(child, &status, 0) == child && status == 0) return ends[0];
  close(ends[0]);
  errno = EAGAIN; /* fork(2): no more processes */
  return -1;
}

bool put_back_stdin(const char *bytes, size_t length) {
  int fd = file_with(bytes, length);
  if (fd < 0) fd = pipe_with(bytes, length);
  if (fd < 0) return false;
  bool is_placed = dup2(fd, STDIN_FILENO) == STDIN_FILENO;
  close(fd);
  return is_placed;
}
