/*
 * TCP between a peer and the machine that moves. The machine's end moves with it as checkpoint and restore move it (tcp(7) does not tell of
 * TCP_REPAIR; the kernel's net/ipv4/tcp.c does): its numbers, options, windows and unacknowledged bytes go to a socket at the target.
 *
 *     push   the peer sends to the machine without end, at a steady rate
 *     pull   the machine to the peer
 *     ask    the peer sends a request, the machine answers, and so on
 */
#include "mover.h"
#include "repair.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536
#define REQUEST 64
/* Enough to have segments under way all the time, and too little to fill a queue. Bytes a second. */
#define PACE (4 << 20)
#define CONNECT_NS (10 * SECOND_NS)
/* Bytes of a stream that may be under way, so that what is not sent yet does not pile up in the socket. */
#define SEND_BUFFER (256 << 10)

enum stream_kind { PUSH, PULL, ASK };

struct counts {
  uint64_t retransmitted, timeouts;
};

/* Whether this kernel counts timeouts. */
static bool has_timeouts;

struct stream {
  int peer, machine, family;
  enum stream_kind kind;
  int peer_fd, machine_fd, old_fd; /* the old one is what has been left behind at the source */
  struct place *old_place, *place;
  bool is_broken, is_locked;
  int error;
  uint64_t bytes, requests, owed; /* owed: answers that the machine has not sent yet, in bytes */
  int unsent;                     /* bytes of the machine's that are in its socket and were never sent */
  size_t asked;                   /* bytes of the answer that the peer still waits for */
  int64_t asked_ns, slowest_ns, last_progress_ns, longest_stall_ns;
  struct counts before, moved; /* at `begin`, and of ends that have been left behind */
};

static struct stream streams[STREAMS_MAX];
static int stream_count;
static uint8_t zeros[CHUNK];

/* As linux/tcp.h has it since Linux 6.7; Debian 12's is older. */
struct newer_info {
  struct tcp_info info;
  uint32_t rcv_wnd, rehash;
  uint16_t total_rto, total_rto_recoveries;
  uint32_t total_rto_time;
};

static struct counts counts_of(int fd) {
  struct newer_info newer = {0};
  socklen_t length = sizeof newer;
  if (fd < 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &newer, &length) != 0) return (struct counts){0, 0};
  has_timeouts = length >= sizeof newer;
  return (struct counts){newer.info.tcpi_total_retrans, newer.total_rto};
}

static struct counts counts_now(const struct stream *stream) {
  struct counts peer = counts_of(stream->peer_fd), machine = counts_of(stream->machine_fd);
  return (struct counts){peer.retransmitted + machine.retransmitted + stream->moved.retransmitted, peer.timeouts + machine.timeouts + stream->moved.timeouts};
}

static int await(int fd, short events) {
  struct pollfd polled = {.fd = fd, .events = events};
  return poll(&polled, 1, (int)(CONNECT_NS / MS_NS)) == 1 ? 0 : -1;
}

static int socket_at(const struct place *place, int family) {
  int own = enter(place->netns), fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  come_back(own);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static const char *connect_stream(struct stream *stream) {
  int family = stream->family == 4 ? AF_INET : AF_INET6, listener = socket_at(stream->place, family);
  struct endpoint to = endpoint_of(&parties[stream->machine], stream->family, (uint16_t)(TCP_PORT + (stream - streams)));
  stream->peer_fd = socket_at(&places[parties[stream->peer].place], family);
  bool is_begun = listener >= 0 && stream->peer_fd >= 0 && bind(listener, &to.any, to.length) == 0 && listen(listener, 1) == 0;
  if (is_begun && connect(stream->peer_fd, &to.any, to.length) != 0 && errno != EINPROGRESS) is_begun = false;
  if (is_begun && await(listener, POLLIN) == 0) stream->machine_fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  int error = errno;
  if (listener >= 0) close(listener);
  return stream->machine_fd >= 0 && await(stream->peer_fd, POLLOUT) == 0 ? NULL : strerror(error);
}

static void pace(int fd) {
  unsigned rate = PACE;
  int buffer = SEND_BUFFER;
  setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
}

const char *add_stream(const char *peer, const char *machine, int family, const char *kind) {
  struct stream stream = {.peer = find_party(peer), .machine = find_party(machine), .family = family, .peer_fd = -1, .machine_fd = -1, .old_fd = -1};
  if (stream.peer < 0 || stream.machine < 0 || parties[stream.peer].place < 0 || parties[stream.machine].place < 0) return "there is no such party, or it is nowhere";
  if (stream_count == STREAMS_MAX) return "there are too many streams";
  stream.kind = strcmp(kind, "push") == 0 ? PUSH : strcmp(kind, "pull") == 0 ? PULL : ASK;
  stream.place = &places[parties[stream.machine].place];
  if (stream.place->is_tap || places[parties[stream.peer].place].is_tap) return "behind a tap there is no TCP: the meter is no such machine";
  streams[stream_count] = stream;
  const char *fault = connect_stream(&streams[stream_count]);
  if (fault != NULL) return fault;
  struct stream *made = &streams[stream_count++];
  if (made->kind != ASK) pace(made->kind == PUSH ? made->peer_fd : made->machine_fd);
  made->last_progress_ns = now_ns();
  return NULL;
}

static void fail(struct stream *stream) {
  if (errno == EAGAIN || errno == EINTR) return;
  stream->is_broken = true;
  stream->error = errno;
}

static void note_progress(struct stream *stream, int64_t now) {
  if (now - stream->last_progress_ns > stream->longest_stall_ns) stream->longest_stall_ns = now - stream->last_progress_ns;
  stream->last_progress_ns = now;
}

/* Reads all there is. Returns how many bytes. */
static size_t read_all(struct stream *stream, int fd) {
  static uint8_t sink[CHUNK];
  size_t sum = 0;
  for (ssize_t got; (got = recv(fd, sink, sizeof sink, MSG_DONTWAIT)) != 0; sum += (size_t)got) {
    if (got > 0) continue;
    fail(stream);
    return sum;
  }
  errno = ECONNRESET; /* nobody closes here */
  fail(stream);
  return sum;
}

static size_t write_some(struct stream *stream, int fd, size_t most) {
  ssize_t put = send(fd, zeros, most < CHUNK ? most : CHUNK, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put < 0) fail(stream);
  return put < 0 ? 0 : (size_t)put;
}

static void step_ask(struct stream *stream, bool is_running, int64_t now) {
  if (stream->asked == 0) {
    stream->asked = REQUEST;
    stream->asked_ns = now;
    write_some(stream, stream->peer_fd, REQUEST);
  }
  if (is_running) {
    stream->owed += read_all(stream, stream->machine_fd);
    if (stream->owed > 0) stream->owed -= write_some(stream, stream->machine_fd, stream->owed);
  }
  size_t got = read_all(stream, stream->peer_fd);
  if (got == 0) return;
  stream->bytes += got;
  stream->asked -= got < stream->asked ? got : stream->asked;
  note_progress(stream, now);
  if (stream->asked > 0) return;
  stream->requests++;
  if (now - stream->asked_ns > stream->slowest_ns) stream->slowest_ns = now - stream->asked_ns;
}

static void step_flood(struct stream *stream, bool is_running, int64_t now) {
  bool is_push = stream->kind == PUSH;
  if (is_push || is_running) write_some(stream, is_push ? stream->peer_fd : stream->machine_fd, CHUNK);
  size_t got = !is_push ? read_all(stream, stream->peer_fd) : is_running ? read_all(stream, stream->machine_fd) : 0;
  stream->bytes += got;
  if (got > 0) note_progress(stream, now);
}

void step_streams(int64_t now) {
  for (struct stream *stream = streams; stream < streams + stream_count; stream++) {
    if (stream->is_broken) continue;
    bool is_running = !stream->is_locked && stream->machine_fd >= 0;
    if (stream->kind == ASK) step_ask(stream, is_running, now);
    else step_flood(stream, is_running, now);
  }
}

/* From now on the machine's end hears nothing: not even its kernel acknowledges what nobody would take along. */
void lock_streams(int party) {
  struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  struct sock_fprog program = {1, nothing};
  for (struct stream *stream = streams; stream < streams + stream_count; stream++) {
    if (stream->machine != party || stream->is_broken) continue;
    setsockopt(stream->machine_fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    stream->is_locked = true;
    size_t got = read_all(stream, stream->machine_fd);
    if (stream->kind == ASK) stream->owed += got;
    else stream->bytes += got;
  }
}

/*
 * What still comes to the source must not be answered by a reset, nor may what moved be sent once more from there: a socket that hears nothing takes
 * the connection's place. The connection goes without a word, since it is in repair: tcp_disconnect() sends no reset for such.
 */
static void leave_behind(struct stream *stream) {
  struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  struct sock_fprog program = {1, nothing};
  struct endpoint at = {.length = sizeof at.v6};
  int fd = socket_at(stream->place, stream->family == 4 ? AF_INET : AF_INET6);
  bool is_deaf = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 && getsockname(stream->machine_fd, &at.any, &at.length) == 0 &&
                 bind(fd, &at.any, at.length) == 0 && listen(fd, 1) == 0;
  if (!is_deaf) perror("mover: the source's end");
  close(stream->machine_fd);
  stream->old_fd = fd;
  stream->old_place = stream->place;
}

/* Returns what is wrong, or NULL. What comes meanwhile is for nobody, as with a machine that stands still and has no queue. */
const char *restore_streams(int party, struct place *target) {
  struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  struct sock_fprog program = {1, nothing};
  for (struct stream *stream = streams; stream < streams + stream_count; stream++) {
    if (stream->machine != party || stream->is_broken) continue;
    struct counts counts = counts_of(stream->machine_fd);
    stream->moved.retransmitted += counts.retransmitted;
    stream->moved.timeouts += counts.timeouts;
    int fd = socket_at(target, stream->family == 4 ? AF_INET : AF_INET6);
    if (fd < 0) return strerror(errno);
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    const char *fault = move_connection(stream->machine_fd, fd, &stream->unsent);
    if (fault != NULL) {
      close(fd);
      return fault;
    }
    leave_behind(stream);
    stream->machine_fd = fd;
    stream->place = target;
  }
  return NULL;
}

void release_streams(int party) {
  int off = 0;
  for (struct stream *stream = streams; stream < streams + stream_count; stream++) {
    if (stream->machine != party || stream->is_broken || !stream->is_locked) continue;
    setsockopt(stream->machine_fd, SOL_SOCKET, SO_DETACH_FILTER, &off, sizeof off);
    finish_connection(stream->machine_fd);
    for (; stream->unsent > 0; stream->unsent -= (int)write_some(stream, stream->machine_fd, (size_t)stream->unsent)) {
      if (stream->is_broken) break;
    }
    if (stream->kind == PULL) pace(stream->machine_fd);
    stream->is_locked = false;
  }
}

void forget_place_of_streams(const struct place *place) {
  for (struct stream *stream = streams; stream < streams + stream_count; stream++) {
    if (stream->old_fd < 0 || stream->old_place != place) continue;
    close(stream->old_fd);
    stream->old_fd = -1;
  }
}

void begin_streams(void) {
  for (struct stream *stream = streams; stream < streams + stream_count; stream++) {
    stream->before = counts_now(stream);
    stream->bytes = stream->requests = 0;
    stream->slowest_ns = stream->longest_stall_ns = 0;
    stream->last_progress_ns = now_ns();
  }
}

void print_streams(void) {
  static const char *kinds[] = {"push", "pull", "ask"};
  for (struct stream *stream = streams; stream < streams + stream_count; stream++) {
    struct counts counts = counts_now(stream);
    note_progress(stream, now_ns());
    printf("%s{\"peer\":\"%s\",\"machine\":\"%s\",\"family\":%d,\"kind\":\"%s\",\"bytes\":%" PRIu64 ",\"requests\":%" PRIu64, stream == streams ? "" : ",", parties[stream->peer].name,
           parties[stream->machine].name, stream->family, kinds[stream->kind], stream->bytes, stream->requests);
    printf(",\"retransmitted\":%" PRIu64 ",\"slowestMs\":%.3f,\"longestStallMs\":%.3f", counts.retransmitted - stream->before.retransmitted, (double)stream->slowest_ns / 1e6,
           (double)stream->longest_stall_ns / 1e6);
    if (has_timeouts) printf(",\"timeouts\":%" PRIu64, counts.timeouts - stream->before.timeouts);
    if (stream->is_broken) printf(",\"broken\":\"%s\"", strerror(stream->error));
    printf("}");
  }
}
