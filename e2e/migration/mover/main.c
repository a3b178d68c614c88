/*
 * Moves a machine between network namespaces, as a hypervisor or a checkpoint does, while others talk to it, and counts what became of every
 * packet. One process has all ends of all packets, and so one clock.
 *
 *     mover SECONDS
 *
 * It ends with its stdin, and after so many seconds in any case. Lines on stdin, each answered by a line of JSON:
 *
 *     party NAME IPV4 IPV6 MAC                 someone who sends and receives; `-` for an address it has not
 *     place PARTY PLACE veth|tap NETNS_PATH    it has its interface eth0 there: sockets, or tap0 behind a bridge. The first is where it runs,
 *                                              at any other one it waits
 *     leave PLACE                              it has not any more
 *     flow FROM TO 4|6 RATE                    UDP packets from party to party, so many a second, until the end
 *     stream PEER MACHINE 4|6 push|pull|ask    a TCP connection
 *     begin                                    a window of packets to be looked at
 *     arm PATH HEX                             connects to a socket, to send it these bytes when the machine stops or resumes
 *     move PARTY PLACE PAUSE_US ANNOUNCEMENT WHEN
 *                                              stops it where it is and resumes it there after so many microseconds. It says rarp, garp, na or
 *                                              none; what is armed is sent at stop, at resume, or never
 *     halt PARTY                               stops it where it is; `move` goes on from there
 *     reach MS                                 waits until each flow to the machine has come to its new place, or for so long
 *     end SETTLE_MS                            waits for the move and for what is under way, and reports the window
 */
#include "mover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS 200000
#define LINE_BYTES (1 << 18)
#define WORDS_MAX 6
/* Around the move the mover itself must not have been away: from so long before the stop to so long after the resumption. */
#define CRITICAL_NS (20 * MS_NS)

static int64_t start_ns, last_round_ns, longest_pause_ns, critical_pause_ns, recent_pause_ns, recent_until_ns, end_at_ns, settle_ns, reach_until_ns;
static uint64_t backlog_before, drops_before;

/* Packets that did not fit into a queue between two devices, of the whole machine; second column, in hexadecimal. */
static uint64_t backlog_drops(void) {
  FILE *file = fopen("/proc/net/softnet_stat", "r");
  uint64_t sum = 0, dropped;
  while (file != NULL && fscanf(file, "%*x %" SCNx64 "%*[^\n]", &dropped) == 1) sum += dropped;
  if (file != NULL) fclose(file);
  return sum;
}

static const char *add_party(const char *name, const char *ip4, const char *ip6, const char *mac) {
  if (party_count == PARTIES_MAX) return "there are too many parties";
  if (find_party(name) >= 0) return "there is such a party already";
  struct party party = {.place = -1};
  snprintf(party.name, sizeof party.name, "%s", name);
  bool is_right = (strcmp(ip4, "-") == 0 || inet_pton(AF_INET, ip4, &party.ip4) == 1) && (strcmp(ip6, "-") == 0 || inet_pton(AF_INET6, ip6, &party.ip6) == 1);
  uint8_t *m = party.mac;
  if (!is_right || sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3, m + 4, m + 5) != 6) return "an address is none";
  parties[party_count++] = party;
  return NULL;
}

/* Pauses before the stop are remembered for a while, since they count only if it comes soon. */
static void note_pause(int64_t now) {
  int64_t pause = last_round_ns > 0 ? now - last_round_ns : 0;
  last_round_ns = now;
  if (pause > longest_pause_ns) longest_pause_ns = pause;
  if (timeline.stopped == 0) {
    if (now > recent_until_ns || pause > recent_pause_ns) {
      recent_pause_ns = pause;
      recent_until_ns = now + CRITICAL_NS;
    }
    return;
  }
  if (recent_until_ns >= timeline.stopped && recent_pause_ns > critical_pause_ns) critical_pause_ns = recent_pause_ns;
  if ((timeline.resumed == 0 || now < timeline.resumed + CRITICAL_NS) && pause > critical_pause_ns) critical_pause_ns = pause;
}

static void drain_all(void) {
  for (int at = 0; at < place_count; at++) {
    if (!places[at].is_used) continue;
    drain_place(&places[at]);
    read_witness(&places[at]);
  }
}

static void begin(void) {
  drain_all();
  begin_window();
  begin_move();
  begin_streams();
  backlog_before = backlog_drops();
  drops_before = socket_drops();
  longest_pause_ns = critical_pause_ns = recent_pause_ns = recent_until_ns = 0;
  last_round_ns = now_ns();
}

static void report(void) {
  printf("{\"flows\":[");
  print_flows();
  printf("],\"streams\":[");
  print_streams();
  printf("]");
  print_move();
  printf(",\"socketDrops\":%" PRIu64 ",\"backlogDrops\":%" PRIu64 ",\"longestPauseMs\":%.3f,\"criticalPauseMs\":%.3f}\n", socket_drops() - drops_before,
         backlog_drops() - backlog_before, (double)longest_pause_ns / 1e6, (double)critical_pause_ns / 1e6);
  fflush(stdout);
  for (int at = 0; at < place_count; at++) {
    if (places[at].is_used) close_witness(&places[at]);
  }
}

/* The window is closed once the move is over and half of the time to settle has gone; the other half is for what is under way. */
static void step_end(int64_t now) {
  if (settle_ns == 0 || is_moving()) return;
  if (end_at_ns == 0) {
    end_at_ns = now + settle_ns;
    return;
  }
  static bool is_closed;
  if (!is_closed && now >= end_at_ns - settle_ns / 2) {
    close_window();
    is_closed = true;
  }
  if (now < end_at_ns) return;
  is_closed = false;
  settle_ns = end_at_ns = 0;
  report();
}

static void step_reach(int64_t now) {
  if (reach_until_ns == 0 || (now < reach_until_ns && (is_moving() || !is_reached()))) return;
  reach_until_ns = 0;
  printf("{\"isReached\":%s}\n", is_moving() || !is_reached() ? "false" : "true");
  fflush(stdout);
}

/* One turn of the clock. */
static void do_round(void) {
  bool is_behind = true;
  while (is_behind) {
    int64_t now = now_ns();
    note_pause(now);
    step_move(now);
    is_behind = send_due(now);
    drain_all();
    step_streams(now);
    step_reach(now);
    step_end(now);
  }
}

/* Returns what is wrong, or NULL; and whether the answer comes later. */
static const char *obey(char **word, int words, bool *is_later) {
  const char *verb = words > 0 ? word[0] : "";
  if (strcmp(verb, "party") == 0 && words == 5) return add_party(word[1], word[2], word[3], word[4]);
  if (strcmp(verb, "place") == 0 && words == 5) return open_place(word[1], word[2], word[3], word[4]);
  if (strcmp(verb, "leave") == 0 && words == 2) return close_place(word[1]);
  if (strcmp(verb, "flow") == 0 && words == 5) return add_flow(word[1], word[2], atoi(word[3]), atol(word[4]));
  if (strcmp(verb, "stream") == 0 && words == 5) return add_stream(word[1], word[2], atoi(word[3]), word[4]);
  if (strcmp(verb, "arm") == 0 && words == 3) return arm(word[1], word[2]);
  if (strcmp(verb, "move") == 0 && words == 6) return start_move(word[1], word[2], atol(word[3]), word[4], word[5]);
  if (strcmp(verb, "begin") == 0 && words == 1) {
    begin();
    return NULL;
  }
  if (strcmp(verb, "halt") == 0 && words == 2) return halt(word[1]);
  if (strcmp(verb, "reach") == 0 && words == 2) {
    reach_until_ns = now_ns() + atol(word[1]) * MS_NS;
    *is_later = true;
    return NULL;
  }
  if (strcmp(verb, "end") != 0 || words != 2 || atol(word[1]) < 1) return "this is none of the mover's lines: see main.c";
  settle_ns = atol(word[1]) * MS_NS;
  *is_later = true;
  return NULL;
}

static void answer_line(char *line) {
  char *word[WORDS_MAX + 1] = {0}, *rest = NULL;
  int words = 0;
  bool is_later = false;
  for (char *at = strtok_r(line, " ", &rest); at != NULL && words <= WORDS_MAX; at = strtok_r(NULL, " ", &rest)) word[words++] = at;
  bool is_named = true;
  for (int at = 1; at < words && at <= 2; at++) is_named = is_named && (strcmp(word[0], "arm") == 0 || strlen(word[at]) < NAME_BYTES);
  const char *fault = is_named ? obey(word, words, &is_later) : "a name is too long";
  if (is_later) return;
  if (fault != NULL) printf("{\"error\":\"%s\"}\n", fault);
  else printf("{}\n");
  fflush(stdout);
}

/* Returns false at the end of stdin. */
static bool read_lines(void) {
  static char buffer[LINE_BYTES];
  static size_t length;
  ssize_t got = read(STDIN_FILENO, buffer + length, sizeof buffer - 1 - length);
  if (got <= 0) return got < 0 && errno == EINTR;
  length += (size_t)got;
  buffer[length] = '\0';
  char *line = buffer;
  for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = '\0';
    answer_line(line);
  }
  length = strlen(line);
  memmove(buffer, line, length);
  return length < sizeof buffer - 1;
}

int main(int argc, char *argv[]) {
  long seconds = argc == 2 ? atol(argv[1]) : 0;
  if (seconds < 1) {
    fprintf(stderr, "usage: mover SECONDS\n");
    return 2;
  }
  start_ns = now_ns();
  /*
   * Whoever measures must have the processor before what is measured: a nice value is not enough, since a slice of somebody else's is three
   * milliseconds. Without the privilege it is only less exact.
   */
  struct sched_param first = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &first) != 0 && setpriority(PRIO_PROCESS, 0, -20) != 0) perror("mover: priority");
  mlockall(MCL_CURRENT | MCL_FUTURE);
  struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN}};
  struct itimerspec tick = {{0, TICK_NS}, {0, TICK_NS}};
  if (polled[1].fd < 0 || timerfd_settime(polled[1].fd, 0, &tick, NULL) != 0) {
    perror("mover");
    return 1;
  }
  while (now_ns() - start_ns < seconds * SECOND_NS) {
    uint64_t ticks;
    if (poll(polled, 2, 1000) < 0 && errno != EINTR) break;
    if (polled[1].revents & POLLIN && read(polled[1].fd, &ticks, sizeof ticks) > 0) do_round();
    if (polled[0].revents != 0 && !read_lines()) break;
  }
  return 0;
}
