// One-shot: the verb `run` of an executor, one process for one invocation, as a study of engines
// needs it and as an engine's own command works. The body is standard input, the answer standard
// output, whole; nothing is CGI.
//
//   run [options] FILE [ARGUMENT...]
//     --compiler C          one of the engine's; the default is the first
//     --mode M              aot (default; what it is compiled to is loaded from a file), jit,
//                           jit-cache, interpreter (default of an interpreter)
//     --code FILE           for aot: what `compile` made of FILE; else it is made now
//     --cache FOLDER        for jit-cache: where the engine keeps its own cache
//     --wasi ours|own       whose WASI serves the guest (default ours); the engine's own runs
//                           outside the jail and without limits, as its own command does
//     --folder HOST:GUEST[:rw]   a folder for the guest, read-only unless rw
//     --env NAME=VALUE
//     --memory-limit BYTES  of the instance's memories together
//     --timeout MS          how long the guest may run
//     --repeat N            N invocations in turn, in fresh instances; output of the last
//     --concurrent N        N at once, each on a thread; output of none
//     --report FILE         how it went, as JSON: outcome, times in us, memory
//
// Exit status: the guest's; 134 it trapped; 124 it ran into its time limit; 70 any other end; what
// ExitCode() says when it could not be run.
//
// With our WASI the process drops its privileges and installs the executor's filter once everything
// is open; only jit-cache does not, because the engine opens its cache by path.
//
// Thread rule: called once, from the main thread.
#pragma once

#include "base/result.h"
#include "executors/common/arguments.h"
#include "executors/common/program.h"

namespace hybridserve {

Result<int> RunOneShot(const EngineProgram& program, Arguments arguments);

}  // namespace hybridserve
