#include "cli/image_build.h"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/file.h"
#include "cli/shell.h"
#include "cli/toolchain.h"
#include "container/image/packer.h"

namespace hybridserve::cli {
namespace {

namespace fs = std::filesystem;

/// Nobody in particular: the convention of images without root.
constexpr const char* kUser = "65532:65532";
constexpr const char* kDebianSuite = "bookworm";
constexpr std::string_view kArchitecture =
#if defined(__x86_64__)
    "amd64";
#elif defined(__aarch64__)
    "arm64";
#endif

/// A file with the machine's own package sources, in either of apt's formats.
fs::path PackageSources() {
  std::error_code error;
  for (const char* file : {"/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"}) {
    if (fs::is_regular_file(file, error) && fs::file_size(file, error) > 0) return file;
  }
  return {};
}

/// The layer of the Debian base; made if the cache folder has none.
Result<fs::path> DebianBase(Progress& progress) {
  const fs::path folder = CacheFolder() / "base-images";
  const fs::path layer =
      folder / ("debian-" + std::string(kDebianSuite) + "-" + std::string(kArchitecture) + ".tar");
  std::error_code error;
  if (fs::is_regular_file(layer, error)) return layer;
  if (FindOnPath("mmdebstrap").empty()) {
    return Fail(Code::kUnsupported,
                "container.base = \"debian\" needs mmdebstrap, which is not installed; "
                "`apt-get install mmdebstrap`, or use base = \"scratch\" with a static program");
  }
  if (::geteuid() != 0) {
    return Fail(Code::kUnsupported,
                "the Debian base for container.base = \"debian\" has to be made once as root (" +
                    layer.string() + "); use base = \"scratch\" with a static program otherwise");
  }
  TRY(MakeFolder(folder));
  progress.Step("making the Debian base image (once)");
  const fs::path partial = layer.string() + ".partial." + std::to_string(::getpid()) + ".tar";
  ShellCommand command;
  command.text =
      "exec mmdebstrap --quiet --mode=root --variant=essential "
      "--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' "
      "--dpkgopt='path-exclude=/usr/share/locale/*' \"$SUITE\" \"$OUT\" $SOURCES </dev/null";
  command.variables = {{"SUITE", kDebianSuite}, {"OUT", partial}, {"SOURCES", PackageSources()}};
  const Result<ShellResult> made = RunShell(command);
  if (!made || made->status != 0) {
    fs::remove(partial, error);
    if (!made) return tl::unexpected(made.error());
    return Fail(Code::kUnsupported, "mmdebstrap could not make the Debian base:\n" + made->output);
  }
  fs::rename(partial, layer, error);
  if (error) return FailErrno("rename " + partial.string(), error.value());
  return layer;
}

/// The static init from beside this program.
Result<ImageFile> InitFile() {
  ImageFile init{"/hybridserve-init", 0755, "", ProgramFolder() / "hybridserve-init"};
  std::error_code error;
  if (fs::is_regular_file(init.source, error)) return init;
  return Fail(Code::kUnsupported, "container.stdio needs " + init.source.string() +
                                      ", which is not there; the programs of HybridServe must "
                                      "lie in one folder");
}

Result<> CheckProgram(const fs::path& program, std::string_view base,
                      const ContainerBuild& container) {
  std::error_code error;
  if (!fs::is_regular_file(program, error)) {
    return Fail(Code::kNotFound,
                "container.binary " + program.string() + " is not there" +
                    (container.build.empty() ? "; build it first" : " after container.build ran"));
  }
  if (base != "scratch") return {};
  TRY_ASSIGN(const bool needs_loader, NeedsLoader(program));
  if (!needs_loader) return {};
  return Fail(Code::kInvalidArgument,
              program.string() +
                  " is dynamically linked, and the image FROM scratch has no libraries; link it "
                  "with -static, or set container.base = \"debian\"");
}

}  // namespace

Result<bool> NeedsLoader(const fs::path& program) {
  TRY_ASSIGN(const UniqueFd file, OpenFile(program, O_RDONLY));
  Elf64_Ehdr head{};
  const bool whole = ::pread(file.get(), &head, sizeof head, 0) == sizeof head;
  if (!whole || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
      head.e_ident[EI_CLASS] != ELFCLASS64) {
    return Fail(Code::kInvalidArgument, program.string() + " is no 64-bit ELF program");
  }
  for (int i = 0; i < head.e_phnum; ++i) {
    Elf64_Phdr segment{};
    const auto offset =
        static_cast<off_t>(head.e_phoff + static_cast<uint64_t>(i) * head.e_phentsize);
    if (::pread(file.get(), &segment, sizeof segment, offset) != sizeof segment) break;
    if (segment.p_type == PT_INTERP) return true;
  }
  return false;
}

Result<> BuildImage(const FunctionFiles& files, std::string_view base, const fs::path& image,
                    Progress& progress) {
  const ContainerBuild& container = *files.manifest.container;
  const fs::path program = files.folder / container.binary;
  TRY(CheckProgram(program, base, container));
  ImagePlan plan;
  if (base == "debian") {
    TRY_ASSIGN(fs::path layer, DebianBase(progress));
    plan.base_layers.push_back(std::move(layer));
  }
  plan.files.push_back({"/function", 0755, "", program});
  plan.entrypoint = {"/function"};
  if (container.stdio) {
    TRY_ASSIGN(ImageFile init, InitFile());
    plan.files.push_back(std::move(init));
    plan.entrypoint = {"/hybridserve-init", "/function"};
  }
  plan.user = kUser;
  plan.exposed_ports = {8080};
  progress.Step("packing " + image.string());
  TRY(MakeFolder(image.parent_path()));
  TRY(PackImage(plan, image));
  return {};
}

}  // namespace hybridserve::cli
