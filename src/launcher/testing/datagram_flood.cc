// Plays a server that was taken over, started by a launcher: for each line "COUNT SEED" on its
// standard input sends so many bad datagrams (bad_datagrams.h), then asks for what a server needs,
// and prints one line of JSON: what it sent and got, and whether the launcher still serves.
// Ends with status 0 at the end of its input.
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "ipc/seqpacket.h"
#include "launcher/protocol.h"
#include "launcher/testing/bad_datagrams.h"

namespace hybridserve::launcher {
namespace {

struct Counts {
  uint64_t sent = 0;
  uint64_t with_fds = 0;
  uint64_t answered = 0;
  uint64_t refused = 0;
  uint64_t granted = 0;  // Of something: a process, a sandbox, a descriptor.
};

class Flood {
 public:
  explicit Flood(int socket) : socket_(socket) {}

  Result<> Send(uint64_t count, uint64_t seed) {
    counts_ = {};
    BadDatagrams datagrams(seed);
    while (counts_.sent < count) {
      datagrams.Next();
      while (true) {
        const Result<> sent = datagrams.Send(socket_);
        if (sent) break;
        if (sent.error().code != Code::kUnavailable) return sent;
        TRY(Drain());
        pollfd one{socket_, POLLIN | POLLOUT, 0};
        ::poll(&one, 1, -1);
      }
      ++counts_.sent;
      counts_.with_fds += datagrams.fds().empty() ? 0 : 1;
      if (counts_.sent % 64 == 0) TRY(Drain());
    }
    return {};
  }

  /// What an answer may hold that gives nothing away: what the machine can do, and an empty list.
  Result<> LearnHarmlessAnswers() {
    TRY_ASSIGN(abilities_, Ask(Verb::kHello, ""));
    TRY_ASSIGN(empty_list_, Ask(Verb::kList, std::string(8, '\0')));
    return {};
  }

  /// Asks, and waits for the answer behind all others; its result's bytes.
  Result<std::string> Ask(Verb verb, const std::string& body) {
    ipc::Writer out;
    PutHeader(out, verb, BadDatagrams::kNoId);
    const std::string request = out.Take() + body;
    while (true) {
      const Result<> sent = ipc::Send(socket_, request, {}, ipc::Wait::kDont);
      if (sent) break;
      if (sent.error().code != Code::kUnavailable) return tl::unexpected(sent.error());
      TRY(Drain());
      pollfd one{socket_, POLLIN | POLLOUT, 0};
      ::poll(&one, 1, -1);
    }
    while (true) {
      TRY_ASSIGN(const auto answer, Take(ipc::Wait::kBlock));
      if (answer) return *answer;
    }
  }

  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  // One answer; the result's bytes when it is that of Ask().
  Result<std::optional<std::string>> Take(ipc::Wait wait) {
    TRY_ASSIGN(const auto received, ipc::Receive(socket_, buffer_, wait));
    if (received.size == 0) return Fail(Code::kInternal, "the launcher has closed its socket");
    ipc::Reader reader(std::string_view(buffer_).substr(0, received.size));
    const auto header = GetHeader(reader);
    if (!header) return Fail(Code::kCorrupt, "the launcher sent no answer");
    const Result<> status = GetStatus(reader);
    std::string result = buffer_.substr(received.size - reader.rest_bytes(), reader.rest_bytes());
    if (header->id == BadDatagrams::kNoId) {
      TRY(status);
      return std::optional(std::move(result));
    }
    ++counts_.answered;
    counts_.refused += status ? 0 : 1;
    const bool harmless = result.empty() || result == abilities_ || result == empty_list_;
    counts_.granted += !received.fds.empty() || (status && !harmless) ? 1 : 0;
    return std::optional<std::string>();
  }

  Result<> Drain() {
    while (true) {
      const auto taken = Take(ipc::Wait::kDont);
      if (taken) continue;
      if (taken.error().code == Code::kUnavailable) return {};
      return tl::unexpected(taken.error());
    }
  }

  int socket_;
  std::string abilities_;
  std::string empty_list_;
  std::string buffer_ = std::string(ipc::kMaxDatagramBytes, '\0');
  Counts counts_;
};

// What the launcher does for an honest server.
Result<> CheckItServes(Flood& flood) {
  TRY(flood.Ask(Verb::kHello, ""));
  JobSpec spec;
  spec.program = "hybridserve-executor-wasmtime";
  spec.arguments = {"fingerprint"};
  ipc::Writer body;
  Put(body, spec);
  TRY_ASSIGN(const std::string bytes, flood.Ask(Verb::kRunJob, body.bytes()));
  ipc::Reader reader(bytes);
  const auto job = Get<JobResult>(reader);
  if (job.exit_status != 0) return Fail(Code::kInternal, "a job failed: " + job.output);
  return {};
}

int Main() {
  const char* number = std::getenv(kSocketVariable);
  if (number == nullptr) return 2;
  Flood flood(std::atoi(number));
  uint64_t count = 0;
  uint64_t seed = 0;
  while (std::cin >> count >> seed) {
    const auto started = std::chrono::steady_clock::now();
    Result<> ended = flood.LearnHarmlessAnswers();
    if (ended) ended = flood.Send(count, seed);
    if (ended) ended = CheckItServes(flood);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    const Counts& counts = flood.counts();
    std::printf(
        "{\"sent\": %llu, \"with_descriptors\": %llu, \"answered\": %llu, \"refused\": %llu, "
        "\"granted\": %llu, \"seconds\": %.3f, \"serves\": %s, \"error\": \"%s\"}\n",
        static_cast<unsigned long long>(counts.sent),
        static_cast<unsigned long long>(counts.with_fds),
        static_cast<unsigned long long>(counts.answered),
        static_cast<unsigned long long>(counts.refused),
        static_cast<unsigned long long>(counts.granted), took.count(), ended ? "true" : "false",
        ended ? "" : ended.error().message.c_str());
    std::fflush(stdout);
    if (!ended) return 0;
  }
  return 0;
}

}  // namespace
}  // namespace hybridserve::launcher

int main() { return hybridserve::launcher::Main(); }
