#include "wire.h"

#include <stddef.h>
#include <string.h>

static const char magic[4] = {'W', 'E', 'F', 'T'};
static const uint16_t protocol_version = 1;

static void put(char *at, uint32_t value, size_t bytes) {
  for (size_t index = 0; index < bytes; index++) at[index] = (char)(value >> (8 * index) & 0xff);
}

static uint32_t get(const char *at, size_t bytes) {
  uint32_t value = 0;
  for (size_t index = 0; index < bytes; index++) value |= (uint32_t)(unsigned char)at[index] << (8 * index);
  return value;
}

void write_header(char header[HEADER_BYTES], enum kind kind, uint32_t first, uint32_t second) {
  memcpy(header, magic, sizeof magic);
  put(header + 4, protocol_version, 2);
  put(header + 6, kind, 2);
  put(header + 8, first, 4);
  put(header + 12, second, 4);
}

bool read_header(const char header[HEADER_BYTES], struct frame *frame) {
  *frame = (struct frame){.kind = (uint16_t)get(header + 6, 2), .status = get(header + 8, 4), .body_length = get(header + 12, 4)};
  return memcmp(header, magic, sizeof magic) == 0 && get(header + 4, 2) == protocol_version;
}
