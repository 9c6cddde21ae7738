// FakeRuntime: a ContainerRuntime in memory. Its containers are programs of the test that speak
// bytes over socket pairs, in the test's own event loop; every way to fail can be asked for.
//
// It passes the tests of runtime_conformance.h.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "container/clock.h"
#include "container/runtime.h"

namespace hybridserve {

/// The container's end of one connection.
using FakeSocket = boost::asio::local::stream_protocol::socket;

/// One request as a container's program sees it.
struct FakeRequest {
  std::string head;  ///< Request line and headers, with their empty line.
  std::string body;  ///< Decoded.
  [[nodiscard]] std::string Line() const { return head.substr(0, head.find("\r\n")); }
  /// The value of the first header of this name, as the client wrote it; empty without one.
  [[nodiscard]] std::string Field(std::string_view name) const;
};

/// What runs in a fake container.
struct FakeProgram {
  std::optional<Error> start_error;  ///< It cannot be started at all.
  /// When it listens, counted from its start; absent: never.
  std::optional<std::chrono::microseconds> listens_after = std::chrono::microseconds(0);
  /// When it ends by itself, counted from its start; absent: never.
  std::optional<std::chrono::microseconds> exits_after;
  int exit_status = 0;
  bool out_of_memory = false;
  std::string output;               ///< Written to its log at the start.
  uint64_t memory_bytes = 1 << 20;  ///< What Stats says.

  /// Answers one request with raw bytes of HTTP; the connection closes when they ask for it.
  std::function<std::string(const FakeRequest&)> answer;
  /// Instead of `answer`: has the connection to itself, and closes it by returning.
  std::function<boost::asio::awaitable<void>(FakeSocket&)> serve;
};

/// "HTTP/1.1 200 OK" with a Content-Length and `body`.
std::string FakeAnswer(std::string_view body, int status = 200);

/// Reads one request; absent at the end of the stream.
boost::asio::awaitable<std::optional<FakeRequest>> ReadFakeRequest(FakeSocket& socket,
                                                                   std::string& buffer);

class FakeRuntime : public ContainerRuntime {
 public:
  /// `clock` outlives the runtime.
  FakeRuntime(boost::asio::any_io_executor executor, Clock& clock);
  ~FakeRuntime() override;

  // What the test asks for.
  /// Chooses the program of each container that starts; by default one that answers "hello".
  std::function<FakeProgram(const ContainerSpec&)> program;
  std::optional<Error> create_error;   ///< Create fails so.
  std::optional<Error> start_error;    ///< Start fails so.
  std::optional<Error> destroy_error;  ///< Destroy fails so, and destroys nevertheless.
  std::optional<Error> freeze_error;   ///< Freeze fails so.
  std::optional<Error> thaw_error;     ///< Thaw fails so.
  std::chrono::microseconds freeze_time{0};
  std::chrono::microseconds thaw_time{0};
  std::chrono::microseconds create_time{0};
  std::chrono::microseconds destroy_time{0};
  /// A started container ends by itself, now.
  void Exit(ContainerId id, int status, bool out_of_memory = false);
  /// Refuses new connections and ends the open ones; the process lives on.
  void StopListening(ContainerId id);
  /// Closes the container's side of every open connection.
  void CloseConnections(ContainerId id);
  void WriteLog(ContainerId id, std::string_view text);
  /// What a container's program gets that connects to 127.0.0.1:`port` inside; none: refused.
  UniqueFd Dial(ContainerId id, uint16_t port) const;
  /// A container of an earlier life of the server, for List.
  ContainerId AddSurvivor(ContainerSpec spec);

  // What the test looks at.
  [[nodiscard]] size_t alive() const;  ///< Created, and not destroyed or gone.
  [[nodiscard]] size_t most_alive() const { return most_alive_; }
  [[nodiscard]] size_t created() const { return created_; }
  [[nodiscard]] size_t connects() const { return connects_; }  ///< That succeeded.
  [[nodiscard]] size_t open_connections(ContainerId id) const;
  [[nodiscard]] bool frozen(ContainerId id) const;
  [[nodiscard]] std::vector<ContainerId> ids() const;
  [[nodiscard]] const ContainerSpec* Spec(ContainerId id) const;

  // ContainerRuntime.
  [[nodiscard]] std::string_view name() const override { return "fake"; }
  Awaitable<ContainerId> Create() override;
  Awaitable<UniqueFd> Start(ContainerId id, ContainerSpec spec) override;
  Awaitable<UniqueFd> Connect(ContainerId id) override;
  Awaitable<UniqueFd> Listen(ContainerId id, uint16_t port) override;
  Awaitable<> Freeze(ContainerId id) override;
  Awaitable<> Thaw(ContainerId id) override;
  Awaitable<SandboxUsage> Stats(ContainerId id) override;
  Awaitable<> Destroy(ContainerId id) override;
  Awaitable<std::vector<AdoptedContainer>> List() override;
  void OnExit(std::function<void(const SandboxExit&)> handler) override;

 private:
  struct Container;
  boost::asio::awaitable<void> Pause(std::chrono::microseconds time);
  Container* Find(ContainerId id) const;
  Result<UniqueFd> Run(Container& container, ContainerSpec spec);
  void EndProcess(Container& container);

  boost::asio::any_io_executor executor_;
  Clock& clock_;
  std::function<void(const SandboxExit&)> on_exit_;
  // Shared with the coroutines that serve their connections.
  std::map<ContainerId, std::shared_ptr<Container>> containers_;
  uint64_t next_id_ = 1;
  size_t created_ = 0;
  size_t most_alive_ = 0;
  size_t connects_ = 0;
};

}  // namespace hybridserve
