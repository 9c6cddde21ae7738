// Images: unpacked root file systems in the launcher's store, and how they get there and go.
//
// An image is complete or absent: it is unpacked by a jail into a hidden folder, measured, synced
// and renamed into place together with its configuration. Its files belong to the owner range of
// users, which nothing runs as.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/jobs.h"
#include "launcher/messages.h"
#include "launcher/worker.h"

namespace hybridserve::launcher {

class Images {
 public:
  using Done = std::function<void(Result<UnpackedImage>)>;

  /// `folder` is the store. Removes what an interrupted unpack or removal left in it.
  Images(std::filesystem::path folder, Host& host, Jobs& jobs, Workers& workers);
  Images(const Images&) = delete;
  Images& operator=(const Images&) = delete;

  /// Answers at once when the image is there; two requests for one image share one unpack.
  /// Errors: kUnsupported no containers here; kInvalidArgument the archive, with the unpacker's
  /// sentence; kTooLarge it took too much memory; kTimeout; kUnavailable.
  void Unpack(const Digest& image, UniqueFd archive, Done done);
  /// Gone on return for whoever asks; its files are deleted in the background. The caller has made
  /// sure that nothing runs from it. An image that is not there is fine.
  Result<> Remove(const Digest& image);

 private:
  void OnUnpacked(const Digest& image, const std::filesystem::path& folder, Result<JobResult> job);
  void Finish(const Digest& image, Result<UnpackedImage> result);
  void DeleteSoon(const std::filesystem::path& folder);

  std::filesystem::path folder_;
  Host& host_;
  Jobs& jobs_;
  Workers& workers_;
  std::map<Digest, std::vector<Done>> unpacking_;
  uint64_t next_id_ = 1;
};

}  // namespace hybridserve::launcher
