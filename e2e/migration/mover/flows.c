/* Flows: numbered packets by the clock, and what became of those of the window between `begin` and `end`. */
#include "mover.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sent at most in one go, so that the queues between two namespaces (net.core.netdev_max_backlog, 1000) never fill. */
#define BURST_MAX 32
#define RUNS_MAX 20

struct flow flows[FLOWS_MAX];
int flow_count;
bool is_window_open;

const char *add_flow(const char *from, const char *to, int family, long rate) {
  int sender = find_party(from), receiver = find_party(to);
  if (sender < 0 || receiver < 0) return "there is no such party";
  if (family != 4 && family != 6) return "the family must be 4 or 6";
  if (rate < 1 || rate > 100000) return "the rate must be from 1 to 100000 a second";
  if (flow_count == FLOWS_MAX) return "there are too many flows";
  int64_t interval = SECOND_NS / rate;
  /* Flows of one rate take turns, and do not all send at once. */
  int64_t first = now_ns() + interval * (flow_count % 16) / 16;
  flows[flow_count++] = (struct flow){.from = sender, .to = receiver, .family = family, .interval_ns = interval, .next_ns = first};
  return NULL;
}

static void make_room(struct flow *flow, uint64_t index) {
  if (index < flow->room) return;
  flow->room = flow->room == 0 ? 8192 : flow->room * 2;
  flow->sent_ns = grow(flow->sent_ns, flow->room * sizeof *flow->sent_ns);
  flow->arrived_ns = grow(flow->arrived_ns, flow->room * sizeof *flow->arrived_ns);
}

static ssize_t transmit(const struct flow *flow, const struct place *place, const struct packet *packet) {
  const struct party *from = &parties[flow->from], *to = &parties[flow->to];
  if (place->is_tap) {
    uint8_t frame[FRAME_BYTES];
    return write(place->tap, frame, build_udp(frame, from, to, flow->family, packet, sizeof *packet));
  }
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(UDP_PORT), .sin_addr = to->ip4};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(UDP_PORT), .sin6_addr = to->ip6};
  if (flow->family == 4) return sendto(place->udp4, packet, sizeof *packet, 0, (struct sockaddr *)&v4, sizeof v4);
  return sendto(place->udp6, packet, sizeof *packet, 0, (struct sockaddr *)&v6, sizeof v6);
}

/* Returns whether to go on: a full send buffer is tried again later, any other refusal is a packet lost at the sender. */
static bool send_one(struct flow *flow, const struct place *place) {
  struct packet packet = {htobe32(MAGIC), htobe32((uint32_t)(flow - flows)), htobe64(flow->sent), htobe64((uint64_t)now_ns())};
  if (is_window_open) {
    uint64_t index = flow->sent - flow->base;
    make_room(flow, index);
    flow->sent_ns[index] = (int64_t)be64toh(packet.sent_ns);
    flow->arrived_ns[index] = 0;
  }
  /* What it causes may come back before sendto() does: the number must be known by then. */
  flow->sent++;
  ssize_t taken = transmit(flow, place, &packet);
  if (taken < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)) {
    flow->sent--;
    return false;
  }
  if (taken < 0) flow->refused++;
  flow->next_ns += flow->interval_ns;
  return true;
}

/* Returns whether somebody is still behind the clock. */
bool send_due(int64_t now) {
  bool is_behind = false;
  for (struct flow *flow = flows; flow < flows + flow_count; flow++) {
    int at = parties[flow->from].place;
    if (at < 0 || places[at].state != RUNNING) {
      flow->next_ns = now;
      continue;
    }
    int burst = 0;
    while (flow->next_ns <= now && burst++ < BURST_MAX && send_one(flow, &places[at])) continue;
    if (flow->next_ns <= now) is_behind = true;
  }
  return is_behind;
}

static void note_silence(struct flow *flow, int64_t at) {
  int64_t silence = at - flow->last_arrival_ns;
  if (flow->has_any && silence > flow->longest_silence_ns) {
    flow->longest_silence_ns = silence;
    flow->silence_at_ns = flow->last_arrival_ns;
  }
  if (at > flow->last_arrival_ns) flow->last_arrival_ns = at;
}

void take_packet(const struct packet *packet, size_t length, struct place *place, int64_t at) {
  uint32_t index = be32toh(packet->flow);
  uint64_t number = be64toh(packet->number);
  if (length != sizeof *packet || be32toh(packet->magic) != MAGIC || index >= (uint32_t)flow_count || number >= flows[index].sent || !is_window_open) return;
  struct flow *flow = &flows[index];
  if (place->party != flow->to) return;
  if (number < flow->base) {
    flow->stale++;
    return;
  }
  if (place->state == STOPPED) {
    place->dead++;
    flow->dead++;
    return;
  }
  int64_t *arrived = &flow->arrived_ns[number - flow->base];
  if (*arrived != 0) {
    flow->duplicated++;
    return;
  }
  *arrived = at;
  note_silence(flow, at);
  if (flow->has_any && number < flow->highest) flow->reordered++;
  else flow->highest = number;
  flow->has_any = true;
}

/* From when on packets should come to the target. */
int64_t activated_ns(void) {
  if (timeline.triggered > 0 && (timeline.announced == 0 || timeline.triggered < timeline.announced)) return timeline.triggered;
  return timeline.announced > 0 ? timeline.announced : timeline.resumed;
}

void witness_packet(const struct packet *packet, int64_t at) {
  uint32_t index = be32toh(packet->flow);
  if (be32toh(packet->magic) != MAGIC || index >= (uint32_t)flow_count || !is_window_open) return;
  struct flow *flow = &flows[index];
  int64_t activated = activated_ns();
  if (activated == 0 || at < activated) flow->early++;
  else if (flow->witnessed_ns == 0) flow->witnessed_ns = at;
}

bool is_witnessed(int party) {
  for (int at = 0; at < flow_count; at++) {
    if (flows[at].to == party && flows[at].witnessed_ns == 0) return false;
  }
  return true;
}

/* Whether every flow to a machine that has moved has come to where it is now. */
bool is_reached(void) {
  for (int at = 0; at < flow_count; at++) {
    int place = parties[flows[at].to].place;
    if (place >= 0 && places[place].witness >= 0 && flows[at].witnessed_ns == 0) return false;
  }
  return true;
}

void begin_window(void) {
  for (struct flow *flow = flows; flow < flows + flow_count; flow++) {
    flow->base = flow->sent;
    flow->end = 0;
    flow->refused = flow->duplicated = flow->reordered = flow->highest = flow->dead = flow->stale = flow->early = 0;
    flow->last_arrival_ns = flow->longest_silence_ns = flow->silence_at_ns = flow->witnessed_ns = 0;
    flow->has_any = false;
  }
  is_window_open = true;
}

/* What is sent from now on is none of the window's; what is under way is still waited for. A silence that has not ended counts too. */
void close_window(void) {
  for (int at = 0; at < flow_count; at++) {
    flows[at].end = flows[at].sent;
    int64_t last = flows[at].last_arrival_ns;
    note_silence(&flows[at], now_ns());
    flows[at].last_arrival_ns = last;
  }
}

static double ms_of(int64_t ns) { return (double)ns / 1e6; }

/* Runs of lost packets, the first ones, with the time at which the first of each was sent. */
static void print_losses(const struct flow *flow) {
  uint64_t count = flow->end - flow->base, lost = 0, before = 0, during = 0, after = 0, activated = 0;
  for (uint64_t at = 0; at < count; at++) {
    if (flow->arrived_ns[at] != 0) continue;
    lost++;
    int64_t sent = flow->sent_ns[at];
    if (timeline.stopped == 0 || sent < timeline.stopped) before++;
    else if (timeline.resumed == 0 || sent < timeline.resumed) during++;
    else after++;
    if (activated_ns() > 0 && sent >= activated_ns()) activated++;
  }
  printf(",\"lost\":%" PRIu64 ",\"lostBefore\":%" PRIu64 ",\"lostDuring\":%" PRIu64 ",\"lostAfter\":%" PRIu64 ",\"lostActivated\":%" PRIu64 ",\"runs\":[", lost, before, during,
         after, activated);
  int printed = 0;
  for (uint64_t first = 0; first < count && printed < RUNS_MAX; first++) {
    if (flow->arrived_ns[first] != 0) continue;
    uint64_t end = first;
    while (end < count && flow->arrived_ns[end] == 0) end++;
    printf("%s{\"first\":%" PRIu64 ",\"count\":%" PRIu64 ",\"atMs\":%.3f}", printed++ ? "," : "", first, end - first, ms_of(flow->sent_ns[first]));
    first = end;
  }
  printf("]");
}

static void print_flow(const struct flow *flow) {
  printf("{\"from\":\"%s\",\"to\":\"%s\",\"family\":%d,\"sent\":%" PRIu64 ",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"refused\":%" PRIu64, parties[flow->from].name,
         parties[flow->to].name, flow->family, flow->end - flow->base, flow->duplicated, flow->reordered, flow->refused);
  printf(",\"dead\":%" PRIu64 ",\"early\":%" PRIu64 ",\"longestSilenceMs\":%.3f,\"silenceAtMs\":%.3f", flow->dead, flow->early, ms_of(flow->longest_silence_ns),
         ms_of(flow->silence_at_ns));
  if (flow->witnessed_ns > 0) printf(",\"activationToFirstMs\":%.3f", ms_of(flow->witnessed_ns - activated_ns()));
  print_losses(flow);
  printf("}");
}

void print_flows(void) {
  is_window_open = false;
  for (int at = 0; at < flow_count; at++) {
    if (at > 0) printf(",");
    print_flow(&flows[at]);
  }
}
