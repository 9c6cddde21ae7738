#include "cli/terminal.h"

#include <unistd.h>

#include <cstdlib>

namespace hybridserve::cli {
namespace {

bool IsSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

bool IsDumb() {
  const char* term = std::getenv("TERM");
  return term == nullptr || std::string_view(term) == "dumb";
}

std::string Wrapped(bool colour, std::string_view code, std::string_view text) {
  if (!colour) return std::string(text);
  return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

}  // namespace

Terminal Terminal::OfProcess() {
  Terminal terminal;
  terminal.decorate = ::isatty(STDOUT_FILENO) == 1;
  terminal.colour = terminal.decorate && !IsSet("NO_COLOR") && !IsDumb();
  terminal.animate = ::isatty(STDERR_FILENO) == 1 && !IsDumb();
  return terminal;
}

std::string Terminal::Bold(std::string_view text) const { return Wrapped(colour, "1", text); }
std::string Terminal::Dim(std::string_view text) const { return Wrapped(colour, "2", text); }

void Terminal::Print(std::string_view text) const { std::fwrite(text.data(), 1, text.size(), out); }

void Terminal::Note(std::string_view text) const {
  std::fwrite(text.data(), 1, text.size(), err);
  std::fflush(err);
}

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\033') {
      while (i < text.size() && text[i] != 'm') ++i;
      continue;
    }
    // Continuation bytes of UTF-8 take no column of their own.
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) ++width;
  }
  return width;
}

std::string Printable(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string printable;
  printable.reserve(text.size());
  const auto escape = [&printable, kHex](unsigned char byte) {
    printable += "\\x";
    printable += kHex[byte >> 4];
    printable += kHex[byte & 15];
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are control characters too; in UTF-8 they start with C2.
    const bool c1 =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte == '\t' || (byte >= 0x20 && byte != 0x7f && !c1)) {
      printable += text[i];
      continue;
    }
    escape(byte);
    if (c1) escape(static_cast<unsigned char>(text[++i]));
  }
  return printable;
}

}  // namespace hybridserve::cli
