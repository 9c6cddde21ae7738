#include "client/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "base/file.h"

namespace hybridserve::bench {
namespace {

Result<size_t> EvictFile(const std::filesystem::path& path) {
  TRY_ASSIGN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return FailErrno("stat " + path.string());
  const auto bytes = static_cast<size_t>(status.st_size);
  if (bytes == 0) return 0;
  if (::fdatasync(fd.get()) != 0) return FailErrno("sync " + path.string());
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);

  void* const map = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (map == MAP_FAILED) return FailErrno("map " + path.string());
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> resident((bytes + page - 1) / page);
  const bool counted = ::mincore(map, bytes, resident.data()) == 0;
  ::munmap(map, bytes);
  if (!counted) return FailErrno("count the pages of " + path.string());
  return static_cast<size_t>(std::count_if(resident.begin(), resident.end(),
                                           [](unsigned char flags) { return (flags & 1) != 0; }));
}

}  // namespace

Result<size_t> EvictFromPageCache(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return EvictFile(path);
  size_t stayed = 0;
  for (std::filesystem::recursive_directory_iterator it(path, error), end; it != end;
       it.increment(error)) {
    if (error) break;
    if (!it->is_regular_file(error)) continue;
    TRY_ASSIGN(const size_t pages, EvictFile(it->path()));
    stayed += pages;
  }
  if (error) return Fail(Code::kInternal, "list " + path.string() + ": " + error.message());
  return stayed;
}

}  // namespace hybridserve::bench
