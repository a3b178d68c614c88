#include "daemon.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io.h"
#include "wire.h"

/* A result is a page of text. What is longer is no answer. */
#define BODY_MAX (8 * 1024 * 1024)
/* A daemon that hands over to a newer one closes connections it has not accepted; the newer one is there within a moment. */
#define LOSSES_MAX 8
#define FIRST_PAUSE_MS 5
#define BUSY_PAUSE_MS 3

static char body[BODY_MAX];
static char reason_buffer[1024];

/* What came of one connection. */
enum attempt { DONE, OVERDUE, REFUSED, LOST, BUSY };

static enum attempt because(enum attempt attempt, const char *words, const char *more) {
  struct text reason = TEXT_IN(reason_buffer);
  add(&reason, words);
  add(&reason, more);
  as_string(&reason);
  return attempt;
}

/* The same, said aloud: something is wrong that somebody should look at. */
static enum attempt because_of_fault(const char *words, const char *more) {
  because(REFUSED, words, more);
  SAY("the daemon on ", socket_path(), " cannot do the call, weft does it alone: ", reason_buffer);
  return REFUSED;
}

const char *socket_path(void) {
  static char buffer[4096 + sizeof "/weft.sock"];
  struct text path = TEXT_IN(buffer);
  add(&path, variable("WEFT_RUN_DIR", "/run/weft"));
  add(&path, "/weft.sock");
  return as_string(&path);
}

static enum attempt fill_address(struct sockaddr_un *address) {
  const char *path = socket_path();
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  /* The last byte is for the NUL. */
  if (strlen(path) >= sizeof address->sun_path) return because_of_fault("WEFT_RUN_DIR is too long for the address of a socket", "");
  memcpy(address->sun_path, path, strlen(path));
  return DONE;
}

/* Whoever could put a socket there could do whatever the call does; a user who may not is no daemon of ours. */
static enum attempt check_peer(int fd) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return because_of_fault("its user is not known: ", error_name(errno));
  if (peer.uid == 0 || peer.uid == geteuid()) return DONE;
  return because_of_fault("it runs as another user, neither root nor the caller", "");
}

static enum attempt open_connection(int fd) {
  struct sockaddr_un address;
  if (fd < 0) return because_of_fault("no socket can be made: ", error_name(errno));
  if (fill_address(&address) != DONE) return REFUSED;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return check_peer(fd);
  /* unix(7): the backlog is full. */
  if (errno == EAGAIN) return because(BUSY, "its queue of connections is full", "");
  if (errno == EINTR) return because(BUSY, "the connection was interrupted", "");
  /* As it is where no daemon is installed, or was stopped. */
  if (errno == ENOENT || errno == ECONNREFUSED) return because(REFUSED, "nobody listens: ", error_name(errno));
  return because_of_fault("it cannot be connected to: ", error_name(errno));
}

/* Stops without a word when there is something to read, or the connection breaks: what can be read explains it. */
static enum attempt send_request(int fd, const struct call *call, int64_t deadline) {
  for (size_t sent = 0; sent < call->request_length;) {
    ssize_t taken = send(fd, call->request + sent, call->request_length - sent, MSG_NOSIGNAL);
    if (taken >= 0) {
      sent += (size_t)taken;
    } else if (errno == EAGAIN) {
      if (!wait_for(fd, POLLIN | POLLOUT, deadline)) return OVERDUE;
      char byte;
      if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) return DONE;
    } else if (errno != EINTR) {
      return DONE;
    }
  }
  return DONE;
}

/* LOST when the connection ends before the first of the bytes, REFUSED when it does in the middle of them. */
static enum attempt receive_exactly(int fd, char *bytes, size_t length, int64_t deadline) {
  for (size_t received = 0; received < length;) {
    ssize_t got = recv(fd, bytes + received, length - received, MSG_DONTWAIT);
    if (got > 0) {
      received += (size_t)got;
    } else if (got < 0 && errno == EAGAIN) {
      if (!wait_for(fd, POLLIN, deadline)) return OVERDUE;
    } else if (got == 0 || errno != EINTR) {
      return received == 0 ? LOST : REFUSED;
    }
  }
  return DONE;
}

static enum attempt receive_frame(int fd, struct frame *frame, int64_t deadline) {
  char header[HEADER_BYTES];
  enum attempt attempt = receive_exactly(fd, header, sizeof header, deadline);
  if (attempt == REFUSED) return because_of_fault("it broke off in the middle of a frame", "");
  if (attempt != DONE) return attempt;
  bool is_ours = read_header(header, frame) && frame->status <= (frame->kind == KIND_ANSWERED ? 255 : UINT32_MAX);
  if (!is_ours || frame->body_length > BODY_MAX) return because_of_fault("it answered what is no frame of the protocol", "");
  attempt = receive_exactly(fd, body, frame->body_length, deadline);
  return attempt == LOST || attempt == REFUSED ? because_of_fault("it broke off in the middle of a frame", "") : attempt;
}

static enum attempt take_last_frame(const struct frame *frame, struct answer *answer) {
  if (frame->kind == KIND_ANSWERED) {
    *answer = (struct answer){.exit_status = (int)frame->status, .body = body, .body_length = frame->body_length};
    return DONE;
  }
  if (frame->kind != KIND_ELSEWHERE) return because_of_fault("it answered a frame of an unknown kind", "");
  struct text words = {.bytes = body, .length = frame->body_length, .capacity = sizeof body};
  because(REFUSED, "it leaves the call to others: ", as_string(&words));
  SAY("the daemon leaves the call to weft alone: ", as_string(&words));
  return REFUSED;
}

/* Of the frames of an answer: `accepted`, and the last one. */
static enum attempt receive_answer(int fd, int64_t accept_by, int64_t answer_by, struct answer *answer) {
  struct frame frame;
  enum attempt attempt = receive_frame(fd, &frame, accept_by);
  if (attempt == LOST) return because(LOST, "it closed the connection before it took the call", "");
  if (attempt == OVERDUE) return because_of_fault("it did not take the call in time; is it stopped?", "");
  if (attempt != DONE || frame.kind != KIND_ACCEPTED) return attempt == DONE ? take_last_frame(&frame, answer) : attempt;
  if (frame.body_length > 0) return because_of_fault("it answered what is no frame of the protocol", "");
  attempt = receive_frame(fd, &frame, answer_by);
  if (attempt == LOST) return because_of_fault("it ended while it worked on the call", "");
  if (attempt == OVERDUE) return because(OVERDUE, "it took the call, and did not answer in time", "");
  return attempt == DONE ? take_last_frame(&frame, answer) : attempt;
}

static enum attempt attempt_call(const struct call *call, int64_t accept_by, int64_t answer_by, struct answer *answer) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  enum attempt attempt = open_connection(fd);
  if (attempt == DONE) {
    attempt = send_request(fd, call, accept_by);
    attempt = attempt == OVERDUE ? because_of_fault("it did not read the call in time; is it stopped?", "") : receive_answer(fd, accept_by, answer_by, answer);
  }
  if (fd >= 0) close(fd);
  return attempt;
}

enum outcome ask_daemon(const struct call *call, int64_t accept_by, int64_t answer_by, struct answer *answer) {
  *answer = (struct answer){.reason = reason_buffer};
  if (call->request == NULL) {
    because_of_fault("the CNI_* variables and PATH have more than 64 KiB", "");
    return UNSERVED;
  }
  int losses = 0;
  for (int64_t pause = FIRST_PAUSE_MS;;) {
    enum attempt attempt = attempt_call(call, accept_by, answer_by, answer);
    if (attempt == DONE) return ANSWERED;
    if (attempt == OVERDUE) return LATE;
    if (attempt == REFUSED) return UNSERVED;
    bool is_last = now_ms() >= accept_by || (attempt == LOST && ++losses > LOSSES_MAX);
    if (is_last) {
      because_of_fault(attempt == LOST ? "it closed the connection before it took the call" : "its queue of connections is full", "");
      return UNSERVED;
    }
    sleep_ms(earlier(attempt == LOST ? pause : BUSY_PAUSE_MS, accept_by - now_ms()));
    if (attempt == LOST) pause *= 2;
  }
}
