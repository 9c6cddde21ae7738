// Attempts: what hostile native code tries in order to leave the sandbox that it runs in.
//
// Each attempt is judged by its effect, not by what it asked for: a call that went through, a call
// that failed only after the kernel had let it pass, a file of others that could be opened. What an
// attempt needs to know of the world outside (pids, paths, ports) it finds in the environment:
//   ESCAPE_PIDS            pids on the host: of its victims first
//   ESCAPE_FILES           "name=path:..." of files and folders that must not be reached
//   ESCAPE_SOCKETS         "name=path:..." of unix sockets that must not be connected to
//   ESCAPE_ABSTRACT        the name of an abstract unix socket of the host
//   ESCAPE_PORTS           "address=port,..." of TCP servers of the host
// Attempts are harmless where they succeed: what would change the machine is opened but not
// written, or set to the value that it has.
//
// Thread rule: one thread.
#pragma once

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

enum Verdict {
  kUntried,  ///< There was nothing to try it on, or no way to try it here: not counted.
  kHeld,
  kEscaped,
  kUnclear,  ///< It ended in a way that shows neither.
};

/// One attempt's judgement and what it is founded on: an errno's name or what was got.
struct Finding {
  enum Verdict verdict;
  char detail[160];
};

struct Attempt {
  const char* name;  ///< "group.what", without spaces.
  void (*run)(struct Finding* finding);
};

/// What runs in a place that allows no more than an executor does.
enum Place { kContainer, kExecutor };

/// Notes every descriptor that is open before the program has opened any itself. To be called first
/// of all; `expected` says up to which number they are meant to be there.
void NoteInheritedDescriptors(int expected);

/// Runs every attempt, each in a process of its own where the place allows that, and prints a line
/// for each: NAME held|escaped|unclear|untried DETAIL.
void RunAttempts(enum Place place, FILE* out);

#ifdef __cplusplus
}
#endif
