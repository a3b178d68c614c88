/*
 * A migration as the machine's own host makes it: the machine is stopped where it runs, stands still, and goes on where it waited.
 *
 *     ── running ──┤ stop ──────────── pause ────────────├ resume ── running ──▶
 *                  │ trigger (STOP)                      │ announcement, trigger (where there was no STOP)
 */
#include "mover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 65536
#define ANSWER_MAX 4096
/* An orchestrator waits for the answer before it lets the machine go on, and not for ever. */
#define ANSWER_NS SECOND_NS

struct timeline timeline;

static int trigger_fd = -1;
static bool is_socket;
static uint8_t request[REQUEST_MAX];
static size_t request_length;
static char answer[ANSWER_MAX];
static size_t answer_length;

static struct {
  bool is_under_way, is_triggered_at_stop, is_triggered_at_resume;
  int party, target;
  int64_t resume_at;
  char announcement[8];
  char fault[128];
} move;

/* Nothing has to be opened or connected any more at the moment that counts. A named pipe is for what has no socket. */
const char *arm(const char *path, const char *hex) {
  if (trigger_fd >= 0) close(trigger_fd);
  struct stat status;
  if (stat(path, &status) != 0) return strerror(errno);
  is_socket = S_ISSOCK(status.st_mode);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (is_socket && strlen(path) >= sizeof address.sun_path) return "the socket's path is too long";
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  trigger_fd = is_socket ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (trigger_fd < 0 || (is_socket && connect(trigger_fd, (struct sockaddr *)&address, sizeof address) != 0)) return strerror(errno);
  if (is_socket) fcntl(trigger_fd, F_SETFL, O_NONBLOCK);
  for (request_length = 0; hex[0] != '\0' && hex[1] != '\0' && request_length < REQUEST_MAX; hex += 2) {
    char byte[3] = {hex[0], hex[1], '\0'};
    request[request_length++] = (uint8_t)strtoul(byte, NULL, 16);
  }
  answer_length = 0;
  return NULL;
}

static void trigger(void) {
  timeline.triggered = now_ns();
  if (trigger_fd < 0 || write(trigger_fd, request, request_length) != (ssize_t)request_length) snprintf(move.fault, sizeof move.fault, "nothing was armed, or it took no request");
  if (!is_socket) timeline.answered = now_ns();
}

static void read_answer(void) {
  if (!is_socket || trigger_fd < 0 || timeline.triggered == 0 || timeline.answered > 0) return;
  ssize_t got = read(trigger_fd, answer + answer_length, sizeof answer - 1 - answer_length);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) answer_length += (size_t)got;
  if (got > 0 && answer_length < sizeof answer - 1) return;
  timeline.answered = now_ns();
  close(trigger_fd);
  trigger_fd = -1;
}

static void announce(const struct place *place, const char *kind) {
  uint8_t frame[FRAME_BYTES];
  size_t length = build_announcement(frame, &parties[place->party], kind);
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = place->ifindex, .sll_halen = 6};
  memcpy(to.sll_addr, frame, 6);
  timeline.announced = now_ns();
  ssize_t put = place->is_tap ? write(place->tap, frame, length) : sendto(place->raw, frame, length, 0, (struct sockaddr *)&to, sizeof to);
  if (put != (ssize_t)length) snprintf(move.fault, sizeof move.fault, "the announcement was refused: %.80s", strerror(errno));
}

/* The machine hears and says nothing from now on. */
const char *halt(const char *party) {
  int owner = find_party(party);
  if (owner < 0 || parties[owner].place < 0) return "there is no such party, or it is nowhere";
  struct place *source = &places[parties[owner].place];
  if (source->state == STOPPED) return "it stands still already";
  drain_place(source);
  lock_streams(owner);
  source->state = STOPPED;
  timeline.stopped = now_ns();
  return NULL;
}

const char *start_move(const char *party, const char *place, long pause_us, const char *announcement, const char *when) {
  int owner = find_party(party), target = find_place(place);
  if (owner < 0 || target < 0 || places[target].party != owner) return "there is no such party, or it has no such place";
  if (parties[owner].place == target) return "it is there already";
  if (pause_us < 0) return "the pause must not be negative";
  memset(&move, 0, sizeof move);
  move.is_under_way = true;
  move.party = owner;
  move.target = target;
  move.is_triggered_at_stop = strcmp(when, "stop") == 0;
  move.is_triggered_at_resume = strcmp(when, "resume") == 0;
  snprintf(move.announcement, sizeof move.announcement, "%s", announcement);
  halt(party);
  const char *fault = restore_streams(owner, &places[target]);
  if (fault != NULL) snprintf(move.fault, sizeof move.fault, "a TCP connection does not move: %.80s", fault);
  if (move.is_triggered_at_stop) trigger();
  move.resume_at = timeline.stopped + pause_us * 1000;
  step_move(now_ns());
  return NULL;
}

static void resume(void) {
  struct place *target = &places[move.target];
  target->state = RUNNING;
  parties[move.party].place = move.target;
  timeline.resumed = now_ns();
  if (strcmp(move.announcement, "none") != 0) announce(target, move.announcement);
  if (move.is_triggered_at_resume) trigger();
  release_streams(move.party);
  /* What has waited in its queue is the first it takes. */
  drain_place(target);
  move.is_under_way = false;
}

void step_move(int64_t now) {
  read_answer();
  if (!move.is_under_way || now < move.resume_at) return;
  bool is_waiting = move.is_triggered_at_stop && timeline.answered == 0 && now - timeline.triggered < ANSWER_NS;
  if (!is_waiting) resume();
}

bool is_moving(void) { return move.is_under_way || (timeline.triggered > 0 && timeline.answered == 0 && now_ns() - timeline.triggered < ANSWER_NS); }

/* The places where a machine waits are watched from now on: what comes there too early is seen too. */
void begin_move(void) {
  memset(&timeline, 0, sizeof timeline);
  memset(&move, 0, sizeof move);
  answer_length = 0;
  for (int at = 0; at < place_count; at++) {
    if (places[at].is_used && places[at].state == WAITING) open_witness(&places[at]);
  }
}

void print_move(void) {
  const struct {
    const char *name;
    int64_t ns;
  } times[] = {{"stopped", timeline.stopped}, {"triggered", timeline.triggered}, {"answered", timeline.answered}, {"resumed", timeline.resumed}, {"announced", timeline.announced}};
  printf(",\"timeline\":{");
  bool is_first = true;
  for (size_t at = 0; at < sizeof times / sizeof *times; at++) {
    if (times[at].ns == 0) continue;
    printf("%s\"%s\":%.3f", is_first ? "" : ",", times[at].name, (double)times[at].ns / 1e6);
    is_first = false;
  }
  printf("},\"answer\":\"");
  for (size_t at = 0; at < answer_length; at++) printf("%02x", (uint8_t)answer[at]);
  printf("\"");
  if (move.fault[0] != '\0') printf(",\"fault\":\"%s\"", move.fault);
}
