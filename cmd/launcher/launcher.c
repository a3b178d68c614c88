/*
 * What a container runtime executes as the CNI plugin weft: it hands the call to the node daemon, and copies out the answer.
 * Where no daemon does the call, it executes weft, the single executable, which is complete on its own. Everything that
 * decides anything is there; this program exists because it starts in a fraction of the time that Node needs.
 *
 *     $WEFT_RUN_DIR      where the daemon's socket is; /run/weft
 *     $WEFT_STATE_DIR    where a DEL is written down that nobody could do; /var/lib/weft
 *     $WEFT_EXE          weft itself; /usr/local/bin/weft
 *     $WEFT_DEADLINE_MS  how long a call may take; 100000, which is below kubelet's two minutes
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "daemon.h"
#include "io.h"
#include "pending.h"
#include "weft.h"

#define DEADLINE_MS 100000
#define DEADLINE_MS_MAX 3600000
/* A daemon that lives answers within milliseconds, also when it has much to do. */
#define ACCEPTANCE_MS 5000
/* The runtime has the configuration in memory when it starts the plugin. */
#define STDIN_MS 10000
/* The runtime reads while the plugin writes. */
#define DELIVERY_MS 10000

/* Codes of CNI error objects (SPEC.md 1.1.0, "Error"; docs/errors.md). */
enum code { INVALID_ENVIRONMENT = 4, IO_FAILURE = 5, TRY_AGAIN_LATER = 11, NOT_AVAILABLE = 50 };

enum exit_status { FAILED = 1, MISUSED = 2 };

/* Of the few options, the one with a number. */
static int64_t deadline_ms(void) {
  const char *value = variable("WEFT_DEADLINE_MS", NULL);
  if (value == NULL) return DEADLINE_MS;
  int64_t number = 0;
  const char *digit = value;
  for (; *digit >= '0' && *digit <= '9' && number <= DEADLINE_MS_MAX; digit++) number = number * 10 + (*digit - '0');
  if (*digit == '\0' && number >= 1 && number <= DEADLINE_MS_MAX) return number;
  SAY("WEFT_DEADLINE_MS must be a whole number from 1 to 3600000: current value is ", value, ", and 100000 is taken");
  return DEADLINE_MS;
}

/* A socket must never become this process's stdin, stdout or stderr because the caller had closed those. */
static void open_standard_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF && open("/dev/null", O_RDWR) != fd) _exit(FAILED);
  }
}

static int deliver(const char *bytes, size_t length, int exit_status) {
  if (write_all(STDOUT_FILENO, bytes, length, now_ms() + DELIVERY_MS)) return exit_status;
  SAY("the answer could not be written: ", error_name(errno));
  return FAILED;
}

static const char *skip_blanks(const char *at, const char *end) {
  while (at < end && strchr(" \t\r\n", *at) != NULL && *at != '\0') at++;
  return at;
}

/* The version the configuration asks for where it is one of weft's, else one that every runtime reads. */
static const char *error_version(const struct call *call) {
  static const char *const versions[] = {"\"0.4.0\"", "\"1.0.0\"", "\"1.1.0\""};
  static const char *const values[] = {"0.4.0", "1.0.0", "1.1.0"};
  static const char key[] = "\"cniVersion\"";
  const char *end = call->conf + call->conf_length;
  const char *at = memmem(call->conf, call->conf_length, key, sizeof key - 1);
  if (at == NULL) return values[1];
  at = skip_blanks(at + sizeof key - 1, end);
  if (at == end || *at != ':') return values[1];
  at = skip_blanks(at + 1, end);
  for (size_t index = 0; index < sizeof values / sizeof *values; index++) {
    size_t length = strlen(versions[index]);
    if ((size_t)(end - at) >= length && memcmp(at, versions[index], length) == 0) return values[index];
  }
  return values[1];
}

/* Answers with a CNI error object. */
static int fail(const struct call *call, enum code code, const char *message, struct text *details) {
  static char buffer[32 * 1024];
  struct text object = TEXT_IN(buffer);
  add(&object, "{\"cniVersion\":\"");
  add(&object, error_version(call));
  add(&object, "\",\"code\":");
  add_number(&object, code);
  add(&object, ",\"msg\":");
  add_json(&object, message, strlen(message));
  if (details->length > 0) add(&object, ",\"details\":");
  if (details->length > 0) add_json(&object, details->bytes, details->length);
  add(&object, "}\n");
  return deliver(object.bytes, object.length, FAILED);
}

static int fail_for_stdin(const struct call *call, int error, int64_t waited_ms) {
  static char buffer[256];
  struct text message = TEXT_IN(buffer), details = {0};
  if (error == ETIMEDOUT) {
    add(&message, "The network configuration must come on stdin and end: it did not within ");
    add_number(&message, (uint64_t)waited_ms);
    add(&message, " ms");
  } else {
    add(&message, "The network configuration on stdin cannot be read: ");
    add(&message, error_name(error));
  }
  return fail(call, IO_FAILURE, as_string(&message), &details);
}

/* A DEL that fails keeps a container from ever going away: it is written down, and succeeds. */
static int write_down(const struct call *call, const char *message, struct text *details) {
  const char *missing = call->container_id[0] == '\0' ? "CNI_CONTAINERID must be set for DEL" : "CNI_IFNAME must be set for DEL";
  if (call->container_id[0] == '\0' || call->if_name[0] == '\0') return fail(call, INVALID_ENVIRONMENT, missing, details);
  SAY(message, ": ", as_string(details));
  if (write_pending_del(call, details)) return EXIT_SUCCESS;
  return fail(call, TRY_AGAIN_LATER, "The DEL cannot be done now, nor be written down for later: make one of the directories writable", details);
}

/* Nobody did the call. */
static int give_up(const struct call *call, const char *message, struct text *details) {
  if (strcmp(call->verb, "DEL") == 0) return write_down(call, message, details);
  return fail(call, strcmp(call->verb, "STATUS") == 0 ? NOT_AVAILABLE : TRY_AGAIN_LATER, message, details);
}

/* Without CNI_COMMAND a person runs this, or a script: weft's command line is what they want. */
static int pass_on(char *const arguments[]) {
  static char buffer[2048];
  struct text reasons = TEXT_IN(buffer);
  execute_weft(arguments, &reasons);
  SAY("this is the launcher, which container runtimes execute as a CNI plugin, with CNI_COMMAND in the environment. "
      "The command line is weft's, which cannot be executed: ",
      as_string(&reasons));
  return MISUSED;
}

static int run_alone(const struct call *call, char *const arguments[], const char *reason) {
  static char message_buffer[1024], details_buffer[4096];
  struct text message = TEXT_IN(message_buffer), details = TEXT_IN(details_buffer);
  add(&details, socket_path());
  add(&details, ": ");
  add(&details, reason);
  if (put_back_stdin(call->conf, call->conf_length)) {
    execute_weft(arguments, &details);
  } else {
    add(&details, "; the configuration cannot be handed on: ");
    add(&details, error_name(errno));
  }
  add(&message, "Neither does a daemon on ");
  add(&message, socket_path());
  add(&message, " do the call, nor can weft be executed: start the daemon, or install weft as /usr/local/bin/weft, or name it in WEFT_EXE");
  return give_up(call, as_string(&message), &details);
}

static int run_call(char *const arguments[]) {
  const int64_t start = now_ms(), allowed = deadline_ms(), answer_by = start + allowed;
  const int64_t stdin_ms = earlier(STDIN_MS, allowed);
  struct call call;
  int error = read_call(&call, start + stdin_ms);
  if (error != 0) return fail_for_stdin(&call, error, stdin_ms);

  struct answer answer;
  switch (ask_daemon(&call, earlier(now_ms() + ACCEPTANCE_MS, answer_by), answer_by, &answer)) {
    case ANSWERED:
      return deliver(answer.body, answer.body_length, answer.exit_status);
    case LATE: {
      static char buffer[2048];
      struct text details = TEXT_IN(buffer);
      add(&details, socket_path());
      add(&details, ": ");
      add(&details, answer.reason);
      return give_up(&call, "The daemon did not finish the call in time: look at its log, and repeat the call", &details);
    }
    case UNSERVED:
      break;
  }
  return run_alone(&call, arguments, answer.reason);
}

int main(int argc, char *argv[]) {
  open_standard_descriptors();
  signal(SIGPIPE, SIG_IGN);
  static char *const no_arguments[] = {"weft", NULL};
  if (argc > 0) argv[0] = no_arguments[0];
  char *const *arguments = argc > 0 ? argv : no_arguments;
  return getenv("CNI_COMMAND") == NULL ? pass_on(arguments) : run_call(arguments);
}
