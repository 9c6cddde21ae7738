// ResponseParser: reads one HTTP/1.1 response of a container, or of a server that a function calls,
// head and framing (RFC 9112).
//
// Whoever sends it is hostile: every part is bounded, what cannot be framed without doubt is an error,
// and no byte that could end a header line reaches the answer. Lenient in one place: a bare LF ends
// a line, as RFC 9112 2.2 allows; the answer is framed anew, so nobody behind us sees it.
//
// Use: ParseHead until it says done, then Next until it says done. The caller owns the bytes.
//
// Thread rule: plain value, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "function/invocation.h"

namespace hybridserve {

class ResponseParser {
 public:
  /// Of one head, and of the trailers; a larger one is an error.
  static constexpr size_t kMaxHeadBytes = 64 * 1024;
  static constexpr size_t kMaxHeaders = 256;
  /// Interim (1xx) answers that are skipped before the final one.
  static constexpr int kMaxInterim = 16;

  enum class Method : uint8_t { kHead, kOther };
  /// How the body ends.
  enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

  /// `whose` begins the sentence of an error; a literal.
  explicit ResponseParser(Method method, std::string_view whose = "the container's answer")
      : method_(method), whose_(whose) {}

  struct HeadStep {
    size_t consumed = 0;  ///< Of the bytes given: interim answers, and the head once `done`.
    bool done = false;    ///< False: call again with what was not consumed and more behind it.
  };
  /// Looks for a whole head at the start of `bytes`.
  /// Errors: kFunctionFailed what is wrong with it.
  Result<HeadStep> ParseHead(std::string_view bytes);

  /// Once ParseHead is done. The headers are without hop-by-hop fields (RFC 9110 7.6.1) and without
  /// Content-Length; the caller may move them out.
  [[nodiscard]] ResponseHead& head() { return head_; }
  [[nodiscard]] Framing framing() const { return framing_; }
  /// What Content-Length said; for HEAD and 304 too, which have no body.
  [[nodiscard]] std::optional<uint64_t> content_length() const { return content_length_; }
  /// True when the container keeps the connection open after this response.
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }

  /// One step through the body.
  struct Piece {
    size_t consumed = 0;    ///< Of the bytes given.
    std::string_view data;  ///< Of the body, inside the bytes given; may be empty.
  };
  /// Takes the next step. `bytes` is not empty and follows what was consumed before.
  /// Errors: kFunctionFailed bad chunk framing.
  Result<Piece> Next(std::string_view bytes);

  /// True when the body is complete; at once for kNone and a length of 0, never for kUntilClose.
  [[nodiscard]] bool done() const { return body_ == Body::kDone; }
  /// Bytes of the body that are still to come; 0 unless kLength.
  [[nodiscard]] uint64_t left() const { return framing_ == Framing::kLength ? left_ : 0; }

 private:
  [[nodiscard]] tl::unexpected<Error> Bad(std::string_view what) const;

  enum class Body : uint8_t { kData, kSize, kDataEnd, kTrailers, kDone };

  Result<> ParseOneHead(std::string_view head);
  Result<> ParseStatusLine(std::string_view line);
  Result<> ParseField(std::string_view line);
  Result<> KeepField(std::string_view name, std::string_view value);
  void NoteConnectionOptions(std::string_view value);
  void DropHopByHop();
  Result<> ChooseFraming();
  /// Collects a line of chunk framing into line_; true once it is whole.
  Result<bool> TakeLine(std::string_view bytes, size_t& consumed);
  Result<> ParseChunkSize();

  Method method_;
  std::string_view whose_;
  ResponseHead head_;
  Framing framing_ = Framing::kNone;
  std::optional<uint64_t> content_length_;
  bool http_1_0_ = false;
  bool keep_alive_ = false;
  bool saw_close_ = false;
  bool saw_keep_alive_ = false;
  bool chunked_ = false;
  int interim_ = 0;
  size_t scanned_ = 0;            // bytes already searched for the end of the head
  std::string named_hop_by_hop_;  // what Connection named, as ",a,b,", lower case

  Body body_ = Body::kDone;
  uint64_t left_ = 0;  // of the body (kLength) or of the chunk
  size_t trailer_bytes_ = 0;
  std::string line_;  // of chunk framing, while incomplete
};

}  // namespace hybridserve
