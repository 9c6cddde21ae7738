#include "base/log.h"

#include <spdlog/sinks/base_sink.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "base/line_budget.h"

namespace hybridserve {

namespace {

// Standard error, with a budget. Debugging, which an operator asks for, has none.
class BoundedSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (message.level < spdlog::level::info) return Write(message);
    switch (budget_.Next(std::chrono::steady_clock::now())) {
      case LineBudget::Verdict::kWrite:
        return Write(message);
      case LineBudget::Verdict::kSayLeftOut:
        return Write({message.time, message.source, message.logger_name, spdlog::level::warn,
                      "too many lines; some are left out"});
      case LineBudget::Verdict::kLeaveOut:
        return;
    }
  }
  void flush_() override {}  // Standard error keeps nothing back.

 private:
  void Write(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::fwrite(line.data(), 1, line.size(), stderr);
  }

  LineBudget budget_{kLogLinesPerSecond};
};

}  // namespace

void InitLog(std::string_view process, std::string_view level) {
  auto logger =
      std::make_shared<spdlog::logger>(std::string(process), std::make_shared<BoundedSink>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v");
  const char* environment = std::getenv("HYBRIDSERVE_LOG");
  const std::string word(environment != nullptr ? environment : level);
  const auto parsed = spdlog::level::from_str(word);
  // from_str answers "off" for a word it does not know.
  logger->set_level(parsed == spdlog::level::off && word != "off" ? spdlog::level::info : parsed);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace hybridserve
