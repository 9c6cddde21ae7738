#include "launcher/images.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "launcher/image_store.h"
#include "launcher/line_log.h"
#include "launcher/protocol.h"
#include "sandbox/mounts.h"

namespace hybridserve::launcher {
namespace {

constexpr uint64_t kUnpackMemoryBytes = uint64_t{512} << 20;
constexpr std::chrono::minutes kUnpackTimeout{10};
constexpr size_t kMaxMessageBytes = 4096;

Result<> CheckArchive(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Fail(Code::kInvalidArgument, "the image archive is not a regular file");
  }
  if ((::fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY) {
    return Fail(Code::kInvalidArgument, "the image archive was not opened read-only");
  }
  if (::lseek(fd, 0, SEEK_SET) != 0) return FailErrno("rewind the image archive");
  return {};
}

Result<UniqueFd> OpenFolder(int tree) {
  UniqueFd folder(::openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return FailErrno("open the image's folder");
  return folder;
}

// The run configuration: the last line, one JSON object.
Result<std::string> ConfigOf(const JobResult& job) {
  if (job.timed_out) return Fail(Code::kTimeout, "unpacking the image took longer than 10 minutes");
  if (job.out_of_memory) {
    return Fail(Code::kTooLarge, "unpacking the image took more than 512 MiB of memory");
  }
  if (job.exit_status != 0) {
    std::string why = Cleaned(job.output, kMaxMessageBytes);
    if (why.empty()) why = "the unpacker ended with status " + std::to_string(job.exit_status);
    return Fail(job.exit_status == 1 ? Code::kInvalidArgument : Code::kInternal, std::move(why));
  }
  std::string_view output = job.output;
  while (output.ends_with('\n')) output.remove_suffix(1);
  const size_t line = output.rfind('\n');
  if (line != std::string_view::npos) output.remove_prefix(line + 1);
  if (!output.starts_with('{') || !output.ends_with('}')) {
    return Fail(Code::kInternal, "the unpacker printed no configuration");
  }
  return std::string(output);
}

std::string Encode(const UnpackedImage& image) {
  ipc::Writer out;
  Put(out, image);
  return out.Take();
}

Result<UnpackedImage> Decode(const std::string& bytes) {
  ipc::Reader in(bytes);
  UnpackedImage image = Get<UnpackedImage>(in);
  if (!in.Done()) return Fail(Code::kInternal, "a worker of the launcher answered nonsense");
  return image;
}

}  // namespace

Images::Images(std::filesystem::path folder, Host& host, Jobs& jobs, Workers& workers)
    : folder_(std::move(folder)), host_(host), jobs_(jobs), workers_(workers) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (entry.path().filename().string().starts_with('.')) DeleteSoon(entry.path());
  }
  // New hidden folders must not meet the leftovers' names.
  next_id_ = static_cast<uint64_t>(EventLoop::Clock::now().time_since_epoch().count());
}

void Images::Unpack(const Digest& image, UniqueFd archive, Done done) {
  if (!host_.abilities.containers) return done(Fail(Code::kUnsupported, host_.abilities.why_not));
  if (auto there = ReadImage(folder_, image)) return done(std::move(there));
  const auto [entry, first] = unpacking_.try_emplace(image);
  entry->second.push_back(std::move(done));
  if (!first) return;
  const std::filesystem::path folder = folder_ / (".unpack-" + std::to_string(next_id_++));
  auto prepared = [&]() -> Result<UniqueFd> {
    TRY(CheckArchive(archive.get()));
    TRY(PrepareImageFolder(folder));
    TRY_ASSIGN(const UniqueFd root, OpenFile(folder / "rootfs", O_PATH | O_DIRECTORY | O_NOFOLLOW));
    // A mount of its own: the jail cannot climb out of it.
    TRY_ASSIGN(const UniqueFd tree, sandbox::CloneTree(root.get(), -1, 0));
    return OpenFolder(tree.get());
  }();
  if (!prepared) return OnUnpacked(image, folder, tl::unexpected(prepared.error()));
  JobSpec spec;
  spec.program = "hybridserve-unpack";
  spec.memory_bytes = kUnpackMemoryBytes;
  spec.timeout = kUnpackTimeout;
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(archive));
  fds.push_back(std::move(*prepared));
  jobs_.Run(
      std::move(spec), JobKind::kUnpack, std::move(fds),
      [this, image, folder](Result<JobResult> job) { OnUnpacked(image, folder, std::move(job)); });
}

void Images::OnUnpacked(const Digest& image, const std::filesystem::path& folder,
                        Result<JobResult> job) {
  auto config = job ? ConfigOf(*job) : Result<std::string>(tl::unexpected(job.error()));
  if (!config) {
    DeleteSoon(folder);
    return Finish(image, tl::unexpected(config.error()));
  }
  workers_.Run(
      [store = folder_, image, folder, json = std::move(*config)]() -> Result<std::string> {
        TRY_ASSIGN(const UnpackedImage complete, CompleteImage(store, image, folder, json));
        return Encode(complete);
      },
      [this, image, folder](Result<std::string> completed) {
        if (completed) return Finish(image, Decode(*completed));
        DeleteSoon(folder);
        Finish(image, tl::unexpected(completed.error()));
      });
}

void Images::Finish(const Digest& image, Result<UnpackedImage> result) {
  const auto waiters = unpacking_.extract(image);
  for (const Done& done : waiters.mapped()) done(result);
}

Result<> Images::Remove(const Digest& image) {
  const std::filesystem::path trash = folder_ / (".trash-" + std::to_string(next_id_++));
  if (::rename((folder_ / image.value).c_str(), trash.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return FailErrno("remove the image " + image.value);
  }
  DeleteSoon(trash);
  return {};
}

void Images::DeleteSoon(const std::filesystem::path& folder) {
  workers_.Run(
      [folder]() -> Result<std::string> {
        std::error_code error;
        std::filesystem::remove_all(folder, error);
        if (error) return FailErrno("delete " + folder.string(), error.value());
        return std::string();
      },
      [](const Result<std::string>& deleted) {
        if (!deleted) spdlog::warn("{}", deleted.error().message);
      });
}

}  // namespace hybridserve::launcher
