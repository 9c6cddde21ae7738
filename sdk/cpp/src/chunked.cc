#include "chunked.h"

#include <algorithm>

#include "syntax.h"

namespace hs::internal {
namespace {

constexpr size_t kLongestSizeLine = 1024;
constexpr size_t kLargestTrailer = 64 * 1024;

}  // namespace

size_t ChunkedDecoder::Feed(std::string_view bytes, std::string& body) {
  size_t used = 0;
  while (used < bytes.size() && !done() && !failed()) {
    std::string_view rest = bytes.substr(used);
    if (state_ == State::kData) {
      size_t take = static_cast<size_t>(std::min<uint64_t>(left_, rest.size()));
      body.append(rest.substr(0, take));
      left_ -= take;
      used += take;
      if (left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    size_t newline = rest.find('\n');
    line_.append(rest.substr(0, newline));
    used += std::min(rest.size(), newline == std::string_view::npos ? newline : newline + 1);
    if (line_.size() > kLongestSizeLine) {
      state_ = State::kFailed;
    } else if (newline != std::string_view::npos) {
      if (line_.ends_with('\r')) {
        OnLine(std::string_view(line_).substr(0, line_.size() - 1));
      } else {
        state_ = State::kFailed;
      }
      line_.clear();
    }
  }
  return used;
}

void ChunkedDecoder::OnLine(std::string_view line) {
  if (state_ == State::kDataEnd) {
    state_ = line.empty() ? State::kSizeLine : State::kFailed;
  } else if (state_ == State::kTrailer) {
    trailer_bytes_ += line.size() + 2;
    if (line.empty()) {
      state_ = State::kDone;
    } else if (trailer_bytes_ > kLargestTrailer) {
      state_ = State::kFailed;
    }
  } else if (!ParseNumber(Trim(line.substr(0, line.find(';'))), 16, left_)) {
    state_ = State::kFailed;
  } else {
    state_ = left_ == 0 ? State::kTrailer : State::kData;
  }
}

}  // namespace hs::internal
