/* The order of the steps is what the kernel wants of them: numbers before connect(), bytes before windows. */
#include "repair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define QUEUE_BYTES_MAX (4 << 20)
#define OPTIONS_MAX 4
/* linux/tcp.h: TCPI_OPT_*, and the numbers of options in a header (RFC 9293, 2018, 7323). */
#define OPTION_MSS 2
#define OPTION_WINDOW 3
#define OPTION_SACK 4
#define OPTION_TIMESTAMP 8

struct endpoint endpoint_of(const struct party *party, int family, uint16_t port) {
  struct endpoint endpoint = {.length = family == 4 ? sizeof endpoint.v4 : sizeof endpoint.v6};
  if (family == 4) endpoint.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = party->ip4};
  else endpoint.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = party->ip6};
  return endpoint;
}

static bool set(int fd, int option, int value) { return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value) == 0; }

static uint32_t get(int fd, int option) {
  uint32_t value = 0;
  socklen_t length = sizeof value;
  getsockopt(fd, IPPROTO_TCP, option, &value, &length);
  return value;
}

static uint32_t number_of(int fd, int queue) {
  set(fd, TCP_REPAIR_QUEUE, queue);
  return get(fd, TCP_QUEUE_SEQ);
}

static bool set_number(int fd, int queue, uint32_t number) {
  return set(fd, TCP_REPAIR_QUEUE, queue) && setsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &number, sizeof number) == 0;
}

static bool copy_options(int from, int to) {
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  if (getsockopt(from, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return false;
  struct tcp_repair_opt options[OPTIONS_MAX];
  int count = 0;
  options[count++] = (struct tcp_repair_opt){OPTION_MSS, get(from, TCP_MAXSEG)};
  if (info.tcpi_options & TCPI_OPT_SACK) options[count++] = (struct tcp_repair_opt){OPTION_SACK, 0};
  if (info.tcpi_options & TCPI_OPT_WSCALE) options[count++] = (struct tcp_repair_opt){OPTION_WINDOW, info.tcpi_snd_wscale + ((uint32_t)info.tcpi_rcv_wscale << 16)};
  if (info.tcpi_options & TCPI_OPT_TIMESTAMPS) options[count++] = (struct tcp_repair_opt){OPTION_TIMESTAMP, 0};
  if (setsockopt(to, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, (socklen_t)((size_t)count * sizeof *options)) != 0) return false;
  return (info.tcpi_options & TCPI_OPT_TIMESTAMPS) == 0 || set(to, TCP_TIMESTAMP, (int)get(from, TCP_TIMESTAMP));
}

/* The bytes that the peer has not acknowledged. They are made zeros, as all are that are sent here. */
static bool fill_queue(int to, int bytes) {
  static uint8_t zeros[65536];
  int room = 2 * QUEUE_BYTES_MAX;
  setsockopt(to, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  if (!set(to, TCP_REPAIR_QUEUE, TCP_SEND_QUEUE)) return false;
  while (bytes > 0) {
    ssize_t put = send(to, zeros, (size_t)bytes < sizeof zeros ? (size_t)bytes : sizeof zeros, MSG_NOSIGNAL);
    if (put <= 0) return false;
    bytes -= (int)put;
  }
  return true;
}

static bool copy_windows(int from, int to) {
  struct tcp_repair_window window;
  socklen_t length = sizeof window;
  return getsockopt(from, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &length) == 0 && setsockopt(to, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof window) == 0;
}

static bool copy_ends(int from, int to, int *unsent) {
  struct endpoint own = {.length = sizeof own.v6}, peer = {.length = sizeof peer.v6};
  int queued = 0;
  if (getsockname(from, &own.any, &own.length) != 0 || getpeername(from, &peer.any, &peer.length) != 0 || ioctl(from, SIOCOUTQ, &queued) != 0 || ioctl(from, SIOCOUTQNSD, unsent) != 0) return false;
  int on = 1;
  setsockopt(to, SOL_IP, IP_FREEBIND, &on, sizeof on);
  setsockopt(to, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
  uint32_t received = number_of(from, TCP_RECV_QUEUE), written = number_of(from, TCP_SEND_QUEUE);
  return queued <= QUEUE_BYTES_MAX && bind(to, &own.any, own.length) == 0 && set_number(to, TCP_RECV_QUEUE, received) &&
         set_number(to, TCP_SEND_QUEUE, written - (uint32_t)queued) && connect(to, &peer.any, peer.length) == 0 && copy_options(from, to) && fill_queue(to, queued - *unsent);
}

const char *move_connection(int from, int to, int *unsent) {
  if (!set(from, TCP_REPAIR, TCP_REPAIR_ON) || !set(to, TCP_REPAIR, TCP_REPAIR_ON)) return strerror(errno);
  return copy_ends(from, to, unsent) && copy_windows(from, to) ? NULL : strerror(errno);
}

void finish_connection(int fd) {
  set(fd, TCP_REPAIR_QUEUE, TCP_NO_QUEUE);
  set(fd, TCP_REPAIR, TCP_REPAIR_OFF);
}
