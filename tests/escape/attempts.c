#define _GNU_SOURCE
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "judge.h"

void Held(struct Finding* finding, const char* detail) {
  finding->verdict = kHeld;
  snprintf(finding->detail, sizeof(finding->detail), "%s", detail);
}

void Untried(struct Finding* finding, const char* detail) {
  finding->verdict = kUntried;
  snprintf(finding->detail, sizeof(finding->detail), "%s", detail);
}

void Escaped(struct Finding* finding, const char* detail) {
  finding->verdict = kEscaped;
  snprintf(finding->detail, sizeof(finding->detail), "%s", detail);
}

static const char* ErrnoName(void) {
  const char* name = strerrorname_np(errno);
  return name != NULL ? name : "unknown errno";
}

void JudgeCall(struct Finding* finding, long result) { JudgeCallOr(finding, result, -1, -1); }

void JudgeCallOr(struct Finding* finding, long result, int passed, int passed_too) {
  if (result >= 0) return Escaped(finding, "done");
  if (errno == passed || errno == passed_too) {
    Escaped(finding, "permitted: ");
    strncat(finding->detail, ErrnoName(), 40);
  } else {
    Held(finding, ErrnoName());
  }
}

void JudgeAlso(struct Finding* finding, const char* what, long result) {
  if (finding->verdict == kEscaped) return;
  const char* got = ErrnoName();
  finding->verdict = result >= 0 ? kEscaped : kHeld;
  if (result >= 0) {
    snprintf(finding->detail, sizeof(finding->detail), "%s", what);
  } else if (strstr(finding->detail, got) == NULL) {
    const size_t used = strlen(finding->detail);
    snprintf(finding->detail + used, sizeof(finding->detail) - used, "%s%s", used > 0 ? "," : "",
             got);
  }
}

void JudgeOpen(struct Finding* finding, const char* path, int flags) {
  const int fd = open(path, flags | O_NONBLOCK | O_CLOEXEC, 0600);
  JudgeAlso(finding, path, fd);
  if (fd >= 0) close(fd);
}

void ForEachItem(struct Finding* finding, const char* variable, char separator, VisitItem visit) {
  const char* list = getenv(variable);
  char item[1024];
  while (list != NULL && *list != '\0') {
    const size_t length = (size_t)(strchrnul(list, separator) - list);
    snprintf(item, sizeof(item), "%.*s", (int)length, list);
    char* value = strchr(item, '=');
    if (value != NULL) {
      *value = '\0';
      visit(finding, item, value + 1);
    }
    list += length + (list[length] == separator ? 1 : 0);
  }
}

void ForEachPid(struct Finding* finding, VisitPid visit) {
  const char* list = getenv("ESCAPE_PIDS");
  for (char* end = NULL; list != NULL && *list != '\0'; list = *end == ',' ? end + 1 : end) {
    const long pid = strtol(list, &end, 10);
    if (end == list) return;
    if (pid > 1) visit(finding, (int)pid);
  }
}

// In a process of its own: what an attempt changes of itself, or its end, is the attempt's alone.
static int RunInChild(const struct Attempt* attempt, struct Finding* finding) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    return 0;
  }
  if (child == 0) {
    close(ends[0]);
    alarm(5);
    attempt->run(finding);
    _exit(write(ends[1], finding, sizeof(*finding)) == sizeof(*finding) ? 0 : 1);
  }
  close(ends[1]);
  struct Finding answer;
  const ssize_t got = read(ends[0], &answer, sizeof(answer));
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (got == sizeof(answer)) {
    *finding = answer;
  } else if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) {
    Held(finding, "killed by SIGSYS");
  } else {
    finding->verdict = kUnclear;
    snprintf(finding->detail, sizeof(finding->detail), "ended with status %#x", status);
  }
  return 1;
}

static void RunGroup(const struct Attempt* group, FILE* out) {
  static const char* const kWords[] = {"untried", "held", "escaped", "unclear"};
  for (const struct Attempt* attempt = group; attempt->name != NULL; ++attempt) {
    struct Finding finding = {.verdict = kUntried};
    if (!RunInChild(attempt, &finding)) attempt->run(&finding);
    fprintf(out, "%s %s %s\n", attempt->name, kWords[finding.verdict],
            finding.detail[0] != '\0' ? finding.detail : "nothing there");
  }
}

void RunAttempts(enum Place place, FILE* out) {
  // Signals that attempts send to whom they can reach end nobody here.
  signal(SIGUSR1, SIG_IGN);
  RunGroup(kKernelAttempts, out);
  RunGroup(kNamespaceAttempts, out);
  RunGroup(kPrivilegeAttempts, out);
  RunGroup(kDeviceAttempts, out);
  RunGroup(kKernelFileAttempts, out);
  RunGroup(kProcessAttempts, out);
  RunGroup(kNetworkAttempts, out);
  RunGroup(kFileAttempts, out);
  if (place == kExecutor) RunGroup(kExecutorAttempts, out);
}
