/* Places: sockets in a container's namespace, or the tap behind its bridge; and the witness at its interface. */
#include "mover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sock_diag.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
/* A packet occupies 768 bytes and more of a receive buffer, whatever its length: this is some 80000 of them. */
#define RECEIVE_BUFFER (64 << 20)
#define SEND_BUFFER (8 << 20)
#define INTERFACE "eth0"
#define TAP "tap0"

struct place places[PLACES_MAX];
struct party parties[PARTIES_MAX];
int place_count, party_count;
static uint64_t drops_closed;

int find_party(const char *name) {
  for (int at = 0; at < party_count; at++) {
    if (strcmp(parties[at].name, name) == 0) return at;
  }
  return -1;
}

int find_place(const char *name) {
  for (int at = 0; at < place_count; at++) {
    if (places[at].is_used && strcmp(places[at].name, name) == 0) return at;
  }
  return -1;
}

int enter(int netns) {
  int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (own >= 0 && setns(netns, CLONE_NEWNET) == 0) return own;
  perror("mover: setns");
  exit(1);
}

void come_back(int own) {
  if (setns(own, CLONE_NEWNET) != 0) exit(1);
  close(own);
}

static bool has_big_buffers(int fd) {
  int receive = RECEIVE_BUFFER, send = SEND_BUFFER, on = 1;
  return setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive, sizeof receive) == 0 && setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send, sizeof send) == 0 &&
         setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) == 0;
}

static int udp_socket(int family, const struct party *party) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(UDP_PORT), .sin_addr = party->ip4};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(UDP_PORT), .sin6_addr = party->ip6};
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0) return -1;
  /* The address of IPv6 may still be tentative: duplicate address detection of a waiting machine reaches nobody, and takes its time. */
  setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on);
  setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
  bool is_bound = family == AF_INET ? bind(fd, (struct sockaddr *)&v4, sizeof v4) == 0 : bind(fd, (struct sockaddr *)&v6, sizeof v6) == 0;
  if (is_bound && has_big_buffers(fd)) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static int tap_descriptor(void) {
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", TAP);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0) return fd;
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return -1;
}

/* Returns whether all is there. */
static bool furnish(struct place *place) {
  const struct party *party = &parties[place->party];
  place->ifindex = (int)if_nametoindex(INTERFACE);
  place->raw = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (place->ifindex == 0 || place->raw < 0) return false;
  if (place->is_tap) return (place->tap = tap_descriptor()) >= 0;
  if (party->ip4.s_addr != 0 && (place->udp4 = udp_socket(AF_INET, party)) < 0) return false;
  return IN6_IS_ADDR_UNSPECIFIED(&party->ip6) || (place->udp6 = udp_socket(AF_INET6, party)) >= 0;
}

static void close_all(struct place *place) {
  int *all[] = {&place->netns, &place->udp4, &place->udp6, &place->tap, &place->raw, &place->witness};
  for (size_t at = 0; at < sizeof all / sizeof *all; at++) {
    if (*all[at] >= 0) close(*all[at]);
    *all[at] = -1;
  }
}

static int free_place(void) {
  for (int at = 0; at < place_count; at++) {
    if (!places[at].is_used) return at;
  }
  return place_count < PLACES_MAX ? place_count++ : -1;
}

const char *open_place(const char *party, const char *name, const char *kind, const char *netns_path) {
  int owner = find_party(party), index = free_place();
  if (owner < 0) return "there is no such party";
  if (index < 0) return "there are too many places";
  if (find_place(name) >= 0) return "there is such a place already";
  struct place place = {.party = owner, .is_tap = strcmp(kind, "tap") == 0, .netns = -1, .udp4 = -1, .udp6 = -1, .tap = -1, .raw = -1, .witness = -1};
  snprintf(place.name, sizeof place.name, "%s", name);
  place.state = parties[owner].place < 0 ? RUNNING : WAITING;
  place.netns = open(netns_path, O_RDONLY | O_CLOEXEC);
  if (place.netns < 0) return strerror(errno);
  int own = enter(place.netns);
  bool is_whole = furnish(&place);
  int error = errno;
  come_back(own);
  if (!is_whole) {
    close_all(&place);
    return strerror(error);
  }
  place.is_used = true;
  places[index] = place;
  if (place.state == WAITING && is_window_open) open_witness(&places[index]);
  if (place.state == RUNNING) parties[owner].place = index;
  return NULL;
}

/* How many packets the kernel threw away because the socket's buffer was full. */
static uint64_t drops_of(int fd) {
  uint32_t info[SK_MEMINFO_VARS] = {0};
  socklen_t length = sizeof info;
  if (fd >= 0) getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length);
  return info[SK_MEMINFO_DROPS];
}

uint64_t socket_drops(void) {
  uint64_t sum = drops_closed;
  for (int at = 0; at < place_count; at++) {
    if (places[at].is_used) sum += drops_of(places[at].udp4) + drops_of(places[at].udp6);
  }
  return sum;
}

const char *close_place(const char *name) {
  int index = find_place(name);
  if (index < 0) return "there is no such place";
  struct place *place = &places[index];
  drain_place(place);
  drops_closed += drops_of(place->udp4) + drops_of(place->udp6);
  forget_place_of_streams(place);
  close_all(place);
  place->is_used = false;
  if (parties[place->party].place == index) parties[place->party].place = -1;
  return NULL;
}

/* The kernel's stamp, as a monotonic time: so it does not matter when the mover comes to read. */
static int64_t stamp_of(struct msghdr *message) {
  for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPNS) continue;
    struct timespec time;
    memcpy(&time, CMSG_DATA(part), sizeof time);
    return monotonic_of_real((int64_t)time.tv_sec * SECOND_NS + time.tv_nsec);
  }
  return now_ns();
}

struct batch {
  uint8_t bytes[BATCH][FRAME_BYTES];
  char control[BATCH][64];
  struct sockaddr_ll from[BATCH];
  struct iovec vectors[BATCH];
  struct mmsghdr messages[BATCH];
};

static int receive(struct batch *batch, int fd) {
  for (int at = 0; at < BATCH; at++) {
    batch->vectors[at] = (struct iovec){batch->bytes[at], FRAME_BYTES};
    batch->messages[at] = (struct mmsghdr){.msg_hdr = {.msg_name = &batch->from[at], .msg_namelen = sizeof batch->from[at], .msg_iov = &batch->vectors[at],
                                                       .msg_iovlen = 1, .msg_control = batch->control[at], .msg_controllen = sizeof batch->control[at]}};
  }
  return recvmmsg(fd, batch->messages, BATCH, MSG_DONTWAIT, NULL);
}

static void drain_socket(struct place *place, int fd) {
  static struct batch batch;
  for (int count = BATCH; fd >= 0 && count == BATCH;) {
    count = receive(&batch, fd);
    for (int at = 0; at < count; at++) {
      take_packet((struct packet *)batch.bytes[at], batch.messages[at].msg_len, place, stamp_of(&batch.messages[at].msg_hdr));
    }
  }
}

/* A machine that does not run reads nothing: its frames wait in the tap's queue. Where it has been stopped, they are read to be counted. */
static void drain_tap(struct place *place) {
  static uint8_t frame[FRAME_BYTES];
  if (place->state == WAITING) return;
  for (ssize_t length; (length = read(place->tap, frame, sizeof frame)) > 0;) {
    size_t payload = 0;
    const struct packet *packet = packet_in(frame, (size_t)length, &payload);
    if (packet != NULL) {
      if (memcmp(frame, parties[place->party].mac, 6) == 0) take_packet(packet, payload, place, now_ns());
      continue;
    }
    size_t answer = place->state == RUNNING ? answer_frame(frame, (size_t)length, &parties[place->party]) : 0;
    if (answer > 0 && write(place->tap, frame, answer) < 0 && errno != EAGAIN) perror("mover: tap");
  }
}

void drain_place(struct place *place) {
  if (!place->is_used) return;
  if (place->is_tap) {
    drain_tap(place);
    return;
  }
  drain_socket(place, place->udp4);
  drain_socket(place, place->udp6);
}

/* Sees what comes to the interface of a place where the machine does not run yet. */
void open_witness(struct place *place) {
  close_witness(place);
  int own = enter(place->netns);
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = place->ifindex};
  place->is_witness_deaf = false;
  place->witness = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (place->witness < 0 || !has_big_buffers(place->witness) || bind(place->witness, (struct sockaddr *)&at, sizeof at) != 0) perror("mover: witness");
  come_back(own);
}

void close_witness(struct place *place) {
  if (place->witness >= 0) close(place->witness);
  place->witness = -1;
}

void read_witness(struct place *place) {
  static struct batch batch;
  for (int count = BATCH; place->witness >= 0 && count == BATCH;) {
    count = receive(&batch, place->witness);
    for (int at = 0; at < count; at++) {
      size_t payload = 0;
      const struct packet *packet = batch.from[at].sll_pkttype == PACKET_OUTGOING ? NULL : packet_in(batch.bytes[at], batch.messages[at].msg_len, &payload);
      if (packet != NULL && memcmp(batch.bytes[at], parties[place->party].mac, 6) == 0) witness_packet(packet, stamp_of(&batch.messages[at].msg_hdr));
    }
  }
  /* Closing such a socket costs the caller milliseconds (packet_release() waits for all processors): it only goes deaf. */
  struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
  struct sock_fprog program = {1, nothing};
  bool is_enough = place->witness >= 0 && !place->is_witness_deaf && timeline.resumed > 0 && is_witnessed(place->party);
  if (!is_enough) return;
  setsockopt(place->witness, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
  place->is_witness_deaf = true;
}
