#include "container/init/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>

#include "base/file.h"
#include "container/init/answer.h"
#include "function/cgi.h"

extern char** environ;

namespace hybridserve::init {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr int kBadRequest = 400;
constexpr int kBadGateway = 502;

/// The container's own environment, as the program gets it: all but what only concerns this init.
std::map<std::string, std::string> OwnEnvironment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos || text.substr(0, equals) == "PORT") continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

std::vector<std::string> EnvironmentOf(const Request& request, uint64_t body_bytes) {
  std::vector<std::string> words;
  for (const auto& [name, value] : CgiEnvironment(request.head, body_bytes, OwnEnvironment())) {
    words.push_back(name + "=" + value);
  }
  return words;
}

std::string HowItEnded(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return "was ended by signal " + std::to_string(WTERMSIG(wait_status));
  }
  return "exited with status " + std::to_string(WEXITSTATUS(wait_status));
}

Result<std::pair<UniqueFd, UniqueFd>> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return FailErrno("pipe");
  return std::pair(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

bool Readable(const pollfd& entry) { return (entry.revents & (POLLIN | POLLHUP | POLLERR)) != 0; }

}  // namespace

void Session::Run() {
  Request request;
  while (ReadHead(request) && Serve(request) == Outcome::kAnswered && request.keep_alive) {
  }
}

bool Session::ReadHead(Request& request) {
  size_t end = std::string::npos;
  std::array<char, kReadBytes> buffer;
  while ((end = HeadEnd(in_)) == std::string::npos) {
    if (in_.size() > kMaxHeadBytes) {
      AnswerError(kBadRequest, {Code::kInvalidArgument, "the request's head is too long"});
      return false;
    }
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    in_.append(buffer.data(), static_cast<size_t>(got));
  }
  auto parsed = ParseRequest(std::string_view(in_).substr(0, end));
  if (!parsed) {
    AnswerError(kBadRequest, parsed.error());
    return false;
  }
  in_.erase(0, end);
  request = std::move(*parsed);
  return !request.expects_continue || Send("HTTP/1.1 100 Continue\r\n\r\n");
}

Session::Outcome Session::Serve(const Request& request) {
  held_.clear();
  out_.clear();
  streaming_ = output_ended_ = false;
  body_left_ = request.body == BodyKind::kLength ? request.body_bytes : 0;
  UniqueFd collected;
  if (request.body == BodyKind::kChunked) {
    auto body = CollectBody();
    if (!body) {
      AnswerError(kBadRequest, body.error());
      return Outcome::kClose;
    }
    collected = std::move(*body);
  }
  Pipes pipes;
  auto child = Start(request, std::move(collected), pipes);
  if (!child) {
    AnswerError(kBadGateway, child.error());
    return body_left_ == 0 ? Outcome::kAnswered : Outcome::kClose;
  }
  return Pump(request, **child, pipes);
}

/// Reads the whole chunked body into a memory file, rewound.
Result<UniqueFd> Session::CollectBody() {
  UniqueFd file(memfd_create("body", MFD_CLOEXEC));
  if (!file) return FailErrno("collect the body");
  ChunkDecoder decoder;
  std::array<char, kReadBytes> buffer;
  while (true) {
    std::string_view rest = in_;
    std::string body;
    TRY(decoder.Decode(rest, body));
    in_.erase(0, in_.size() - rest.size());
    TRY(WriteAll(file.get(), body));
    if (decoder.done()) break;
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Fail(Code::kCancelled, "the client went away within the body");
    in_.append(buffer.data(), static_cast<size_t>(got));
  }
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

/// Starts the program on the collected body, or on a pipe where the body comes by and by.
Result<std::unique_ptr<Child>> Session::Start(const Request& request, UniqueFd collected,
                                              Pipes& pipes) {
  uint64_t body_bytes = request.body_bytes;
  UniqueFd input = std::move(collected);
  if (input) {
    body_bytes = static_cast<uint64_t>(lseek(input.get(), 0, SEEK_END));
    lseek(input.get(), 0, SEEK_SET);
  } else {
    TRY_ASSIGN(auto to_program, MakePipe());
    input = std::move(to_program.first);
    if (body_left_ > 0) pipes.to_program = std::move(to_program.second);
  }
  TRY_ASSIGN(auto from_program, MakePipe());
  TRY_ASSIGN(auto child, children_.Spawn(argv_, EnvironmentOf(request, body_bytes), input.get(),
                                         from_program.second.get()));
  pipes.from_program = std::move(from_program.first);
  for (const UniqueFd* end : {&pipes.to_program, &pipes.from_program}) {
    if (*end) fcntl(end->get(), F_SETFL, O_NONBLOCK);
  }
  return child;
}

/// Moves bytes between client and program until the program has ended.
Session::Outcome Session::Pump(const Request& request, Child& child, Pipes& pipes) {
  bool ended = false;
  while (!(ended && output_ended_)) {
    const bool wants_input = pipes.to_program && body_left_ > 0;
    const bool wants_output = !output_ended_ && out_.empty();
    std::array<pollfd, 4> entries{{
        {socket_.get(), POLLRDHUP, 0},
        {wants_input && !in_.empty() ? pipes.to_program.get() : -1, POLLOUT, 0},
        {wants_output ? pipes.from_program.get() : -1, POLLIN, 0},
        {ended ? -1 : child.ended_fd(), POLLIN, 0},
    }};
    if (wants_input && in_.empty()) entries[0].events |= POLLIN;
    if (!out_.empty()) entries[0].events |= POLLOUT;
    // What an ended program wrote is there by now; a process it left may hold the pipe open.
    const int timeout = ended && wants_output ? 0 : -1;
    if (poll(entries.data(), entries.size(), timeout) < 0) {
      if (errno == EINTR) continue;
      return Outcome::kClose;
    }
    if ((entries[0].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return Outcome::kClose;
    if (Readable(entries[3])) {
      ended = true;
      child.Kill();  // What it left behind would hold its output open.
    }
    if ((entries[0].revents & POLLOUT) != 0 && !FlushOut()) return Outcome::kClose;
    if (wants_input && (entries[1].revents != 0 || (entries[0].revents & POLLIN) != 0) &&
        !PumpInput(pipes)) {
      return Outcome::kClose;
    }
    if (wants_output && (Readable(entries[2]) || ended) && !PumpOutput(request, pipes, ended)) {
      return Outcome::kClose;
    }
  }
  if (!Send(std::exchange(out_, {}))) return Outcome::kClose;
  return Finish(request, child);
}

/// One step of the body; false when the client has gone.
bool Session::PumpInput(Pipes& pipes) {
  if (in_.empty()) {
    std::array<char, kReadBytes> buffer;
    const ssize_t got = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    if (got == 0) return false;
    in_.assign(buffer.data(), static_cast<size_t>(got));
  }
  const size_t count = std::min<uint64_t>(in_.size(), body_left_);
  const ssize_t put = write(pipes.to_program.get(), in_.data(), count);
  if (put < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (put < 0) {
    pipes.to_program.Reset();  // The program does not want the rest.
    return true;
  }
  in_.erase(0, static_cast<size_t>(put));
  body_left_ -= static_cast<uint64_t>(put);
  if (body_left_ == 0) pipes.to_program.Reset();
  return true;
}

/// One step of the program's output; false when the answer cannot go on. Once the program has
/// `ended`, its output is at its end as soon as nothing is left to read.
bool Session::PumpOutput(const Request& request, Pipes& pipes, bool ended) {
  std::array<char, kReadBytes> buffer;
  const ssize_t got = read(pipes.from_program.get(), buffer.data(), buffer.size());
  if (got < 0 && errno == EINTR) return true;
  if (got < 0 && errno == EAGAIN) {
    output_ended_ = ended;
    return true;
  }
  if (got <= 0) {
    output_ended_ = true;
    return true;
  }
  const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
  if (streaming_) {
    AppendChunk(bytes);
    return true;
  }
  held_.append(bytes);
  if (held_.size() <= kHoldBytes) return true;
  if (auto begun = BeginStream(request); !begun) {
    AnswerError(kBadGateway, begun.error());
    return false;
  }
  return true;
}

/// Sends what the client takes now; false when it has gone.
bool Session::FlushOut() {
  const ssize_t put = send(socket_.get(), out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (put < 0) return errno == EINTR || errno == EAGAIN;
  out_.erase(0, static_cast<size_t>(put));
  return true;
}

Session::Outcome Session::Finish(const Request& request, const Child& child) {
  const int status = child.wait_status();
  // An unread body would be taken for the next request.
  const Outcome answered = body_left_ == 0 ? Outcome::kAnswered : Outcome::kClose;
  if (status != 0) {
    if (streaming_) return Outcome::kClose;
    const bool sent = AnswerError(
        kBadGateway, {Code::kFunctionFailed, "the program " + argv_[0] + " " + HowItEnded(status)});
    return sent ? answered : Outcome::kClose;
  }
  if (streaming_) {
    return !body_allowed_ || Send("0\r\n\r\n") ? answered : Outcome::kClose;
  }
  return AnswerWhole(request) ? answered : Outcome::kClose;
}

Result<> Session::BeginStream(const Request& request) {
  TRY_ASSIGN(const CgiResponse response, ParseCgiResponse(held_));
  streaming_ = true;
  out_ = AnswerHead(response.head, std::nullopt);
  body_allowed_ = HasBody(request.head.method, response.head.status);
  AppendChunk(std::string_view(held_).substr(response.body_offset));
  held_.clear();
  return {};
}

void Session::AppendChunk(std::string_view bytes) {
  if (bytes.empty() || !body_allowed_) return;
  char size[20];
  const int length = std::snprintf(size, sizeof(size), "%zx\r\n", bytes.size());
  out_.append(size, static_cast<size_t>(length)).append(bytes).append("\r\n");
}

bool Session::AnswerWhole(const Request& request) {
  const auto response = ParseCgiResponse(held_);
  if (!response) return AnswerError(kBadGateway, response.error());
  const std::string_view body = std::string_view(held_).substr(response->body_offset);
  std::string bytes = AnswerHead(response->head, body.size());
  if (HasBody(request.head.method, response->head.status)) bytes.append(body);
  return Send(bytes);
}

bool Session::AnswerError(int status, const Error& error) {
  const std::string body = ErrorBody(error);
  const ResponseHead head{status, {{"Content-Type", "application/json"}}};
  return Send(AnswerHead(head, body.size()) + body);
}

bool Session::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

}  // namespace hybridserve::init
