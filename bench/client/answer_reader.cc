#include "client/answer_reader.h"

#include <strings.h>

#include <charconv>

#include "client/http_connection.h"

namespace hybridserve::bench {
namespace {

constexpr std::string_view kEnd = "\r\n\r\n";
constexpr std::string_view kVersion = "HTTP/1.1 ";
constexpr size_t kMaxHead = 64u << 10;

tl::unexpected<Error> Bad(const std::string& what) {
  return Fail(Code::kCorrupt, "the answer is not HTTP/1.1: " + what);
}

}  // namespace

Result<> AnswerReader::Take(std::string_view bytes) {
  bytes_.append(bytes);
  if (!head_read_) {
    const size_t end = bytes_.find(kEnd);
    if (end == std::string::npos) {
      if (bytes_.size() > kMaxHead) return Bad("a head of more than 64 KiB");
      return {};
    }
    TRY(ReadHead(end));
  }
  if (bytes_.size() > size_) return Bad("bytes came after its end");
  return {};
}

Result<> AnswerReader::ReadHead(size_t head_size) {
  Answer answer;
  answer.head = bytes_.substr(0, head_size);
  const std::string& head = answer.head;
  if (!head.starts_with(kVersion)) return Bad("'" + head.substr(0, 40) + "'");
  std::from_chars(head.data() + kVersion.size(), head.data() + head.size(), status_);
  const std::string_view length = answer.Header("Content-Length");
  size_t body = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), body);
  if (length.empty() || error != std::errc{} || end != length.data() + length.size()) {
    return Bad("no Content-Length in '" + head.substr(0, 200) + "'");
  }
  has_retry_after_ = !answer.Header("Retry-After").empty();
  const std::string connection(answer.Header("Connection"));
  closes_ = ::strcasecmp(connection.c_str(), "close") == 0;
  body_at_ = head_size + kEnd.size();
  size_ = body_at_ + body;
  head_read_ = true;
  return {};
}

}  // namespace hybridserve::bench
