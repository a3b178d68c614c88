/* Waiting with a deadline, writing, and text put together in buffers that are there from the start. */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Text under construction. What does not fit is left out, and is_cut says so. */
struct text {
  char *bytes;
  size_t length;
  size_t capacity;
  bool is_cut;
};

#define TEXT_IN(buffer) ((struct text){.bytes = (buffer), .capacity = sizeof(buffer)})

void add_bytes(struct text *text, const char *bytes, size_t length);
void add(struct text *text, const char *words);
/* In decimal. */
void add_number(struct text *text, uint64_t number);
/* As a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void add_json(struct text *text, const char *bytes, size_t length);
/* The text as a C string; it must have been given a byte more than it needs, or its last byte is lost. */
const char *as_string(struct text *text);

/* Whether the bytes are UTF-8 without a NUL. */
bool is_plain_text(const char *bytes, size_t length);

/* The errno's name ("ENOENT"): unlike its description it needs no locale. */
const char *error_name(int error);

/* The variable's value, or the other where it is absent or empty. */
const char *variable(const char *name, const char *otherwise);

/* One line on stderr, "weft: " before it; lost where nobody takes it at once. */
#define SAY(...) say_line((const char *const[]){__VA_ARGS__, NULL})
void say_line(const char *const words[]);

/* Milliseconds of a clock that nobody sets. */
int64_t now_ms(void);
void sleep_ms(int64_t duration);
int64_t earlier(int64_t one, int64_t other);

/* Waits until the descriptor is ready for the poll(2) events; false when that is not so by the deadline (of now_ms). */
bool wait_for(int fd, short events, int64_t deadline);

/* Writes all of it by the deadline. False, with errno set, where that fails; ETIMEDOUT when it is late. */
bool write_all(int fd, const char *bytes, size_t length, int64_t deadline);

#endif
