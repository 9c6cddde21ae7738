#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>

#include <cstdlib>
#include <memory>
#include <string>

namespace hybridserve {

void InitLog(std::string_view process, std::string_view level) {
  auto logger = std::make_shared<spdlog::logger>(std::string(process),
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v");
  const char* environment = std::getenv("HYBRIDSERVE_LOG");
  const std::string word(environment != nullptr ? environment : level);
  const auto parsed = spdlog::level::from_str(word);
  // from_str answers "off" for a word it does not know.
  logger->set_level(parsed == spdlog::level::off && word != "off" ? spdlog::level::info : parsed);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace hybridserve
