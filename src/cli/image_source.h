// ImageSource: gets an image that a manifest names by reference, docker://NAME[:TAG|@DIGEST], onto
// this machine: from the Docker Engine that runs here, if the image is there, else from its
// registry, with skopeo. The node itself talks to neither.
//
// Thread rule: one thread; a thread of its own waits for skopeo.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/progress.h"

namespace hybridserve::cli {

/// "docker://nginx:1.27" or "docker://127.0.0.1:5000/hello@sha256:...": what follows the scheme, or
/// empty when `image` is a path.
std::string ReferenceOf(std::string_view image);

/// Writes the image into `archive`, a tar that a node takes. Images that come twice from the same
/// place are the same bytes.
///
/// Errors: kNotFound neither has it; kUnavailable no registry answers; kUnsupported skopeo is
/// needed and not installed.
Result<> FetchImage(const std::string& reference, const std::filesystem::path& archive,
                    Progress& progress);

}  // namespace hybridserve::cli
