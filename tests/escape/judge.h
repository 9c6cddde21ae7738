// Judge: how an attempt says what came of it. Each sets the finding's verdict and detail.
#pragma once

#include <stddef.h>

#include "attempts.h"

/// Escaped when the call succeeded (`result` >= 0), else held with errno's name.
void JudgeCall(struct Finding* finding, long result);
/// The same, but one that failed with `passed` (or `passed_too`) had got past the permission check.
void JudgeCallOr(struct Finding* finding, long result, int passed, int passed_too);
/// Adds one of several tries to a finding: the first that escaped stays.
void JudgeAlso(struct Finding* finding, const char* what, long result);
/// Opens `path` with `flags`; escaped when that works. Closes it again.
void JudgeOpen(struct Finding* finding, const char* path, int flags);
void Held(struct Finding* finding, const char* detail);
void Untried(struct Finding* finding, const char* detail);
void Escaped(struct Finding* finding, const char* detail);

/// Calls `visit` for every item of a list in the environment, "name=value" parted by `separator`.
typedef void (*VisitItem)(struct Finding* finding, const char* name, const char* value);
void ForEachItem(struct Finding* finding, const char* variable, char separator, VisitItem visit);

/// Calls `visit` for every pid of ESCAPE_PIDS. Without any the attempt stays untried.
typedef void (*VisitPid)(struct Finding* finding, int pid);
void ForEachPid(struct Finding* finding, VisitPid visit);

/// The groups of attempts, each ended by one without a name.
extern const struct Attempt kKernelAttempts[], kNamespaceAttempts[], kPrivilegeAttempts[],
    kDeviceAttempts[], kKernelFileAttempts[], kProcessAttempts[], kNetworkAttempts[],
    kFileAttempts[], kExecutorAttempts[];
