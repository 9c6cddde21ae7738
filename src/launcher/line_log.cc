#include "launcher/line_log.h"

#include <unistd.h>

#include <array>

#include "base/log.h"

namespace hybridserve::launcher {
namespace {

constexpr size_t kMaxLineBytes = 1024;
constexpr uint32_t kMaxLinesPerSecond = 100;

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

}  // namespace

std::string Cleaned(std::string_view text, size_t max_bytes) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  std::string cleaned(text.substr(0, max_bytes));
  for (char& c : cleaned) {
    if (c == '\n') {
      c = ' ';
    } else if (IsControl(c)) {
      c = '?';
    }
  }
  return cleaned;
}

LineLog::LineLog(EventLoop& loop, UniqueFd pipe, std::string name)
    : loop_(loop),
      pipe_(std::move(pipe)),
      name_(std::move(name)),
      budget_(kMaxLinesPerSecond) {
  (void)loop_.Watch(pipe_.get(), EventLoop::Interest::kRead, [this] { Read(); });
}

LineLog::~LineLog() { loop_.Forget(pipe_.get()); }

void LineLog::Flush() {
  Read();
  EndLine();
}

void LineLog::Read() {
  std::array<char, 4096> buffer{};
  const ssize_t got = pipe_ ? ::read(pipe_.get(), buffer.data(), buffer.size()) : -1;
  if (got == 0) {
    loop_.Forget(pipe_.get());
    pipe_.Reset();
  }
  for (ssize_t i = 0; i < got; ++i) Add(buffer[static_cast<size_t>(i)]);
}

void LineLog::Add(char c) {
  if (c == '\n') return EndLine();
  if (line_.size() < kMaxLineBytes) line_.push_back(c);
}

void LineLog::EndLine() {
  const std::string line = Cleaned(line_, kMaxLineBytes);
  line_.clear();
  if (line.empty()) return;
  const LineBudget::Verdict verdict = budget_.Next(EventLoop::Clock::now());
  if (verdict == LineBudget::Verdict::kWrite) spdlog::info("{}: {}", name_, line);
  if (verdict == LineBudget::Verdict::kSayLeftOut) {
    spdlog::warn("{}: too many lines; some are left out", name_);
  }
}

}  // namespace hybridserve::launcher
