/*
 * Executes plugins for the benchmark as a container runtime does, and takes the time. A program of its own, small and in C,
 * so that starting 64 processes at once costs next to nothing and costs every contender the same: Node's own spawn takes
 * milliseconds, one after the other.
 *
 * It works through requests from stdin until that ends. Numbers are little-endian as on every machine this is built for.
 *   request: u32 jobs, u32 deadline in ms, u32 bytes that follow; for each job strings that end with a zero byte: executable,
 *            stdin, KEY=VALUE for each variable, and an empty one
 *   answer:  u32 bytes that follow; u64 ns from before the first exec to after the last exit; for each job u64 ns from before
 *            its exec to its exit, u32 exit status (128 + signal for a killed one), u32 bytes of output, the output
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 256
#define PAYLOAD_MAX (4 * 1024 * 1024)
#define VARIABLES_MAX (JOBS_MAX * 64)
/* A result or an error with its details; a plugin that says more has gone mad. */
#define OUTPUT_MAX (64 * 1024)

struct request {
  uint32_t jobs;
  uint32_t deadline_ms;
  uint32_t bytes;
};

struct job {
  char *executable;
  const char *input;
  char **environment;
  int input_fd;
  int output_fd;
  pid_t pid;
  int64_t started_ns;
  int64_t ended_ns;
  int wait_status;
};

static char payload[PAYLOAD_MAX + 1];
static char *variables[VARIABLES_MAX];
static char output[OUTPUT_MAX];
static struct job jobs[JOBS_MAX];

static void require(int is_fine, const char *what) {
  if (is_fine) return;
  fprintf(stderr, "spawner: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static char *next_string(char **at, const char *end) {
  require(*at < end, "the request ends in the middle of a job");
  char *string = *at;
  *at += strlen(string) + 1;
  return string;
}

/* The strings stay where they are; only pointers are made. */
static void parse_jobs(const struct request *request) {
  char *at = payload;
  const char *end = payload + request->bytes;
  size_t used = 0;
  for (uint32_t index = 0; index < request->jobs; index++) {
    struct job *job = &jobs[index];
    *job = (struct job){.executable = next_string(&at, end), .input = next_string(&at, end), .environment = &variables[used]};
    for (char *variable = next_string(&at, end); variable[0] != '\0'; variable = next_string(&at, end)) {
      require(used < VARIABLES_MAX - 1, "the request has too many variables");
      variables[used++] = variable;
    }
    require(used < VARIABLES_MAX, "the request has too many variables");
    variables[used++] = NULL;
  }
}

/* What is not the plugin's work is done before the clock starts: the input lies in its pipe, the output has a place. */
static void prepare(struct job *job) {
  int ends[2];
  require(pipe2(ends, O_CLOEXEC) == 0, "cannot make a pipe");
  size_t length = strlen(job->input);
  require(length < 65536 && write(ends[1], job->input, length) == (ssize_t)length, "the input does not fit into a pipe");
  close(ends[1]);
  job->input_fd = ends[0];
  job->output_fd = memfd_create("output", MFD_CLOEXEC);
  require(job->output_fd >= 0, "cannot make a file for the output");
}

/* A process group each, so that a plugin that is late is killed with what it has executed. */
static void start(struct job *job) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  char *arguments[] = {job->executable, NULL};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, job->input_fd, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, job->output_fd, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, job->output_fd, STDERR_FILENO);
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  job->started_ns = now_ns();
  errno = posix_spawn(&job->pid, job->executable, &actions, &attributes, arguments, job->environment);
  require(errno == 0, job->executable);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
}

static void kill_rest(uint32_t count) {
  for (uint32_t index = 0; index < count; index++) {
    if (jobs[index].ended_ns == 0) kill(-jobs[index].pid, SIGKILL);
  }
}

static void note_end(uint32_t count, pid_t pid, int wait_status) {
  for (uint32_t index = 0; index < count; index++) {
    if (jobs[index].pid != pid || jobs[index].ended_ns != 0) continue;
    jobs[index].ended_ns = now_ns();
    jobs[index].wait_status = wait_status;
  }
}

static void wait_for_all(uint32_t count, uint32_t deadline_ms) {
  /* Again every second: a signal that comes between two waits is not the last one. */
  struct itimerval timer = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = deadline_ms / 1000, .tv_usec = (deadline_ms % 1000) * 1000}};
  setitimer(ITIMER_REAL, &timer, NULL);
  for (uint32_t left = count; left > 0;) {
    int wait_status;
    pid_t pid = waitpid(-1, &wait_status, 0);
    if (pid < 0) {
      require(errno == EINTR, "cannot wait");
      kill_rest(count);
      continue;
    }
    note_end(count, pid, wait_status);
    left--;
  }
  setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

static void put(FILE *answer, const void *bytes, size_t length) {
  require(fwrite(bytes, 1, length, answer) == length, "cannot write the answer");
}

static void put_job(FILE *answer, struct job *job) {
  uint64_t elapsed_ns = (uint64_t)(job->ended_ns - job->started_ns);
  uint32_t status = (uint32_t)(WIFEXITED(job->wait_status) ? WEXITSTATUS(job->wait_status) : 128 + WTERMSIG(job->wait_status));
  ssize_t length = pread(job->output_fd, output, sizeof output, 0);
  require(length >= 0, "cannot read the output");
  uint32_t output_bytes = (uint32_t)length;
  put(answer, &elapsed_ns, sizeof elapsed_ns);
  put(answer, &status, sizeof status);
  put(answer, &output_bytes, sizeof output_bytes);
  put(answer, output, output_bytes);
  close(job->output_fd);
}

static void answer_request(const struct request *request, uint64_t total_ns) {
  char *bytes;
  size_t length;
  FILE *answer = open_memstream(&bytes, &length);
  require(answer != NULL, "no memory");
  put(answer, &total_ns, sizeof total_ns);
  for (uint32_t index = 0; index < request->jobs; index++) put_job(answer, &jobs[index]);
  require(fclose(answer) == 0, "no memory");
  uint32_t size = (uint32_t)length;
  put(stdout, &size, sizeof size);
  put(stdout, bytes, length);
  require(fflush(stdout) == 0, "cannot write the answer");
  free(bytes);
}

static void work(const struct request *request) {
  parse_jobs(request);
  for (uint32_t index = 0; index < request->jobs; index++) prepare(&jobs[index]);
  int64_t begin_ns = now_ns();
  for (uint32_t index = 0; index < request->jobs; index++) start(&jobs[index]);
  for (uint32_t index = 0; index < request->jobs; index++) close(jobs[index].input_fd);
  wait_for_all(request->jobs, request->deadline_ms);
  answer_request(request, (uint64_t)(now_ns() - begin_ns));
}

static void note_alarm(int signal) { (void)signal; }

int main(void) {
  /* Without SA_RESTART: the alarm is there to end a wait. */
  sigaction(SIGALRM, &(struct sigaction){.sa_handler = note_alarm}, NULL);
  struct request request;
  while (fread(&request, sizeof request, 1, stdin) == 1) {
    errno = E2BIG;
    require(request.jobs >= 1 && request.jobs <= JOBS_MAX && request.bytes <= PAYLOAD_MAX, "the request is too large, or empty");
    require(fread(payload, 1, request.bytes, stdin) == request.bytes, "the request ends too early");
    payload[request.bytes] = '\0';
    work(&request);
  }
  return 0;
}
