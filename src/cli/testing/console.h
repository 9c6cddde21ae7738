// Console: a Session whose output a test reads.
//
// Thread rule: one thread.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "cli/session.h"

namespace hybridserve::cli {

/// An output stream into memory.
class MemoryStream {
 public:
  MemoryStream() : file_(::open_memstream(&bytes_, &size_)) {}
  ~MemoryStream() {
    std::fclose(file_);
    std::free(bytes_);
  }
  MemoryStream(const MemoryStream&) = delete;
  MemoryStream& operator=(const MemoryStream&) = delete;

  [[nodiscard]] std::FILE* file() const { return file_; }
  [[nodiscard]] std::string Text() const {
    std::fflush(file_);
    return {bytes_, size_};
  }

 private:
  char* bytes_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_;
};

class Console {
 public:
  explicit Console(CommonOptions options = {}) {
    session_.options = std::move(options);
    session_.terminal.out = out_.file();
    session_.terminal.err = err_.file();
  }

  [[nodiscard]] Session& session() { return session_; }
  [[nodiscard]] std::string Out() const { return out_.Text(); }
  [[nodiscard]] std::string Err() const { return err_.Text(); }

 private:
  MemoryStream out_;
  MemoryStream err_;
  Session session_;
};

}  // namespace hybridserve::cli
