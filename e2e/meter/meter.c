/*
 * Counts what becomes of UDP packets between network namespaces. One process has a socket in each of them, sends numbered
 * packets by the clock, and receives them: so it knows of every packet whether, where, how often and how late it came.
 *
 *     meter PACKETS_PER_SECOND SECONDS
 *
 * It ends with its stdin, and after so many seconds in any case. Lines on stdin, each answered by a line of JSON:
 *
 *     open STATION NETNS_PATH ADDRESS   the station has a socket there from now on, and sends from it
 *     close STATION                     it has none, and what would come from it waits
 *     flow FROM TO                      sends from station to station, until the end
 *     report                            what came of all flows so far
 *     finish                            sends no more, waits for what is under way, then as `report`
 *
 * What must not be taken for a loss of the network: the buffers hold seconds, what the sender is late with it catches up on, and
 * the kernel's own counters of full buffers are reported beside the losses.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <linux/sock_diag.h>
#include <time.h>
#include <unistd.h>

#define PORT 7007
#define MAGIC 0x6d657465U
#define STATIONS_MAX 64
#define SOCKETS_MAX 128
#define FLOWS_MAX 256
#define NAME_MAX_BYTES 32
#define LINE_MAX_BYTES 512
/* Sent at most in one go, so that the queues between two namespaces (net.core.netdev_max_backlog, 1000) never fill. */
#define BURST_MAX 64
#define BATCH 64
/* A packet occupies 768 bytes and more of a receive buffer, whatever its length: this is some 80000 of them. */
#define RECEIVE_BUFFER (64 << 20)
#define SEND_BUFFER (8 << 20)
#define GAPS_MAX 20
/* After the last packet sent. */
#define QUIET_NS 500000000LL
#define SETTLE_NS 10000000000LL
#define SECOND_NS 1000000000LL

struct packet {
  uint32_t magic, flow; /* big endian, all of it */
  uint64_t number;
  uint64_t sent_ns;
};

struct station {
  char name[NAME_MAX_BYTES];
  struct sockaddr_storage address;
  socklen_t address_length;
  int fd; /* -1: closed */
};

struct endpoint {
  int fd;
  int station;
  uint32_t drops;
};

struct flow {
  int from, to;
  int64_t next_ns; /* when the next packet is due */
  uint64_t sent, received, duplicated, reordered, misdelivered, refused, highest;
  bool has_any;
  int refused_errno;
  int64_t last_arrival_ns, longest_silence_ns, latency_max_ns;
  uint32_t *sent_ms; /* by number, since the start */
  uint8_t *arrived;  /* by number, one byte each */
  uint64_t room;
};

static struct station stations[STATIONS_MAX];
static struct endpoint endpoints[SOCKETS_MAX];
static struct flow flows[FLOWS_MAX];
static int station_count, endpoint_count, flow_count;
static int64_t interval_ns, start_ns, start_wall_ms, last_round_ns, longest_pause_ns, last_arrival_ns;
static uint64_t foreign, backlog_drops_before, socket_drops_closed;
static bool is_sending = true;

static int64_t clock_ns(clockid_t id) {
  struct timespec time;
  clock_gettime(id, &time);
  return (int64_t)time.tv_sec * SECOND_NS + time.tv_nsec;
}

static int64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static void *grow(void *array, size_t bytes) {
  void *grown = realloc(array, bytes);
  if (grown != NULL) return grown;
  perror("meter");
  exit(1);
}

static void make_room(struct flow *flow) {
  if (flow->sent < flow->room) return;
  uint64_t room = flow->room == 0 ? 4096 : flow->room * 2;
  flow->sent_ms = grow(flow->sent_ms, room * sizeof *flow->sent_ms);
  flow->arrived = grow(flow->arrived, room);
  memset(flow->arrived + flow->room, 0, room - flow->room);
  flow->room = room;
}

/* Returns whether to go on: a full send buffer is tried again later, any other refusal is a packet lost at the sender. */
static bool send_one(struct flow *flow, int64_t now) {
  struct station *from = &stations[flow->from], *to = &stations[flow->to];
  make_room(flow);
  struct packet packet = {htobe32(MAGIC), htobe32((uint32_t)(flow - flows)), htobe64(flow->sent), htobe64((uint64_t)now)};
  ssize_t taken = sendto(from->fd, &packet, sizeof packet, 0, (struct sockaddr *)&to->address, to->address_length);
  if (taken < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)) return false;
  if (taken < 0) {
    flow->refused++;
    flow->refused_errno = errno;
  }
  flow->sent_ms[flow->sent++] = (uint32_t)((now - start_ns) / 1000000);
  flow->next_ns += interval_ns;
  return true;
}

/* Returns whether somebody is still behind the clock. */
static bool send_due(int64_t now) {
  bool is_behind = false;
  for (struct flow *flow = flows; flow < flows + flow_count; flow++) {
    if (stations[flow->from].fd < 0) {
      flow->next_ns = now;
      continue;
    }
    int burst = 0;
    while (flow->next_ns <= now && burst++ < BURST_MAX && send_one(flow, now)) continue;
    if (flow->next_ns <= now) is_behind = true;
  }
  return is_behind;
}

static void note_silence(struct flow *flow, int64_t now) {
  if (flow->has_any && now - flow->last_arrival_ns > flow->longest_silence_ns) flow->longest_silence_ns = now - flow->last_arrival_ns;
  flow->last_arrival_ns = now;
}

static void take_packet(const struct packet *packet, size_t length, int station, int64_t now) {
  uint32_t index = be32toh(packet->flow);
  uint64_t number = be64toh(packet->number);
  if (length != sizeof *packet || be32toh(packet->magic) != MAGIC || index >= (uint32_t)flow_count || number >= flows[index].sent) {
    foreign++;
    return;
  }
  struct flow *flow = &flows[index];
  if (station != flow->to) {
    flow->misdelivered++;
    return;
  }
  last_arrival_ns = now;
  if (flow->arrived[number]) {
    flow->duplicated++;
    return;
  }
  note_silence(flow, now);
  flow->arrived[number] = 1;
  flow->received++;
  int64_t latency = now - (int64_t)be64toh(packet->sent_ns);
  if (latency > flow->latency_max_ns) flow->latency_max_ns = latency;
  if (flow->has_any && number < flow->highest) flow->reordered++;
  else flow->highest = number;
  flow->has_any = true;
}

static void drain(const struct endpoint *endpoint) {
  static struct packet packets[BATCH];
  static struct iovec vectors[BATCH];
  static struct mmsghdr messages[BATCH];
  for (int count = BATCH; count == BATCH;) {
    for (int at = 0; at < BATCH; at++) {
      vectors[at] = (struct iovec){&packets[at], sizeof packets[at]};
      messages[at] = (struct mmsghdr){.msg_hdr = {.msg_iov = &vectors[at], .msg_iovlen = 1}};
    }
    count = recvmmsg(endpoint->fd, messages, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
    int64_t now = now_ns();
    for (int at = 0; at < count; at++) take_packet(&packets[at], messages[at].msg_len, endpoint->station, now);
  }
}

static void drain_all(void) {
  for (int at = 0; at < endpoint_count; at++) drain(&endpoints[at]);
}

/* One turn of the clock. */
static void do_round(void) {
  bool is_behind = true;
  while (is_behind) {
    int64_t now = now_ns();
    if (is_sending && flow_count > 0 && last_round_ns > 0 && now - last_round_ns > longest_pause_ns) longest_pause_ns = now - last_round_ns;
    last_round_ns = now;
    is_behind = is_sending && send_due(now);
    drain_all();
  }
}

static int find_station(const char *name) {
  for (int at = 0; at < station_count; at++) {
    if (strcmp(stations[at].name, name) == 0) return at;
  }
  return -1;
}

static int socket_in(const char *netns_path, int family) {
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), target = open(netns_path, O_RDONLY | O_CLOEXEC), fd = -1;
  if (own >= 0 && target >= 0 && setns(target, CLONE_NEWNET) == 0) {
    fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = errno;
    if (setns(own, CLONE_NEWNET) != 0) exit(1);
    errno = error;
  }
  int error = errno;
  if (target >= 0) close(target);
  if (own >= 0) close(own);
  errno = error;
  return fd;
}

static bool parse_address(const char *text, struct station *station) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)&station->address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&station->address;
  memset(&station->address, 0, sizeof station->address);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(PORT);
    station->address_length = sizeof *v4;
    return true;
  }
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(PORT);
  station->address_length = sizeof *v6;
  return inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}

static const char *open_station(const char *name, const char *netns_path, const char *address) {
  int index = find_station(name);
  if (index < 0 && station_count == STATIONS_MAX) return "there are too many stations";
  if (endpoint_count == SOCKETS_MAX) return "there are too many sockets";
  struct station station = {.fd = -1};
  snprintf(station.name, sizeof station.name, "%s", name);
  if (!parse_address(address, &station)) return "the address is none";
  station.fd = socket_in(netns_path, station.address.ss_family);
  if (station.fd < 0) return strerror(errno);
  int receive = RECEIVE_BUFFER, send = SEND_BUFFER;
  bool is_ready = setsockopt(station.fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof receive) == 0 &&
                  setsockopt(station.fd, SOL_SOCKET, SO_SNDBUFFORCE, &send, sizeof send) == 0 &&
                  bind(station.fd, (struct sockaddr *)&station.address, station.address_length) == 0;
  if (!is_ready) {
    int error = errno;
    close(station.fd);
    return strerror(error);
  }
  if (index < 0) index = station_count++;
  stations[index] = station;
  endpoints[endpoint_count++] = (struct endpoint){station.fd, index, 0};
  return NULL;
}

/* How many packets the kernel threw away because the socket's buffer was full. */
static uint64_t drops_of(int fd) {
  uint32_t info[SK_MEMINFO_VARS] = {0};
  socklen_t length = sizeof info;
  getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length);
  return info[SK_MEMINFO_DROPS];
}

static const char *close_station(const char *name) {
  int index = find_station(name);
  if (index < 0) return "there is no such station";
  drain_all();
  int kept = 0;
  for (int at = 0; at < endpoint_count; at++) {
    if (endpoints[at].station != index) {
      endpoints[kept++] = endpoints[at];
      continue;
    }
    socket_drops_closed += drops_of(endpoints[at].fd);
    close(endpoints[at].fd);
  }
  endpoint_count = kept;
  stations[index].fd = -1;
  return NULL;
}

static const char *add_flow(const char *from, const char *to) {
  int sender = find_station(from), receiver = find_station(to);
  if (sender < 0 || receiver < 0) return "there is no such station";
  if (stations[sender].address.ss_family != stations[receiver].address.ss_family) return "the stations are of two families";
  if (flow_count == FLOWS_MAX) return "there are too many flows";
  flows[flow_count++] = (struct flow){.from = sender, .to = receiver, .next_ns = now_ns()};
  return NULL;
}

/* Packets that did not fit into a queue between two devices, of the whole machine; second column, in hexadecimal. */
static uint64_t backlog_drops(void) {
  FILE *file = fopen("/proc/net/softnet_stat", "r");
  uint64_t sum = 0, dropped;
  while (file != NULL && fscanf(file, "%*x %" SCNx64 "%*[^\n]", &dropped) == 1) sum += dropped;
  if (file != NULL) fclose(file);
  return sum;
}

/* Runs of lost packets, the first ones, with the time at which the first of each was sent. */
static void print_gaps(const struct flow *flow) {
  int printed = 0;
  for (uint64_t first = 0; first < flow->sent && printed < GAPS_MAX; first++) {
    if (flow->arrived[first]) continue;
    uint64_t end = first;
    while (end < flow->sent && !flow->arrived[end]) end++;
    printf("%s{\"first\":%" PRIu64 ",\"count\":%" PRIu64 ",\"at\":%" PRId64 "}", printed++ ? "," : "", first, end - first, start_wall_ms + flow->sent_ms[first]);
    first = end;
  }
}

static void print_flow(const struct flow *flow) {
  printf("{\"from\":\"%s\",\"to\":\"%s\",\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"lost\":%" PRIu64, stations[flow->from].name, stations[flow->to].name,
         flow->sent, flow->received, flow->sent - flow->received);
  printf(",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"misdelivered\":%" PRIu64 ",\"refused\":%" PRIu64, flow->duplicated, flow->reordered,
         flow->misdelivered, flow->refused);
  if (flow->refused > 0) printf(",\"refusal\":\"%s\"", strerror(flow->refused_errno));
  printf(",\"latencyMaxMs\":%.3f,\"longestSilenceMs\":%.3f,\"gaps\":[", (double)flow->latency_max_ns / 1e6, (double)flow->longest_silence_ns / 1e6);
  print_gaps(flow);
  printf("]}");
}

static const char *print_report(void) {
  uint64_t socket_drops = socket_drops_closed;
  for (int at = 0; at < endpoint_count; at++) socket_drops += drops_of(endpoints[at].fd);
  printf("{\"flows\":[");
  for (int at = 0; at < flow_count; at++) {
    if (at > 0) printf(",");
    print_flow(&flows[at]);
  }
  printf("],\"foreign\":%" PRIu64 ",\"socketDrops\":%" PRIu64 ",\"backlogDrops\":%" PRIu64, foreign, socket_drops, backlog_drops() - backlog_drops_before);
  printf(",\"longestPauseMs\":%.3f,\"cpuMs\":%.0f,\"elapsedMs\":%.0f}\n", (double)longest_pause_ns / 1e6, (double)clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e6,
         (double)(now_ns() - start_ns) / 1e6);
  return NULL;
}

static bool is_all_there(void) {
  for (int at = 0; at < flow_count; at++) {
    if (flows[at].received < flows[at].sent) return false;
  }
  return true;
}

/* Also what comes twice shall have come: a moment of quiet is always waited for. */
static const char *finish(void) {
  is_sending = false;
  int64_t begin = now_ns();
  last_arrival_ns = begin;
  for (int64_t now = begin; now - begin < SETTLE_NS; now = now_ns()) {
    drain_all();
    if (now - last_arrival_ns > (is_all_there() ? QUIET_NS / 5 : QUIET_NS)) break;
    usleep(1000);
  }
  return print_report();
}

static void obey(char *line) {
  char verb[16] = "", first[LINE_MAX_BYTES] = "", second[LINE_MAX_BYTES] = "", third[LINE_MAX_BYTES] = "";
  int words = sscanf(line, "%15s %511s %511s %511s", verb, first, second, third);
  const char *fault = "the line must be: open STATION NETNS_PATH ADDRESS, close STATION, flow FROM TO, report or finish";
  bool is_report = words == 1 && (strcmp(verb, "report") == 0 || strcmp(verb, "finish") == 0);
  if (strlen(first) >= NAME_MAX_BYTES) fault = "the station's name is too long";
  else if (strcmp(verb, "open") == 0 && words == 4) fault = open_station(first, second, third);
  else if (strcmp(verb, "close") == 0 && words == 2) fault = close_station(first);
  else if (strcmp(verb, "flow") == 0 && words == 3) fault = add_flow(first, second);
  else if (is_report) fault = strcmp(verb, "report") == 0 ? print_report() : finish();
  if (fault != NULL) printf("{\"error\":\"%s\"}\n", fault);
  else if (!is_report) printf("{}\n");
  fflush(stdout);
}

/* Returns false at the end of stdin. */
static bool read_lines(void) {
  static char buffer[LINE_MAX_BYTES * 4];
  static size_t length;
  ssize_t got = read(STDIN_FILENO, buffer + length, sizeof buffer - 1 - length);
  if (got <= 0) return got < 0 && errno == EINTR;
  length += (size_t)got;
  buffer[length] = '\0';
  char *line = buffer;
  for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = '\0';
    obey(line);
  }
  length = strlen(line);
  memmove(buffer, line, length);
  return length < sizeof buffer - 1;
}

int main(int argc, char *argv[]) {
  long rate = argc == 3 ? atol(argv[1]) : 0, seconds = argc == 3 ? atol(argv[2]) : 0;
  if (rate < 1 || rate > 100000 || seconds < 1) {
    fprintf(stderr, "usage: meter PACKETS_PER_SECOND (1 to 100000) SECONDS\n");
    return 2;
  }
  interval_ns = SECOND_NS / rate;
  start_ns = now_ns();
  start_wall_ms = clock_ns(CLOCK_REALTIME) / 1000000;
  backlog_drops_before = backlog_drops();
  /* Whoever measures must have the processor before what is measured. Without the privilege it is only less exact. */
  if (setpriority(PRIO_PROCESS, 0, -20) != 0) perror("meter: setpriority");
  struct pollfd polled[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN}};
  struct itimerspec tick = {{0, 1000000}, {0, 1000000}};
  if (polled[1].fd < 0 || timerfd_settime(polled[1].fd, 0, &tick, NULL) != 0) {
    perror("meter");
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
