// What Fetch sends and reads: a request to a forward proxy, and an HTTP/1.1 response (RFC 9112).
//
// Thread rule: plain values and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "chunked.h"
#include "hybridserve/fetch.h"

namespace hs::internal {

/// The bytes of `request` in absolute form; empty, with `error` set, when it cannot be sent.
std::string EncodeRequest(const FetchRequest& request, bool keep_alive, std::string& error);

/// Reads one response, in pieces of any size.
class ResponseReader {
 public:
  static constexpr size_t kLargestHead = 64 * 1024;
  static constexpr size_t kMostHeaders = 256;

  /// `head_only`: the request was a HEAD.
  ResponseReader(bool head_only, size_t max_body_bytes)
      : head_only_(head_only), max_body_bytes_(max_body_bytes) {}

  /// Takes what was received. Returns false once nothing more is wanted: done() or failed().
  bool Feed(std::string_view bytes);
  /// The connection has ended: completes a body without a length, else fails.
  void End();

  [[nodiscard]] bool done() const { return state_ == State::kDone; }
  /// What is wrong with the response; empty when nothing is.
  [[nodiscard]] const std::string& error() const { return result_.error; }
  /// The connection can carry another request: the response said so, and nothing followed it.
  [[nodiscard]] bool reusable() const { return done() && keep_alive_ && !surplus_; }
  /// Once done: the response.
  FetchResult Take() { return std::move(result_); }

 private:
  enum class State : uint8_t { kHead, kLength, kChunked, kUntilClose, kDone, kFailed };

  void Fail(std::string_view what);
  void TakeHead(std::string_view head);
  bool TakeStatusLine(std::string_view line);
  bool TakeField(std::string_view line);
  void ChooseBody();
  void TakeBody(std::string_view bytes);

  bool head_only_;
  size_t max_body_bytes_;
  State state_ = State::kHead;
  std::string head_;
  FetchResult result_;
  std::optional<uint64_t> length_;
  bool chunked_ = false;
  bool keep_alive_ = true;
  bool surplus_ = false;
  ChunkedDecoder chunks_;
};

}  // namespace hs::internal
