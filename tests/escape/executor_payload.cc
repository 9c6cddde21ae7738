// An executor that was taken over: it starts and locks itself in as the real one does, then waits
// for its first request. One whose body begins with "ESCAPE_" (lines NAME=VALUE for the
// environment) it answers with what all attempts came to; with ESCAPE_FORGE it then answers
// requests that are none of its own, too. Any other request makes it the executor that it was. Test
// only: it stands in the place of hybridserve-executor-wasmtime, of which it is made.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "attempts.h"
#include "executors/common/executor.h"
#include "executors/wasmtime/wasmtime_engine.h"
#include "ipc/seqpacket.h"
#include "sandbox/lockdown.h"
#include "wasm/executor_protocol.h"

int ExecutorMain(int argc, char** argv);  // The real one's main().

namespace hybridserve {
namespace {

constexpr int kDataSocket = 3;
constexpr int kScratchFolder = 5;
constexpr std::string_view kMark = "\nESCAPE_";

// Whether the next request asks for attempts. It stays where it is.
bool IsAskedNext() {
  std::string datagram(ipc::kMaxDatagramBytes, '\0');
  const ssize_t size = ::recv(kDataSocket, datagram.data(), datagram.size(), MSG_PEEK);
  if (size <= 0) std::exit(0);
  datagram.resize(static_cast<size_t>(size));
  return datagram.find(kMark) != std::string::npos;
}

void SetVariables(std::string_view lines) {
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    const std::string line(lines.substr(0, end));
    lines.remove_prefix(std::min(end + 1, lines.size()));
    const size_t equals = line.find('=');
    if (equals == std::string::npos || !line.starts_with("ESCAPE_")) continue;
    ::setenv(line.substr(0, equals).c_str(), line.c_str() + equals + 1, 1);
  }
}

bool Answer(uint64_t id, std::string_view text) {
  const Outcome outcome{.id = id,
                        .kind = OutcomeKind::kDone,
                        .loaded_now = true,
                        .output_bytes = text.size(),
                        .output = text};
  const auto head = EncodeOutcomeHead(outcome);
  const std::vector<std::string_view> parts{{head.data(), head.size()}, {}, {}, text};
  return ipc::Send(kDataSocket, parts, {}, ipc::Wait::kBlock).has_value();
}

std::string Attempts() {
  char* text = nullptr;
  size_t size = 0;
  FILE* out = ::open_memstream(&text, &size);
  if (out == nullptr) std::abort();
  RunAttempts(kExecutor, out);
  std::fclose(out);
  std::string whole = "Content-Type: text/plain\r\n\r\n" + std::string(text, size);
  std::free(text);
  return whole;
}

void AnswerAttempts() {
  std::string buffer(ipc::kMaxDatagramBytes, '\0');
  const auto received = ipc::Receive(kDataSocket, buffer, ipc::Wait::kBlock);
  if (!received) std::exit(3);
  const auto invoke = DecodeInvoke(std::string_view(buffer).substr(0, received->size));
  if (!invoke) std::exit(3);
  SetVariables(invoke->body);
  if (!Answer(invoke->id, Attempts())) std::exit(3);
  if (std::getenv("ESCAPE_FORGE") == nullptr) return;
  constexpr uint64_t kOthers = 2000;
  for (uint64_t id = 1; id < kOthers; ++id) {
    if (!Answer(id, "Content-Type: text/plain\r\n\r\nforged")) std::exit(3);
  }
}

[[noreturn]] void Serve(uint32_t threads, int scratch_folder) {
  const auto engine = MakeWasmtimeEngine({.compiler = "cranelift", .threads = threads});
  if (!engine || !sandbox::Lockdown(sandbox::Profile::kExecutor)) std::exit(3);
  while (IsAskedNext()) AnswerAttempts();
  RunExecutor(**engine, {.threads = threads, .scratch_folder = scratch_folder});
}

}  // namespace
}  // namespace hybridserve

int main(int argc, char** argv) {
  NoteInheritedDescriptors(hybridserve::kScratchFolder);
  if (argc < 2 || std::strcmp(argv[1], "serve") != 0) return ExecutorMain(argc, argv);
  if (::getpid() != 1) {
    (void)std::fputs("payload: not PID 1, so not in a jail: nothing is tried here\n", stderr);
    return 2;
  }
  uint32_t threads = 1;
  int scratch_folder = -1;
  for (int i = 2; i < argc; ++i) {
    if (std::strcmp(argv[i], "--scratch") == 0) scratch_folder = hybridserve::kScratchFolder;
    if (std::strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
      threads = static_cast<uint32_t>(std::atoi(argv[i + 1]));
    }
  }
  hybridserve::Serve(threads, scratch_folder);
}
