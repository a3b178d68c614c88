/*
 * The socket's protocol, version 1: headers of 16 bytes, numbers little-endian. pkg/protocol is the other side of it.
 *
 *     "WEFT"  u16 version  u16 kind  u32 first  u32 second
 *
 * In a request `first` and `second` are the bytes of environment and of stdin, which follow; in a frame of the answer they
 * are a status and the bytes of the body, which follows.
 */
#ifndef WEFT_WIRE_H
#define WEFT_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#define HEADER_BYTES 16

enum kind {
  KIND_CALL = 1,
  /* The whole request has been read, and the work begins. */
  KIND_ACCEPTED = 0x81,
  /* The call is done: status is the exit status, the body goes to stdout. */
  KIND_ANSWERED = 0x82,
  /* The daemon does not do this call; the body says why. */
  KIND_ELSEWHERE = 0x83,
};

struct frame {
  uint16_t kind;
  uint32_t status;
  uint32_t body_length;
};

void write_header(char header[HEADER_BYTES], enum kind kind, uint32_t first, uint32_t second);

/* False for what is no header of this version. */
bool read_header(const char header[HEADER_BYTES], struct frame *frame);

#endif
