// FakeNode: an HTTP server on a unix socket and on a TCP port, for tests of the commands.
//
// It keeps every request and answers by what the test told it to; an unexpected request is answered
// 500, so that a test sees it.
//
// Thread rule: answers are set and requests read by the test's thread; a thread of its own serves.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/unique_fd.h"

namespace hybridserve::cli {

class FakeNode {
 public:
  struct Request {
    std::string method;
    std::string target;
    std::string head;  ///< All of it, as it came.
    std::string body;
  };

  FakeNode();
  ~FakeNode();
  FakeNode(const FakeNode&) = delete;
  FakeNode& operator=(const FakeNode&) = delete;

  /// The state folder whose admin socket it listens on.
  [[nodiscard]] const std::filesystem::path& state_folder() const { return folder_.path(); }
  /// "127.0.0.1:PORT": the same server by TCP, for the gateway's part.
  [[nodiscard]] std::string address() const;

  /// From now on "METHOD TARGET" is answered with this status and body.
  void Answer(const std::string& what, int status, const std::string& body,
              const std::string& headers = "");
  /// The same with the whole answer as it goes over the wire.
  void AnswerRaw(const std::string& what, const std::string& bytes);

  /// What was asked so far.
  [[nodiscard]] std::vector<Request> Requests();

 private:
  void Serve();
  void ServeOne(int socket);

  TemporaryFolder folder_;
  UniqueFd unix_listener_;
  UniqueFd tcp_listener_;
  UniqueFd stop_reader_;
  UniqueFd stop_writer_;
  uint16_t port_ = 0;
  std::mutex mutex_;
  std::map<std::string, std::string> answers_;  // Guarded by mutex_.
  std::vector<Request> requests_;               // Guarded by mutex_.
  std::thread thread_;
};

}  // namespace hybridserve::cli
