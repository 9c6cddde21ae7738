// Connection: one client of the HttpServer, served by one thread from its first request to its end.
//
// Thread rule: one thread.
#pragma once

#include <string>
#include <string_view>

#include "hybridserve/function.h"
#include "native/http_parser.h"
#include "native/http_server.h"

namespace hs::internal {

class Connection {
 public:
  /// Owns `socket`.
  Connection(HttpServer& server, int socket) : server_(server), socket_(socket) {}
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Answers requests until the client goes, asks to close, or breaks the protocol.
  void Serve();

 private:
  /// Waits for a request's head and takes it out of `input_`. False when there will be none; a head
  /// that is refused has been answered.
  bool ReadHead(RequestHead& head);
  /// Reads the body into `request.body`. False when the client went or the framing is wrong.
  bool ReadBody(RequestHead& head);
  bool ReadPlainBody(std::string& body, uint64_t bytes);
  bool ReadChunkedBody(std::string& body);

  /// More bytes into `input_`. False at the end of the stream.
  bool Fill();
  bool Send(const Response& response, bool to_head_request, bool keep_alive);
  bool SendAll(std::string_view head, std::string_view body);
  void Refuse(int status);

  HttpServer& server_;
  const int socket_;
  std::string input_;  ///< Received and not yet used.
};

}  // namespace hs::internal
