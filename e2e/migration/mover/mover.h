/*
 * What the parts of the mover share. One process holds all ends of all packets: senders in their namespaces, and the machine that moves, at the
 * place where it runs and at those where it waits to run. All times are CLOCK_MONOTONIC in nanoseconds.
 */
#ifndef MOVER_H
#define MOVER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define UDP_PORT 7017
#define TCP_PORT 7018
#define MAGIC 0x6d6f7665U
#define PARTIES_MAX 64
#define PLACES_MAX 128
#define FLOWS_MAX 256
#define STREAMS_MAX 32
#define NAME_BYTES 32
#define FRAME_BYTES 2048
#define MS_NS 1000000LL
#define SECOND_NS 1000000000LL

/* Where a party has, had, or will have its interface. */
enum place_state { RUNNING, WAITING, STOPPED };

struct place {
  char name[NAME_BYTES];
  bool is_used, is_tap, is_witness_deaf;
  enum place_state state;
  int party;
  int netns, udp4, udp6, tap, raw, witness; /* descriptors, -1: none */
  int ifindex;                              /* of the container's interface */
  uint64_t dead;                            /* packets that came to the stopped machine */
};

struct party {
  char name[NAME_BYTES];
  struct in_addr ip4;
  struct in6_addr ip6;
  uint8_t mac[6];
  int place; /* where it runs, or ran last; -1: nowhere yet */
};

struct packet {
  uint32_t magic, flow; /* big endian, all of it */
  uint64_t number;
  uint64_t sent_ns;
};

/* Sends from party to party. Numbers go on for ever; what is known of them is kept from one `begin` to the next. */
struct flow {
  int from, to, family;
  int64_t interval_ns, next_ns;
  uint64_t sent, base, end; /* numbers: of the next packet, of the window's first, and behind its last */
  uint64_t refused, duplicated, reordered, highest, dead, stale, early;
  int64_t last_arrival_ns, longest_silence_ns, silence_at_ns;
  int64_t witnessed_ns; /* when the first after the activation was at the target's interface; 0: never */
  bool has_any;
  int64_t *sent_ns, *arrived_ns; /* by number less base; 0: did not arrive */
  uint64_t room;
};

/* What happened to the machine in this window; 0: did not. */
struct timeline {
  int64_t stopped, triggered, answered, resumed, announced;
};

extern struct party parties[PARTIES_MAX];
extern struct place places[PLACES_MAX];
extern struct flow flows[FLOWS_MAX];
extern int party_count, place_count, flow_count;
extern struct timeline timeline;
extern bool is_window_open;

/* time.c */
int64_t now_ns(void);
int64_t monotonic_of_real(int64_t real_ns);
void *grow(void *array, size_t bytes);

/* places.c */
const char *open_place(const char *party, const char *name, const char *kind, const char *netns_path);
const char *close_place(const char *name);
int find_party(const char *name);
int find_place(const char *name);
int enter(int netns); /* returns what to give to come_back() */
void come_back(int own);
void drain_place(struct place *place);
void open_witness(struct place *place);
void read_witness(struct place *place);
void close_witness(struct place *place);
uint64_t socket_drops(void);

/* flows.c */
const char *add_flow(const char *from, const char *to, int family, long rate);
bool send_due(int64_t now);
void take_packet(const struct packet *packet, size_t length, struct place *place, int64_t at);
void witness_packet(const struct packet *packet, int64_t at);
bool is_witnessed(int party);
bool is_reached(void);
void begin_window(void);
void close_window(void);
void print_flows(void);
int64_t activated_ns(void);

/* frames.c */
size_t build_udp(uint8_t *frame, const struct party *from, const struct party *to, int family, const void *payload, size_t length);
size_t build_announcement(uint8_t *frame, const struct party *of, const char *kind);
const struct packet *packet_in(const uint8_t *frame, size_t length, size_t *payload_length);
size_t answer_frame(uint8_t *frame, size_t length, const struct party *own);

/* streams.c */
const char *add_stream(const char *peer, const char *machine, int family, const char *kind);
void lock_streams(int party);
const char *restore_streams(int party, struct place *target);
void release_streams(int party);
void forget_place_of_streams(const struct place *place);
void step_streams(int64_t now);
void begin_streams(void);
void print_streams(void);

/* move.c */
const char *arm(const char *path, const char *hex);
const char *halt(const char *party);
const char *start_move(const char *party, const char *place, long pause_us, const char *announcement, const char *when);
void step_move(int64_t now);
bool is_moving(void);
void begin_move(void);
void print_move(void);

#endif
