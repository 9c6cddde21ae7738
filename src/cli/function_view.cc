#include "cli/function_view.h"

#include <cstdio>

#include "cli/format.h"

namespace hybridserve::cli {
namespace {

std::string Plural(int64_t count, const std::string& word) {
  return std::to_string(count) + " " + word + (count == 1 ? "" : "s");
}

}  // namespace

std::string BuildsOf(const Json& function) {
  std::string text;
  if (!function.contains("builds")) return text;
  for (const Json& build : function["builds"]) {
    text += (text.empty() ? "" : ", ") + TextAt(build, "");
  }
  return text;
}

std::string StateOf(const Json& function) {
  if (TextAt(function, "/state") == "failed") return "failed";
  const int64_t ready = NumberAt(function, "/status/containers/ready");
  const int64_t starting = NumberAt(function, "/status/containers/starting");
  const int64_t frozen = NumberAt(function, "/status/containers/frozen");
  const int64_t busy = NumberAt(function, "/status/containers/busy_slots");
  const int64_t slots = busy + NumberAt(function, "/status/containers/free_slots");
  const int64_t running = NumberAt(function, "/status/wasm_running");
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (ready > 0) {
    add(Plural(ready, "container") + (frozen > 0 ? " (" + std::to_string(frozen) + " frozen)" : ""));
    add(std::to_string(busy) + " of " + Plural(slots, "slot") + " busy");
  }
  if (starting > 0) add(Plural(starting, "container") + " starting");
  if (running > 0) {
    add(std::to_string(running) + " running in wasm");
  } else if (FlagAt(function, "/status/wasm_loaded")) {
    add("wasm code loaded");
  }
  return text.empty() ? "idle" : text;
}

std::string AgeAt(const Json& document, const std::string& path,
                  std::chrono::system_clock::time_point now) {
  const auto then = ParseTime(TextAt(document, path));
  return then ? HumanAge(*then, now) : "";
}

std::optional<std::chrono::system_clock::time_point> ParseTime(std::string_view text) {
  const std::string copy(text);
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int used = 0;
  const int fields = std::sscanf(copy.c_str(), "%4d-%2u-%2uT%2d:%2d:%2d%n", &year, &month, &day,
                                 &hour, &minute, &second, &used);
  const bool utc = copy.ends_with('Z');
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (fields != 6 || used != 19 || !utc || !date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second);
}

}  // namespace hybridserve::cli
