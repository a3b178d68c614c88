#include "io.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void add_bytes(struct text *text, const char *bytes, size_t length) {
  size_t room = text->capacity - text->length;
  if (length > room) text->is_cut = true;
  size_t taken = length > room ? room : length;
  if (taken > 0) memcpy(text->bytes + text->length, bytes, taken);
  text->length += taken;
}

void add(struct text *text, const char *words) { add_bytes(text, words, strlen(words)); }

void add_number(struct text *text, uint64_t number) {
  char digits[20]; /* 2^64 has 20 */
  size_t first = sizeof digits;
  do {
    digits[--first] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  add_bytes(text, digits + first, sizeof digits - first);
}

/* How many bytes the well-formed character at `bytes` has (Unicode 15.0, table 3-7); 0 where there is none. */
static size_t character_length(const unsigned char *bytes, size_t left) {
  unsigned char first = bytes[0], low = 0x80, high = 0xbf;
  if (first < 0x80) return 1;
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || length > left) return 0;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  if (bytes[1] < low || bytes[1] > high) return 0;
  for (size_t index = 2; index < length; index++) {
    if ((bytes[index] & 0xc0) != 0x80) return 0;
  }
  return length;
}

static void add_json_character(struct text *text, const char *bytes, size_t length) {
  static const char hexadecimal[] = "0123456789abcdef";
  unsigned char first = (unsigned char)bytes[0];
  if (length == 0) {
    add(text, "\xef\xbf\xbd");
  } else if (first < 0x20) {
    char escape[] = {'\\', 'u', '0', '0', hexadecimal[first >> 4], hexadecimal[first & 0xf]};
    add_bytes(text, escape, sizeof escape);
  } else {
    if (first == '"' || first == '\\') add(text, "\\");
    add_bytes(text, bytes, length);
  }
}

void add_json(struct text *text, const char *bytes, size_t length) {
  add(text, "\"");
  for (size_t at = 0; at < length;) {
    size_t size = character_length((const unsigned char *)bytes + at, length - at);
    add_json_character(text, bytes + at, size);
    at += size == 0 ? 1 : size;
  }
  add(text, "\"");
}

const char *as_string(struct text *text) {
  text->bytes[text->length < text->capacity ? text->length : text->capacity - 1] = '\0';
  return text->bytes;
}

bool is_plain_text(const char *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    size_t size = character_length((const unsigned char *)bytes + at, length - at);
    if (size == 0 || bytes[at] == '\0') return false;
    at += size;
  }
  return true;
}

const char *error_name(int error) {
#define NAMED(number) {number, #number}
  /* Of the system calls that this program makes. glibc's strerrorname_np() is nobody else's. */
  static const struct {
    int number;
    const char *name;
  } errors[] = {
      NAMED(EACCES), NAMED(EADDRNOTAVAIL), NAMED(EAFNOSUPPORT), NAMED(EAGAIN), NAMED(EBADF), NAMED(ECONNABORTED), NAMED(ECONNREFUSED), NAMED(ECONNRESET),
      NAMED(EDQUOT), NAMED(EEXIST), NAMED(EFAULT), NAMED(EFBIG), NAMED(EINTR), NAMED(EINVAL), NAMED(EIO), NAMED(EISDIR), NAMED(ELIBBAD), NAMED(ELOOP),
      NAMED(EMFILE), NAMED(ENAMETOOLONG), NAMED(ENFILE), NAMED(ENOBUFS), NAMED(ENODEV), NAMED(ENOENT), NAMED(ENOEXEC), NAMED(ENOMEM), NAMED(ENOSPC),
      NAMED(ENOSYS), NAMED(ENOTCONN), NAMED(ENOTDIR), NAMED(ENXIO), NAMED(EPERM), NAMED(EPIPE), NAMED(EPROTOTYPE), NAMED(EROFS), NAMED(ESTALE),
      NAMED(ETIMEDOUT), NAMED(ETXTBSY), NAMED(E2BIG),
  };
#undef NAMED
  for (size_t at = 0; at < sizeof errors / sizeof *errors; at++) {
    if (errors[at].number == error) return errors[at].name;
  }
  return "an unknown error";
}

const char *variable(const char *name, const char *otherwise) {
  const char *value = getenv(name);
  return value == NULL || value[0] == '\0' ? otherwise : value;
}

void say_line(const char *const words[]) {
  static char buffer[2048];
  struct text line = {.bytes = buffer, .capacity = sizeof buffer - 1};
  add(&line, "weft: ");
  for (; *words != NULL; words++) add(&line, *words);
  line.capacity++;
  add(&line, "\n");
  /* A runtime that reads stderr only after the end must not keep the call from ending. */
  if (wait_for(STDERR_FILENO, POLLOUT, 0) && write(STDERR_FILENO, line.bytes, line.length) < 0) return;
}

int64_t now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

void sleep_ms(int64_t duration) {
  if (duration > 0) poll(NULL, 0, (int)earlier(duration, INT_MAX));
}

int64_t earlier(int64_t one, int64_t other) { return one < other ? one : other; }

bool wait_for(int fd, short events, int64_t deadline) {
  for (;;) {
    int64_t left = deadline - now_ms();
    struct pollfd polled = {.fd = fd, .events = events};
    int ready = poll(&polled, 1, left > 0 ? (int)earlier(left, INT_MAX) : 0);
    if (ready > 0) return true;
    /* What poll itself refuses, the read or write that follows will explain. */
    if (ready < 0 && errno != EINTR) return true;
    if (left <= 0) return false;
  }
}

bool write_all(int fd, const char *bytes, size_t length, int64_t deadline) {
  while (length > 0) {
    if (!wait_for(fd, POLLOUT, deadline)) {
      errno = ETIMEDOUT;
      return false;
    }
    /* A pipe that is ready takes PIPE_BUF bytes without blocking (pipe(7)); of a larger write it might not come back. */
    ssize_t written = write(fd, bytes, length < PIPE_BUF ? length : PIPE_BUF);
    if (written < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (written > 0) bytes += written;
    if (written > 0) length -= (size_t)written;
  }
  return true;
}
