// libarchive's handles with owners, and its errors as ours.
//
// Thread rule: one thread per handle.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace hybridserve {

struct ArchiveReadFree {
  void operator()(archive* handle) const { archive_read_free(handle); }
};
struct ArchiveWriteFree {
  void operator()(archive* handle) const { archive_write_free(handle); }
};
struct ArchiveEntryFree {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};
using ArchiveReader = std::unique_ptr<archive, ArchiveReadFree>;
using ArchiveWriter = std::unique_ptr<archive, ArchiveWriteFree>;
using ArchiveEntry = std::unique_ptr<archive_entry, ArchiveEntryFree>;

/// libarchive converts names through the thread's locale: while one of these lives, that is UTF-8
/// (built into the C library, no file is read), so names come and go unchanged.
class Utf8Names {
 public:
  Utf8Names() : utf8_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_ != nullptr) before_ = uselocale(utf8_);
  }
  ~Utf8Names() {
    if (utf8_ == nullptr) return;
    uselocale(before_);
    freelocale(utf8_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

/// libarchive's own sentence for its last failure on `handle`, after what was being done.
inline tl::unexpected<Error> FailArchive(archive* handle, std::string_view doing,
                                         Code code = Code::kInvalidArgument) {
  const char* why = archive_error_string(handle);
  return Fail(code, std::string(doing) + ": " + (why != nullptr ? why : "unreadable"));
}

}  // namespace hybridserve
