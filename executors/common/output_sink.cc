#include "executors/common/output_sink.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/file.h"
#include "ipc/seqpacket.h"

namespace hybridserve {
namespace {

// Once in a file, writes are gathered into pieces of this size.
constexpr size_t kPieceBytes = 256 * 1024;

}  // namespace

void OutputSink::Reset(uint64_t limit_bytes) {
  limit_bytes_ = limit_bytes;
  spilled_bytes_ = 0;
  buffer_.clear();
  file_.Reset();
}

bool OutputSink::Write(std::string_view bytes) {
  if (bytes.size() > limit_bytes_ - size()) return false;
  if (!file_ && buffer_.size() + bytes.size() > ipc::kMaxInlineBytes) {
    file_.Reset(::memfd_create("response", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!file_) return false;
  }
  if (file_ && buffer_.size() + bytes.size() > kPieceBytes && !Spill()) return false;
  if (file_ && bytes.size() > kPieceBytes) {
    if (!WriteAll(file_.get(), bytes)) return false;
    spilled_bytes_ += bytes.size();
    return true;
  }
  buffer_.append(bytes);
  return true;
}

bool OutputSink::Spill() {
  if (!WriteAll(file_.get(), buffer_)) return false;
  spilled_bytes_ += buffer_.size();
  buffer_.clear();
  return true;
}

Result<UniqueFd> OutputSink::TakeFile() {
  TRY(WriteAll(file_.get(), buffer_));
  buffer_.clear();
  if (::fcntl(file_.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
      0) {
    return FailErrno("seal a response");
  }
  return std::move(file_);
}

}  // namespace hybridserve
