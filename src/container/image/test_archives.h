// Archives for tests: layers made entry by entry, good ones and hostile ones.
//
// Thread rule: one thread.
#pragma once

#include <fcntl.h>

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "container/image/libarchive.h"
#include "container/image/packer.h"

namespace hybridserve {

/// A tar in memory, whatever its entries say.
class TestTar {
 public:
  TestTar& File(const std::string& path, std::string_view content, int mode = 0644, int uid = 0,
                int gid = 0) {
    entries_.push_back({path, AE_IFREG, std::string(content), "", mode, uid, gid});
    return *this;
  }
  TestTar& Folder(const std::string& path, int mode = 0755, int uid = 0) {
    entries_.push_back({path, AE_IFDIR, "", "", mode, uid, 0});
    return *this;
  }
  TestTar& Symlink(const std::string& path, const std::string& target) {
    entries_.push_back({path, AE_IFLNK, "", target, 0777, 0, 0});
    return *this;
  }
  TestTar& HardLink(const std::string& path, const std::string& target) {
    entries_.push_back({path, 0, "", target, 0644, 0, 0});
    return *this;
  }
  TestTar& Special(const std::string& path, int type) {
    entries_.push_back({path, type, "", "", 0666, 0, 0});
    return *this;
  }

  /// `filter` is an ARCHIVE_FILTER_ code: none, gzip or zstd.
  [[nodiscard]] std::string Bytes(int filter = ARCHIVE_FILTER_NONE) const {
    size_t room = 1 << 16;
    for (const Entry& entry : entries_) room += entry.content.size() + 8192;
    std::string bytes(room, '\0');
    size_t used = 0;
    ArchiveWriter writer(archive_write_new());
    archive_write_set_format_pax_restricted(writer.get());
    archive_write_add_filter(writer.get(), filter);
    archive_write_open_memory(writer.get(), bytes.data(), bytes.size(), &used);
    for (const Entry& entry : entries_) Write(writer.get(), entry);
    if (archive_write_close(writer.get()) != ARCHIVE_OK) throw std::runtime_error("test tar");
    bytes.resize(used);
    return bytes;
  }

 private:
  struct Entry {
    std::string path;
    int type;
    std::string content;
    std::string target;
    int mode, uid, gid;
  };

  static void Write(archive* writer, const Entry& entry) {
    ArchiveEntry header(archive_entry_new());
    archive_entry_set_pathname(header.get(), entry.path.c_str());
    if (entry.type == 0) {
      archive_entry_set_filetype(header.get(), AE_IFREG);
      archive_entry_set_hardlink(header.get(), entry.target.c_str());
    } else {
      archive_entry_set_filetype(header.get(), static_cast<unsigned>(entry.type));
    }
    if (entry.type == AE_IFLNK) archive_entry_set_symlink(header.get(), entry.target.c_str());
    archive_entry_set_perm(header.get(), static_cast<mode_t>(entry.mode));
    archive_entry_set_uid(header.get(), entry.uid);
    archive_entry_set_gid(header.get(), entry.gid);
    archive_entry_set_size(header.get(), static_cast<la_int64_t>(entry.content.size()));
    if (entry.type == AE_IFCHR || entry.type == AE_IFBLK) {
      archive_entry_set_rdevmajor(header.get(), 1);
      archive_entry_set_rdevminor(header.get(), 3);
    }
    if (archive_write_header(writer, header.get()) != ARCHIVE_OK) {
      throw std::runtime_error(archive_error_string(writer));
    }
    archive_write_data(writer, entry.content.data(), entry.content.size());
  }

  std::vector<Entry> entries_;
};

/// An image archive whose layers are these bytes, in `folder`.
inline std::filesystem::path TestImage(const std::filesystem::path& folder,
                                       const std::vector<std::string>& layers,
                                       ImagePlan plan = {}) {
  for (const std::string& layer : layers) {
    const auto path = folder / ("layer" + std::to_string(plan.base_layers.size()) + ".tar");
    if (!WriteFileAtomically(path, layer)) throw std::runtime_error("test layer");
    plan.base_layers.push_back(path);
  }
  auto packed = PackImage(plan, folder / "image.tar");
  if (!packed) throw std::runtime_error(packed.error().message);
  return folder / "image.tar";
}

/// What `docker save` wrote before version 25: HEX.json, N/layer.tar, manifest.json.
inline std::string TestDockerSave(const std::vector<std::string>& layers,
                                  const std::string& settings = R"({"Cmd":["/run"]})") {
  TestTar archive;
  std::string diff_ids, names;
  for (size_t i = 0; i < layers.size(); ++i) {
    const std::string name = std::to_string(i) + "/layer.tar";
    archive.File(name, layers[i]);
    names += (i > 0 ? ",\"" : "\"") + name + "\"";
    diff_ids += (i > 0 ? ",\"sha256:" : "\"sha256:") + Sha256(layers[i]).value + "\"";
  }
  const std::string config = R"({"architecture":"amd64","os":"linux","config":)" + settings +
                             R"(,"rootfs":{"type":"layers","diff_ids":[)" + diff_ids + "]}}";
  const std::string config_name = Sha256(config).value + ".json";
  archive.File(config_name, config);
  archive.File("manifest.json", R"([{"Config":")" + config_name +
                                    R"(","RepoTags":["test:latest"],"Layers":[)" + names + "]}]");
  return archive.Bytes();
}

}  // namespace hybridserve
