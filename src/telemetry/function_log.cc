#include "telemetry/function_log.h"

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>

namespace hybridserve {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// The length of the well-formed UTF-8 sequence at the start of `text` (RFC 3629), or 0.
size_t Utf8Length(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const uint8_t second = byte(1);
  const bool overlong_or_surrogate =
      (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return overlong_or_surrogate ? 0 : length;
}

std::string Escaped(uint8_t byte) {
  static constexpr char kDigits[] = "0123456789abcdef";
  return {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
}

// C1 controls (U+0080..U+009F) start escape sequences on some terminals.
bool IsC1(std::string_view character) {
  return character.size() == 2 && character[0] == '\xC2' &&
         static_cast<uint8_t>(character[1]) < 0xA0;
}

}  // namespace

std::string PrintableLine(std::string_view text, size_t max_bytes) {
  std::string out;
  out.reserve(std::min(text.size(), max_bytes));
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const auto first = static_cast<uint8_t>(text[0]);
    std::string escaped;
    std::string_view piece = text.substr(0, std::max<size_t>(length, 1));
    const size_t consumed = piece.size();
    if (length == 0) {
      piece = kReplacement;
    } else if ((first < 0x20 && first != '\t') || first == 0x7F) {
      piece = escaped = Escaped(first);
    } else if (IsC1(piece)) {
      piece = escaped = Escaped(static_cast<uint8_t>(piece[1]));
    }
    if (out.size() + piece.size() > max_bytes) break;
    out.append(piece);
    text.remove_prefix(consumed);
  }
  return out;
}

std::string_view LogSourceName(LogSource source) {
  switch (source) {
    case LogSource::kWasm:
      return "wasm";
    case LogSource::kContainer:
      return "container";
    case LogSource::kNode:
      return "node";
  }
  return "node";
}

struct FunctionLogs::Subscription::Entry {
  Callback callback;
};

struct FunctionLogs::Impl {
  using Time = std::chrono::system_clock::time_point;
  using Subscribers = std::vector<std::weak_ptr<Subscription::Entry>>;

  struct Ring {
    std::deque<LogLine> lines;
    size_t bytes = 0;
    std::chrono::sys_seconds second;  // The second that the volume below is of.
    size_t bytes_this_second = 0;
    uint64_t dropped = 0;
  };

  Now now;
  std::unordered_map<FunctionName, Ring> rings;
  std::unordered_map<FunctionName, Subscribers> subscribers;

  void AppendOne(const FunctionName& function, Ring& ring, LogSource source, std::string_view text);
  void Keep(const FunctionName& function, Ring& ring, LogLine line);
  void Publish(const FunctionName& function, const LogLine& line);
};

void FunctionLogs::Impl::AppendOne(const FunctionName& function, Ring& ring, LogSource source,
                                   std::string_view text) {
  const Time time = now();
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  if (second != ring.second) {
    ring.second = second;
    ring.bytes_this_second = 0;
    if (const uint64_t dropped = std::exchange(ring.dropped, 0); dropped > 0) {
      Keep(function, ring, {time, LogSource::kNode, std::to_string(dropped) + " lines dropped"});
    }
  }
  // An empty line costs its bookkeeping.
  const size_t cost = std::min(text.size(), kLineBytes) + sizeof(LogLine);
  if (ring.bytes_this_second + cost > kBytesPerSecond) {
    ++ring.dropped;
    return;
  }
  ring.bytes_this_second += cost;
  Keep(function, ring, {time, source, PrintableLine(text, kLineBytes)});
}

void FunctionLogs::Impl::Keep(const FunctionName& function, Ring& ring, LogLine line) {
  ring.bytes += line.text.size() + sizeof(LogLine);
  ring.lines.push_back(line);
  while (ring.bytes > kRingBytes) {
    ring.bytes -= ring.lines.front().text.size() + sizeof(LogLine);
    ring.lines.pop_front();
  }
  Publish(function, line);
}

void FunctionLogs::Impl::Publish(const FunctionName& function, const LogLine& line) {
  const auto found = subscribers.find(function);
  if (found == subscribers.end()) return;
  // A copy: a callback may subscribe or let its own subscription go.
  const Subscribers current = found->second;
  bool some_gone = false;
  for (const auto& weak : current) {
    if (const auto entry = weak.lock()) {
      entry->callback(line);
    } else {
      some_gone = true;
    }
  }
  if (!some_gone) return;
  const auto again = subscribers.find(function);
  if (again == subscribers.end()) return;
  std::erase_if(again->second, [](const auto& weak) { return weak.expired(); });
  if (again->second.empty()) subscribers.erase(again);
}

FunctionLogs::FunctionLogs(Now now) : impl_(std::make_unique<Impl>()) {
  impl_->now = std::move(now);
}
FunctionLogs::~FunctionLogs() = default;

void FunctionLogs::Append(const FunctionName& function, LogSource source, std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  Impl::Ring& ring = impl_->rings[function];
  while (true) {
    const size_t end = line.find('\n');
    std::string_view one = line.substr(0, end);
    if (one.ends_with('\r')) one.remove_suffix(1);
    impl_->AppendOne(function, ring, source, one);
    if (end == std::string_view::npos) return;
    line.remove_prefix(end + 1);
  }
}

std::vector<LogLine> FunctionLogs::Tail(const FunctionName& function, size_t count) const {
  const auto found = impl_->rings.find(function);
  if (found == impl_->rings.end()) return {};
  const std::deque<LogLine>& lines = found->second.lines;
  const auto from = lines.end() - static_cast<std::ptrdiff_t>(std::min(count, lines.size()));
  return {from, lines.end()};
}

FunctionLogs::Subscription FunctionLogs::Subscribe(const FunctionName& function,
                                                   Callback callback) {
  auto entry = std::make_shared<Subscription::Entry>();
  entry->callback = std::move(callback);
  Impl::Subscribers& subscribers = impl_->subscribers[function];
  std::erase_if(subscribers, [](const auto& weak) { return weak.expired(); });
  subscribers.push_back(entry);
  return Subscription(std::move(entry));
}

void FunctionLogs::Remove(const FunctionName& function) { impl_->rings.erase(function); }

}  // namespace hybridserve
