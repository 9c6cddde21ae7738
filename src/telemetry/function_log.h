// FunctionLogs: the last lines that each function wrote, for `hybridserve logs`.
//
// Per function a ring of at most kRingBytes, made at its first line. A function that writes faster
// than kBytesPerSecond loses lines, and one line says how many. Lines come from guests: on the way
// in they are cut to kLineBytes, made valid UTF-8, and control characters are escaped, so that they
// can go to a terminal or into JSON as they are.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace hybridserve {

/// Where a line came from.
enum class LogSource : uint8_t {
  kWasm,       ///< A guest's stderr.
  kContainer,  ///< A container's stdout or stderr.
  kNode,       ///< The node itself, about the function.
};
std::string_view LogSourceName(LogSource source);  ///< "wasm", "container", "node"

struct LogLine {
  std::chrono::system_clock::time_point time;
  LogSource source = LogSource::kNode;
  std::string text;  ///< Valid UTF-8 without control characters but tab.
};

class FunctionLogs {
 public:
  static constexpr size_t kRingBytes = 64 * 1024;
  static constexpr size_t kLineBytes = 8 * 1024;
  static constexpr size_t kBytesPerSecond = 256 * 1024;

  using Now = std::function<std::chrono::system_clock::time_point()>;
  using Callback = std::function<void(const LogLine&)>;

  /// `now` is for tests.
  explicit FunctionLogs(Now now = std::chrono::system_clock::now);
  ~FunctionLogs();
  FunctionLogs(const FunctionLogs&) = delete;
  FunctionLogs& operator=(const FunctionLogs&) = delete;

  /// Adds one line; a trailing newline is taken off, embedded ones make several lines.
  void Append(const FunctionName& function, LogSource source, std::string_view line);

  /// The last `count` lines, oldest first; empty for a function that wrote nothing.
  [[nodiscard]] std::vector<LogLine> Tail(const FunctionName& function, size_t count) const;

  /// Calls back for each line of `function` from now on, until the subscription is destroyed,
  /// which may happen within the callback and after this object. The callback itself calls neither
  /// Append nor Remove.
  class Subscription {
   public:
    Subscription() = default;
    Subscription(Subscription&& other) noexcept = default;
    Subscription& operator=(Subscription&& other) noexcept = default;
    ~Subscription() = default;

   private:
    friend class FunctionLogs;
    struct Entry;
    explicit Subscription(std::shared_ptr<Entry> entry) : entry_(std::move(entry)) {}
    std::shared_ptr<Entry> entry_;  // Shared by: the subscriber; the log holds it weakly.
  };
  [[nodiscard]] Subscription Subscribe(const FunctionName& function, Callback callback);

  /// Forgets the function's lines; its subscribers stay, for a function of the same name to come.
  void Remove(const FunctionName& function);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// `text` as valid UTF-8: bad bytes become U+FFFD, control characters but tab \xNN; cut after
/// `max_bytes` of the result, at a character's border.
std::string PrintableLine(std::string_view text, size_t max_bytes);

}  // namespace hybridserve
