#include "container/image/packer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "container/image/architecture.h"
#include "container/image/layer_stream.h"
#include "container/image/tar_writer.h"

namespace hybridserve {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kBlobFolder[] = "blobs/sha256/";
constexpr char kLayoutFile[] = R"({"imageLayoutVersion":"1.0.0"})";

/// A file that takes its final name when it is whole, and vanishes otherwise.
class PendingFile {
 public:
  static Result<PendingFile> Create(const std::filesystem::path& path) {
    std::filesystem::path pending = path;
    pending += ".part" + std::to_string(getpid());
    TRY_ASSIGN(UniqueFd fd, OpenFile(pending, O_RDWR | O_CREAT | O_TRUNC, 0644));
    return PendingFile(std::move(fd), path, std::move(pending));
  }
  PendingFile(PendingFile&& other) noexcept
      : fd_(std::move(other.fd_)),
        path_(std::move(other.path_)),
        pending_(std::exchange(other.pending_, {})) {}
  PendingFile& operator=(PendingFile&&) = delete;
  ~PendingFile() {
    if (!pending_.empty()) unlink(pending_.c_str());
  }

  [[nodiscard]] int fd() const { return fd_.get(); }
  Result<> Commit() {
    if (fsync(fd_.get()) != 0) return FailErrno("write " + path_.string());
    if (rename(pending_.c_str(), path_.c_str()) != 0) return FailErrno("write " + path_.string());
    pending_.clear();
    return {};
  }

 private:
  PendingFile(UniqueFd fd, std::filesystem::path path, std::filesystem::path pending)
      : fd_(std::move(fd)), path_(std::move(path)), pending_(std::move(pending)) {}

  UniqueFd fd_;
  std::filesystem::path path_;
  std::filesystem::path pending_;
};

/// A blob of the layout: in memory, or in an open file.
struct Blob {
  std::string media_type;
  std::string bytes;
  UniqueFd file;
  uint64_t size = 0;
  Digest digest;
  Digest diff_id;  // Layers only: of the tar, uncompressed.
};

Result<std::pair<UniqueFd, uint64_t>> OpenRegular(const std::filesystem::path& path) {
  TRY_ASSIGN(UniqueFd fd, OpenFile(path, O_RDONLY | O_NONBLOCK));
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return FailErrno("stat " + path.string());
  if (!S_ISREG(status.st_mode)) {
    return Fail(Code::kInvalidArgument, path.string() + " is not a regular file");
  }
  return std::pair(std::move(fd), static_cast<uint64_t>(status.st_size));
}

/// "/a/b" or "a/b" as the tar names it: "a/b".
Result<std::string> EntryName(const std::string& path) {
  std::string name;
  for (const auto& part : std::filesystem::path(path)) {
    if (part == ".." || part.string().find('\0') != std::string::npos) {
      return Fail(Code::kInvalidArgument, "the path '" + path + "' leaves the image");
    }
    if (part == "/" || part == "." || part.empty()) continue;
    name += (name.empty() ? "" : "/") + part.string();
  }
  if (name.empty()) return Fail(Code::kInvalidArgument, "'" + path + "' names no file");
  return name;
}

Result<> WriteLayer(const std::vector<ImageFile>& files, int fd) {
  std::map<std::string, const ImageFile*> sorted;
  std::set<std::string> folders;
  for (const ImageFile& file : files) {
    TRY_ASSIGN(std::string name, EntryName(file.path));
    for (size_t slash = name.find('/'); slash != std::string::npos;
         slash = name.find('/', slash + 1)) {
      folders.insert(name.substr(0, slash));
    }
    if (!sorted.emplace(name, &file).second) {
      return Fail(Code::kInvalidArgument, "the image would hold '/" + name + "' twice");
    }
  }
  TRY_ASSIGN(TarWriter tar, TarWriter::Open(fd));
  for (const std::string& folder : folders) {
    if (sorted.contains(folder)) {
      return Fail(Code::kInvalidArgument, "'/" + folder + "' is both a file and a folder");
    }
    TRY(tar.AddFolder(folder, 0755));
  }
  for (const auto& [name, file] : sorted) {
    if (file->source.empty()) {
      TRY(tar.AddFile(name, file->mode, file->content));
      continue;
    }
    TRY_ASSIGN(auto source, OpenRegular(file->source));
    TRY(tar.AddFileFrom(name, file->mode, source.first.get(), source.second));
  }
  return tar.Finish();
}

/// The layer that holds `files`, in an unnamed file beside `out`.
Result<Blob> FilesLayer(const std::vector<ImageFile>& files, const std::filesystem::path& out) {
  const std::filesystem::path folder = out.has_parent_path() ? out.parent_path() : ".";
  TRY_ASSIGN(UniqueFd fd, OpenFile(folder, O_TMPFILE | O_RDWR, 0600));
  TRY(WriteLayer(files, fd.get()));
  Blob blob;
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return FailErrno("stat the layer");
  TRY_ASSIGN(blob.digest, Sha256OfFile(fd.get()));
  blob.media_type = "application/vnd.oci.image.layer.v1.tar";
  blob.diff_id = blob.digest;
  blob.size = static_cast<uint64_t>(status.st_size);
  blob.file = std::move(fd);
  return blob;
}

Result<Blob> BaseLayer(const std::filesystem::path& path) {
  TRY_ASSIGN(auto source, OpenRegular(path));
  Blob blob;
  TRY_ASSIGN(blob.digest, Sha256OfFile(source.first.get()));
  auto uncompressed = DigestOfLayer(source.first.get());
  if (!uncompressed) return Wrap(uncompressed.error(), "base layer " + path.string());
  blob.diff_id = uncompressed->diff_id;
  blob.media_type = "application/vnd.oci.image.layer.v1.tar" + uncompressed->media_type_suffix;
  blob.file = std::move(source.first);
  blob.size = source.second;
  return blob;
}

Blob JsonBlob(const Json& json, std::string media_type) {
  Blob blob;
  blob.bytes = json.dump();
  blob.media_type = std::move(media_type);
  blob.digest = Sha256(blob.bytes);
  blob.size = blob.bytes.size();
  return blob;
}

Json Descriptor(const Blob& blob) {
  return {{"mediaType", blob.media_type},
          {"digest", "sha256:" + blob.digest.value},
          {"size", blob.size}};
}

Json ConfigJson(const ImagePlan& plan, const std::vector<Blob>& layers) {
  Json environment = Json::array();
  for (const auto& [name, value] : plan.environment) environment.push_back(name + "=" + value);
  Json config = {{"Env", environment}, {"WorkingDir", plan.working_folder}};
  if (!plan.entrypoint.empty()) config["Entrypoint"] = plan.entrypoint;
  if (!plan.command.empty()) config["Cmd"] = plan.command;
  if (!plan.user.empty()) config["User"] = plan.user;
  for (const uint16_t port : std::set(plan.exposed_ports.begin(), plan.exposed_ports.end())) {
    config["ExposedPorts"][std::to_string(port) + "/tcp"] = Json::object();
  }
  Json diff_ids = Json::array();
  for (const Blob& layer : layers) diff_ids.push_back("sha256:" + layer.diff_id.value);
  return {{"created", "1970-01-01T00:00:00Z"},
          {"architecture", kArchitecture},
          {"os", "linux"},
          {"config", config},
          {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids}}}};
}

/// Writes the layout's entries in order of their names and puts the archive in place.
Result<Digest> WriteArchive(const std::map<std::string, Blob>& entries,
                            const std::filesystem::path& out) {
  TRY_ASSIGN(PendingFile file, PendingFile::Create(out));
  TRY_ASSIGN(TarWriter tar, TarWriter::Open(file.fd()));
  TRY(tar.AddFolder("blobs", 0755));
  TRY(tar.AddFolder("blobs/sha256", 0755));
  for (const auto& [name, blob] : entries) {
    if (blob.file) {
      TRY(tar.AddFileFrom(name, 0644, blob.file.get(), blob.size));
    } else {
      TRY(tar.AddFile(name, 0644, blob.bytes));
    }
  }
  TRY(tar.Finish());
  TRY_ASSIGN(Digest digest, Sha256OfFile(file.fd()));
  TRY(file.Commit());
  return digest;
}

}  // namespace

Result<Digest> PackImage(const ImagePlan& plan, const std::filesystem::path& out) {
  const Utf8Names utf8_names;
  std::vector<Blob> layers;
  for (const auto& path : plan.base_layers) {
    TRY_ASSIGN(Blob layer, BaseLayer(path));
    layers.push_back(std::move(layer));
  }
  if (!plan.files.empty()) {
    TRY_ASSIGN(Blob layer, FilesLayer(plan.files, out));
    layers.push_back(std::move(layer));
  }
  Blob config = JsonBlob(ConfigJson(plan, layers), "application/vnd.oci.image.config.v1+json");

  Json manifest = {{"schemaVersion", 2},
                   {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                   {"config", Descriptor(config)},
                   {"layers", Json::array()}};
  for (const Blob& layer : layers) manifest["layers"].push_back(Descriptor(layer));
  Blob manifest_blob = JsonBlob(manifest, "application/vnd.oci.image.manifest.v1+json");

  Json manifest_entry = Descriptor(manifest_blob);
  manifest_entry["platform"] = {{"architecture", kArchitecture}, {"os", "linux"}};
  const Json index = {{"schemaVersion", 2},
                      {"mediaType", "application/vnd.oci.image.index.v1+json"},
                      {"manifests", Json::array({manifest_entry})}};

  std::map<std::string, Blob> entries;
  entries["index.json"] = JsonBlob(index, "");
  entries["oci-layout"].bytes = kLayoutFile;
  for (Blob& layer : layers) entries[kBlobFolder + layer.digest.value] = std::move(layer);
  entries[kBlobFolder + config.digest.value] = std::move(config);
  entries[kBlobFolder + manifest_blob.digest.value] = std::move(manifest_blob);
  return WriteArchive(entries, out);
}

Result<Digest> PackLayoutFolder(const std::filesystem::path& folder,
                                const std::filesystem::path& out) {
  std::vector<std::string> names;
  for (const char* name : {"index.json", "oci-layout"}) {
    if (!std::filesystem::is_regular_file(folder / name)) {
      return Fail(Code::kInvalidArgument,
                  folder.string() + " is not an OCI image layout: it has no " + name);
    }
    names.emplace_back(name);
  }
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder / kBlobFolder, error)) {
    const std::string name = entry.path().filename().string();
    if (IsDigest(name)) names.push_back(kBlobFolder + name);
  }
  if (error) {
    return Fail(Code::kInvalidArgument,
                folder.string() + " is not an OCI image layout: it has no blobs/sha256");
  }
  std::map<std::string, Blob> entries;
  for (const std::string& name : names) {
    TRY_ASSIGN(auto source, OpenRegular(folder / name));
    Blob& blob = entries[name];
    blob.file = std::move(source.first);
    blob.size = source.second;
  }
  return WriteArchive(entries, out);
}

}  // namespace hybridserve
