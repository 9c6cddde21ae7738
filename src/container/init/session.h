// Session: serves one connection: request after request, one process each.
//
// The contract is CGI (RFC 3875), the one of a Wasm command: meta-variables in the environment, the
// body on standard input, headers and body on standard output. Output is held until the program
// ends or has written kHoldBytes, so that a program that fails is answered 502 and nothing else;
// beyond that it is streamed, and a failure cuts the answer off. A client that goes away ends the
// program.
//
// A body of known length is streamed into the program; a chunked one is collected in memory first,
// since CGI wants its length (the gateway limits it, and the container's memory limit holds).
//
// Thread rule: one thread per connection.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "container/init/children.h"
#include "container/init/http_request.h"

namespace hybridserve::init {

class Session {
 public:
  static constexpr size_t kHoldBytes = 64 * 1024;

  /// `children` and `argv` outlive the session. `socket` is blocking.
  Session(UniqueFd socket, Children& children, const std::vector<std::string>& argv)
      : socket_(std::move(socket)), children_(children), argv_(argv) {}

  /// Returns when the connection is over.
  void Run();

 private:
  /// What became of one request.
  enum class Outcome : uint8_t { kAnswered, kClose };
  /// The descriptors of one program: our ends of its standard input and output.
  struct Pipes {
    UniqueFd to_program;
    UniqueFd from_program;
  };

  bool ReadHead(Request& request);
  Outcome Serve(const Request& request);
  Result<UniqueFd> CollectBody();
  Result<std::unique_ptr<Child>> Start(const Request& request, UniqueFd collected, Pipes& pipes);

  Outcome Pump(const Request& request, Child& child, Pipes& pipes);
  bool PumpInput(Pipes& pipes);
  bool PumpOutput(const Request& request, Pipes& pipes, bool ended);
  bool FlushOut();
  Outcome Finish(const Request& request, const Child& child);

  Result<> BeginStream(const Request& request);
  void AppendChunk(std::string_view bytes);
  bool AnswerWhole(const Request& request);
  bool AnswerError(int status, const Error& error);
  bool Send(std::string_view bytes);

  UniqueFd socket_;
  Children& children_;
  const std::vector<std::string>& argv_;
  std::string in_;  // Received and not used yet.
  // Of the request under way:
  uint64_t body_left_ = 0;  // Of the body, to be passed on.
  std::string held_;        // The program's output, until it is streamed.
  std::string out_;         // To be sent.
  bool streaming_ = false;
  bool body_allowed_ = true;  // Of the streamed answer.
  bool output_ended_ = false;
};

}  // namespace hybridserve::init
