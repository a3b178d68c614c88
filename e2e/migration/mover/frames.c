/* Frames as a machine behind a tap has to write and to read them itself. */
#include "mover.h"

#include <arpa/inet.h>
#include <string.h>

#define ETHER 14
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_RARP 0x8035
#define ETHERTYPE_IPV6 0x86dd

static void put16(uint8_t *at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

static unsigned get16(const uint8_t *at) { return (unsigned)at[0] << 8 | at[1]; }

/* RFC 1071, unfolded. */
static uint32_t add_words(uint32_t sum, const uint8_t *bytes, size_t length) {
  for (size_t at = 0; at + 1 < length; at += 2) sum += get16(bytes + at);
  if (length % 2 == 1) sum += (uint32_t)bytes[length - 1] << 8;
  return sum;
}

static unsigned fold(uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

static size_t put_ether(uint8_t *frame, const uint8_t *to, const uint8_t *from, unsigned type) {
  memcpy(frame, to, 6);
  memcpy(frame + 6, from, 6);
  put16(frame + 12, type);
  return ETHER;
}

static size_t put_ipv4(uint8_t *ip, const struct party *from, const struct party *to, size_t payload) {
  memset(ip, 0, 20);
  ip[0] = 0x45;
  put16(ip + 2, (unsigned)(20 + payload));
  ip[8] = 64;
  ip[9] = IPPROTO_UDP;
  memcpy(ip + 12, &from->ip4, 4);
  memcpy(ip + 16, &to->ip4, 4);
  put16(ip + 10, fold(add_words(0, ip, 20)));
  return 20;
}

static size_t put_ipv6(uint8_t *ip, const struct in6_addr *from, const struct in6_addr *to, int protocol, size_t payload) {
  memset(ip, 0, 8);
  ip[0] = 0x60;
  put16(ip + 4, (unsigned)payload);
  ip[6] = (uint8_t)protocol;
  ip[7] = 255; /* neighbour discovery wants it (RFC 4861 §7.1), and nobody else minds */
  memcpy(ip + 8, from, 16);
  memcpy(ip + 24, to, 16);
  return 40;
}

/* With the pseudo header of IPv6 (RFC 8200 §8.1). */
static unsigned checksum6(const uint8_t *ip, int protocol, const uint8_t *payload, size_t length) {
  return fold(add_words(add_words((uint32_t)protocol + (uint32_t)length, ip + 8, 32), payload, length));
}

size_t build_udp(uint8_t *frame, const struct party *from, const struct party *to, int family, const void *payload, size_t length) {
  size_t head = put_ether(frame, to->mac, from->mac, family == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
  uint8_t *ip = frame + head;
  head += family == 4 ? put_ipv4(ip, from, to, 8 + length) : put_ipv6(ip, &from->ip6, &to->ip6, IPPROTO_UDP, 8 + length);
  uint8_t *udp = frame + head;
  put16(udp, UDP_PORT);
  put16(udp + 2, UDP_PORT);
  put16(udp + 4, (unsigned)(8 + length));
  put16(udp + 6, 0); /* none: allowed with IPv4 */
  memcpy(udp + 8, payload, length);
  if (family == 6) {
    unsigned sum = checksum6(ip, IPPROTO_UDP, udp, 8 + length);
    put16(udp + 6, sum == 0 ? 0xffff : sum);
  }
  return head + 8 + length;
}

static size_t build_arp(uint8_t *frame, const struct party *of, unsigned type, unsigned operation) {
  static const uint8_t all[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  memset(frame, 0, 60);
  uint8_t *arp = frame + put_ether(frame, all, of->mac, type);
  put16(arp, 1);
  put16(arp + 2, ETHERTYPE_IPV4);
  arp[4] = 6;
  arp[5] = 4;
  put16(arp + 6, operation);
  memcpy(arp + 8, of->mac, 6);
  if (type == ETHERTYPE_RARP) {
    memcpy(arp + 18, of->mac, 6); /* as QEMU's announce_self_create(): no addresses */
    return 60;
  }
  memcpy(arp + 14, &of->ip4, 4);
  memcpy(arp + 24, &of->ip4, 4);
  return 60;
}

/* To whoever asked, or, where nobody has, to all nodes (RFC 4861 §7.2.6). */
static size_t build_na(uint8_t *frame, const struct party *of, const uint8_t *to_mac, const struct in6_addr *to, bool is_asked) {
  uint8_t *ip = frame + put_ether(frame, to_mac, of->mac, ETHERTYPE_IPV6);
  uint8_t *na = ip + put_ipv6(ip, &of->ip6, to, IPPROTO_ICMPV6, 32);
  memset(na, 0, 32);
  na[0] = 136;
  na[4] = is_asked ? 0x60 : 0x20; /* solicited, override */
  memcpy(na + 8, &of->ip6, 16);
  na[24] = 2; /* target link-layer address */
  na[25] = 1;
  memcpy(na + 26, of->mac, 6);
  put16(na + 2, checksum6(ip, IPPROTO_ICMPV6, na, 32));
  return ETHER + 40 + 32;
}

size_t build_announcement(uint8_t *frame, const struct party *of, const char *kind) {
  static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
  struct in6_addr all_nodes;
  inet_pton(AF_INET6, "ff02::1", &all_nodes);
  if (strcmp(kind, "rarp") == 0) return build_arp(frame, of, ETHERTYPE_RARP, 3);
  if (strcmp(kind, "garp") == 0) return build_arp(frame, of, ETHERTYPE_ARP, 1);
  return build_na(frame, of, all_nodes_mac, &all_nodes, false);
}

/* The meter's packet within a frame, if it is one: NULL where not. */
const struct packet *packet_in(const uint8_t *frame, size_t length, size_t *payload_length) {
  if (length < ETHER + 28) return NULL;
  unsigned type = get16(frame + 12);
  const uint8_t *ip = frame + ETHER;
  size_t head = type == ETHERTYPE_IPV4 ? (size_t)(ip[0] & 15) * 4 : type == ETHERTYPE_IPV6 ? 40 : 0;
  int protocol = type == ETHERTYPE_IPV4 ? ip[9] : ip[6];
  if (head == 0 || protocol != IPPROTO_UDP || length < ETHER + head + 8 + sizeof(struct packet)) return NULL;
  const uint8_t *udp = ip + head;
  if (get16(udp + 2) != UDP_PORT) return NULL;
  *payload_length = get16(udp + 4) - 8U;
  return (const struct packet *)(udp + 8);
}

/* Answers of a machine behind a tap; the frame is made into the answer. Returns its length, 0: there is none. */
static size_t answer_arp(uint8_t *frame, size_t length, const struct party *own) {
  uint8_t *arp = frame + ETHER;
  if (length < ETHER + 28 || get16(arp + 6) != 1 || memcmp(arp + 24, &own->ip4, 4) != 0 || memcmp(arp + 14, &own->ip4, 4) == 0) return 0;
  put_ether(frame, arp + 8, own->mac, ETHERTYPE_ARP);
  put16(arp + 6, 2);
  memcpy(arp + 18, arp + 8, 10);
  memcpy(arp + 8, own->mac, 6);
  memcpy(arp + 14, &own->ip4, 4);
  return ETHER + 28;
}

static size_t answer_echo4(uint8_t *frame, size_t length, const struct party *own) {
  uint8_t *ip = frame + ETHER, *icmp = ip + 20;
  if (length < ETHER + 28 || ip[9] != IPPROTO_ICMP || icmp[0] != 8 || memcmp(ip + 16, &own->ip4, 4) != 0) return 0;
  size_t payload = get16(ip + 2) - 20U;
  if (length < ETHER + 20 + payload) return 0;
  put_ether(frame, frame + 6, own->mac, ETHERTYPE_IPV4);
  memcpy(ip + 16, ip + 12, 4);
  memcpy(ip + 12, &own->ip4, 4);
  icmp[0] = 0;
  put16(icmp + 2, 0);
  put16(icmp + 2, fold(add_words(0, icmp, payload)));
  return ETHER + 20 + payload;
}

static size_t answer_icmp6(uint8_t *frame, size_t length, const struct party *own) {
  uint8_t *ip = frame + ETHER, *icmp = ip + 40;
  size_t payload = get16(ip + 4);
  if (length < ETHER + 40 + 8 || length < ETHER + 40 + payload || ip[6] != IPPROTO_ICMPV6) return 0;
  struct in6_addr asker;
  memcpy(&asker, ip + 8, 16);
  if (icmp[0] == 135 && payload >= 24 && memcmp(icmp + 8, &own->ip6, 16) == 0 && !IN6_IS_ADDR_UNSPECIFIED(&asker)) {
    uint8_t to[6];
    memcpy(to, frame + 6, 6);
    return build_na(frame, own, to, &asker, true);
  }
  if (icmp[0] != 128 || memcmp(ip + 24, &own->ip6, 16) != 0) return 0;
  put_ether(frame, frame + 6, own->mac, ETHERTYPE_IPV6);
  put_ipv6(ip, &own->ip6, &asker, IPPROTO_ICMPV6, payload);
  icmp[0] = 129;
  put16(icmp + 2, 0);
  put16(icmp + 2, checksum6(ip, IPPROTO_ICMPV6, icmp, payload));
  return ETHER + 40 + payload;
}

size_t answer_frame(uint8_t *frame, size_t length, const struct party *own) {
  if (length < ETHER) return 0;
  unsigned type = get16(frame + 12);
  if (type == ETHERTYPE_ARP) return answer_arp(frame, length, own);
  if (type == ETHERTYPE_IPV4) return answer_echo4(frame, length, own);
  return type == ETHERTYPE_IPV6 ? answer_icmp6(frame, length, own) : 0;
}
