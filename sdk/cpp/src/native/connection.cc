#include "native/connection.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "message.h"

namespace hs::internal {
namespace {

constexpr size_t kReadBytes = 16 * 1024;
/// A body's buffer grows in steps of this size with what arrives, not with what was announced.
constexpr uint64_t kBodyStep = 16u << 20;

ssize_t Receive(int socket, char* into, size_t bytes) {
  for (;;) {
    ssize_t got = recv(socket, into, bytes, 0);
    if (got >= 0 || errno != EINTR) return got;
  }
}

}  // namespace

Connection::~Connection() { close(socket_); }

void Connection::Serve() {
  for (bool open = true; open;) {
    RequestHead head;
    if (!ReadHead(head)) return;
    server_.OnRequestBegun();
    open = ReadBody(head);
    if (open) {
      Response response = server_.handler_(head.request);
      bool keep_alive = head.keep_alive && server_.MayKeepAlive();
      open = Send(response, head.request.method == "HEAD", keep_alive) && keep_alive;
    }
    server_.OnRequestDone();
  }
}

bool Connection::ReadHead(RequestHead& head) {
  for (;;) {
    if (!input_.empty()) {
      ParsedHead parsed = ParseHead(input_, head);
      if (parsed.status == 200) {
        input_.erase(0, parsed.length);
        return true;
      }
      if (parsed.status != 0) {
        Refuse(parsed.status);
        return false;
      }
    }
    if (!Fill()) return false;
  }
}

bool Connection::ReadBody(RequestHead& head) {
  if (!head.chunked && head.content_length == 0) return true;
  if (head.expects_continue && input_.empty() && !SendAll("HTTP/1.1 100 Continue\r\n\r\n", {})) {
    return false;
  }
  return head.chunked ? ReadChunkedBody(head.request.body)
                      : ReadPlainBody(head.request.body, head.content_length);
}

bool Connection::ReadPlainBody(std::string& body, uint64_t bytes) {
  size_t filled = static_cast<size_t>(std::min<uint64_t>(bytes, input_.size()));
  body.assign(input_, 0, filled);
  input_.erase(0, filled);
  while (filled < bytes) {
    if (filled == body.size()) body.resize(filled + std::min<uint64_t>(bytes - filled, kBodyStep));
    ssize_t got = Receive(socket_, body.data() + filled, body.size() - filled);
    if (got <= 0) return false;
    filled += static_cast<size_t>(got);
  }
  return true;
}

bool Connection::ReadChunkedBody(std::string& body) {
  ChunkedDecoder decoder;
  for (;;) {
    input_.erase(0, decoder.Feed(input_, body));
    if (decoder.done()) return true;
    if (decoder.failed()) {
      Refuse(400);
      return false;
    }
    if (!Fill()) return false;
  }
}

bool Connection::Fill() {
  size_t before = input_.size();
  input_.resize(before + kReadBytes);
  ssize_t got = Receive(socket_, input_.data() + before, kReadBytes);
  input_.resize(before + static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return got > 0;
}

bool Connection::Send(const Response& response, bool to_head_request, bool keep_alive) {
  int status = FinalStatus(response);
  bool has_body = status != 204 && status != 304;
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  head.append(ReasonPhrase(status)).append("\r\n").append(HeaderLines(response));
  if (has_body) {
    head.append("Content-Length: ").append(std::to_string(response.body.size())).append("\r\n");
  }
  if (!keep_alive) head.append("Connection: close\r\n");
  head.append("\r\n");
  return SendAll(head, has_body && !to_head_request ? std::string_view(response.body) : "");
}

bool Connection::SendAll(std::string_view head, std::string_view body) {
  while (!head.empty() || !body.empty()) {
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                      {const_cast<char*>(body.data()), body.size()}};
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    ssize_t put = sendmsg(socket_, &message, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    size_t of_head = std::min(head.size(), static_cast<size_t>(put));
    head.remove_prefix(of_head);
    body.remove_prefix(static_cast<size_t>(put) - of_head);
  }
  return true;
}

void Connection::Refuse(int status) {
  Response response = Response::Text(std::string(ReasonPhrase(status)) + "\n", status);
  if (Send(response, false, false)) shutdown(socket_, SHUT_WR);
}

}  // namespace hs::internal
