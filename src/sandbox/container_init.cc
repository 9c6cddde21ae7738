// What happens inside, in order. Everything a guest could have prepared (links in the image, names
// of mount points) is met only through targets that this code makes itself: the overlay's upper
// folder gets real folders named proc, dev, tmp, run and sys, and an upper folder hides whatever
// else the image has under that name.
#include "sandbox/container_init.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "base/file.h"
#include "ipc/seqpacket.h"
#include "ipc/wire.h"
#include "sandbox/container_paths.h"
#include "sandbox/container_program.h"
#include "sandbox/mounts.h"
#include "sandbox/namespaces.h"
#include "sandbox/privileges.h"
#include "sandbox/process.h"

namespace hybridserve::sandbox {
namespace {

constexpr uint64_t kNoSuidNoDev = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr uint64_t kNoSuidNoDevNoExec = kNoSuidNoDev | MOUNT_ATTR_NOEXEC;
constexpr uint64_t kMinDiskBytes = 64 * 1024;
constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};

uint64_t InodesFor(uint64_t bytes) { return std::clamp<uint64_t>(bytes / 1024, 1024, 1u << 20); }

void Say(int control, ContainerEvent event) {
  ipc::Writer out;
  out.Put(event);
  (void)ipc::Send(control, out.bytes(), {}, ipc::Wait::kBlock);
}

int SayFailed(int control, const Error& error) {
  ipc::Writer out;
  out.Put(ContainerEvent::kFailed).Put(static_cast<uint8_t>(error.code)).PutString(error.message);
  (void)ipc::Send(control, out.bytes(), {}, ipc::Wait::kBlock);
  return 126;
}

Result<> WaitForGo(int control) {
  std::array<char, 16> buffer{};
  TRY_ASSIGN(const auto received, ipc::Receive(control, buffer, ipc::Wait::kBlock));
  if (received.size == 0) return Fail(Code::kCancelled, "the launcher gave up");
  return {};
}

Result<> PointStdioAtNull() {
  const UniqueFd null(::open("/dev/null", O_RDWR));
  if (!null) return FailErrno("open /dev/null");
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(null.get(), fd) < 0) return FailErrno("dup2");
  }
  return {};
}

// /proc of the new pid namespace. Sets what is only writable before the masks.
Result<> PrepareProc() {
  TRY(MakeFolderAt("proc", 0755));
  TRY(MountNew("proc", "proc", kNoSuidNoDevNoExec, ""));
  // Port 80 is as good as any inside: nothing else listens there.
  const auto port = OpenFile("proc/sys/net/ipv4/ip_unprivileged_port_start", O_WRONLY);
  if (port) (void)WriteAll(port->get(), "0");
  // When memory runs out on the machine, guests go before the rest.
  const auto score = OpenFile("proc/self/oom_score_adj", O_WRONLY);
  if (score) (void)WriteAll(score->get(), "500");
  return {};
}

Result<> MaskProc() {
  TRY(MakeFolderAt("nothing", 0555));
  for (const char* path : kMaskedPaths) {
    struct stat info {};
    if (::lstat(path, &info) != 0) continue;
    TRY(Bind(S_ISDIR(info.st_mode) ? "nothing" : "dev/null", path, MOUNT_ATTR_RDONLY));
  }
  for (const char* path : kReadOnlyPaths) {
    if (::access(path, F_OK) == 0) TRY(Bind(path, path, MOUNT_ATTR_RDONLY));
  }
  return {};
}

Result<> PrepareDev() {
  TRY(MakeFolderAt("dev", 0755));
  TRY(MountTmpfs("dev", 64 * 1024, 64, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  for (const std::string name : kDevices) {
    const std::string host = "/dev/" + name;
    const std::string inside = "dev/" + name;
    if (::access(host.c_str(), F_OK) != 0) continue;
    TRY(MakeEmptyFile(inside.c_str()));
    TRY(Bind(host.c_str(), inside.c_str(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  }
  constexpr const char* kLinks[][2] = {{"/proc/self/fd", "dev/fd"},
                                       {"/proc/self/fd/0", "dev/stdin"},
                                       {"/proc/self/fd/1", "dev/stdout"},
                                       {"/proc/self/fd/2", "dev/stderr"},
                                       {"pts/ptmx", "dev/ptmx"}};
  for (const auto& link : kLinks) {
    if (::symlink(link[0], link[1]) != 0) return FailErrno(std::string("make the link ") + link[1]);
  }
  TRY(MakeFolderAt("dev/pts", 0755));
  TRY(MountNew("devpts", "dev/pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
               "newinstance,ptmxmode=0666,mode=0620"));
  TRY(MakeFolderAt("dev/shm", 01777));
  TRY(MakeFolderAt("shm", 01777));
  TRY(Bind("shm", "dev/shm", kNoSuidNoDevNoExec));
  return AddMountFlags("dev", MOUNT_ATTR_RDONLY, Recursive::kNo);
}

// Everything that does not depend on the function.
Result<> Prepare(const InitContext& context) {
  std::vector<int> keep = context.join_fds;
  keep.push_back(context.control);
  CloseAllExcept(keep);
  TRY(PointStdioAtNull());
  TRY(WaitForGo(context.control));
  TRY(BecomeUser(0, 0, Groups::kClear));
  TRY(DieWithParent(context.control));
  if (::setsid() < 0) return FailErrno("setsid");
  TRY(EnterNamespaces(context.join_fds));
  CloseAllExcept({&context.control, 1});
  ::umask(022);
  // The staging folder: everything is put together here, then the root moves in.
  TRY_ASSIGN(const UniqueFd staging,
             MountTmpfs("/tmp", kMinDiskBytes, InodesFor(kMinDiskBytes), kNoSuidNoDev));
  if (::fchdir(staging.get()) != 0) return FailErrno("enter the staging folder");
  for (const char* folder : {"lower", "upper", "work", "root"}) TRY(MakeFolderAt(folder, 0755));
  TRY(MakeFolderAt("tmp", 01777));
  TRY(MakeFolderAt("run", 0755));
  TRY(PrepareProc());
  TRY(PrepareDev());
  return MaskProc();
}

// "localhost" and the host's own name. Skipped where the image's /etc is not a folder.
Result<> WriteHosts(const std::string& host_name) {
  struct stat etc {};
  if (::lstat("lower/etc", &etc) == 0) {
    if (!S_ISDIR(etc.st_mode)) return {};
    TRY(MakeFolderAt("upper/etc", etc.st_mode & 07777));
    if (::chown("upper/etc", etc.st_uid, etc.st_gid) != 0) return FailErrno("chown upper/etc");
  } else {
    TRY(MakeFolderAt("upper/etc", 0755));
  }
  TRY_ASSIGN(const UniqueFd hosts, OpenFile("upper/etc/hosts", O_WRONLY | O_CREAT | O_EXCL));
  return WriteAll(hosts.get(), "127.0.0.1\tlocalhost " + host_name + "\n::1\tlocalhost\n");
}

Result<> BuildRoot(const ContainerProgram& program, int image) {
  const uint64_t bytes = std::max(program.disk_bytes, kMinDiskBytes);
  TRY(ResizeTmpfs(".", bytes, InodesFor(bytes)));
  TRY(AttachTree(image, "lower"));
  for (const char* folder : {"proc", "dev", "run", "sys"}) {
    TRY(MakeFolderAt(("upper/" + std::string(folder)).c_str(), 0755));
  }
  TRY(MakeFolderAt("upper/tmp", 01777));
  TRY(WriteHosts(program.host_name));
  TRY(MountNew("overlay", "root", kNoSuidNoDev,
               "lowerdir=lower,upperdir=upper,workdir=work,userxattr"));
  TRY(MoveMount("proc", "root/proc"));
  TRY(MoveMount("dev", "root/dev"));
  if (::chown("run", program.uid, program.gid) != 0) return FailErrno("chown run");
  TRY(Bind("tmp", "root/tmp", kNoSuidNoDev));
  TRY(Bind("run", "root/run", kNoSuidNoDev));
  if (::chdir("root") != 0) return FailErrno("enter the new root");
  TRY(PivotToCurrentFolder());
  if (!program.writable_root) TRY(AddMountFlags("/", MOUNT_ATTR_RDONLY, Recursive::kNo));
  return {};
}

Result<> GiveUpPrivileges(const ContainerProgram& program, const InitContext& context) {
  if (::sethostname(program.host_name.data(), program.host_name.size()) != 0) {
    return FailErrno("set the host name '" + program.host_name + "'");
  }
  TRY(SetResourceLimits({.open_files = 65536}));
  TRY(KeepOnlyCapabilities(CapabilitySet({CAP_SETUID, CAP_SETGID})));
  TRY(BecomeUser(program.uid, program.gid, Groups::kClear));
  TRY(DropAllCapabilities());
  TRY(DieWithParent(context.control));
  if (::chdir(program.working_folder.c_str()) != 0) {
    return Fail(Code::kInvalidArgument,
                "the image has no working folder '" + program.working_folder + "'");
  }
  TRY(SetNoNewPrivileges());
  return InstallFilter(*context.filter);
}

// Where execve looks: argv[0] itself, or each folder of PATH.
std::vector<std::string> Candidates(const ContainerProgram& program) {
  const std::string& name = program.argv[0];
  if (name.find('/') != std::string::npos) return {name};
  const auto found = program.environment.find("PATH");
  std::string path = found != program.environment.end() ? found->second : kDefaultPath;
  std::vector<std::string> candidates;
  while (!path.empty()) {
    const size_t colon = std::min(path.find(':'), path.size());
    candidates.push_back(path.substr(0, colon) + "/" + name);
    path.erase(0, colon + 1);
  }
  return candidates;
}

Error ExecError(const std::string& name, int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      return {Code::kInvalidArgument, "the image has no program '" + name +
                                          "', or lacks the interpreter or dynamic loader it needs"};
    case EACCES:
      return {Code::kInvalidArgument, "'" + name + "' in the image is not executable for its user"};
    case ENOEXEC:
      return {Code::kInvalidArgument,
              "'" + name + "' in the image is not a program for this machine's processor"};
    default:
      return FailErrno("run '" + name + "'", error_number).value();
  }
}

Error Execute(const ContainerProgram& program) {
  std::vector<std::string> variables;
  for (const auto& [name, value] : program.environment) variables.push_back(name + "=" + value);
  if (!program.environment.contains("PATH"))
    variables.push_back(std::string("PATH=") + kDefaultPath);
  std::vector<char*> argv;
  for (const std::string& argument : program.argv)
    argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (const std::string& variable : variables) envp.push_back(const_cast<char*>(variable.c_str()));
  envp.push_back(nullptr);
  int failure = ENOENT;
  for (const std::string& path : Candidates(program)) {
    ::execve(path.c_str(), argv.data(), envp.data());
    if (errno != ENOENT && errno != ENOTDIR) failure = errno;
  }
  return ExecError(program.argv[0], failure);
}

struct Order {
  ContainerProgram program;
  UniqueFd image;
};

// Waits for the program; the log becomes stdout and stderr.
Result<Order> WaitForOrder(int control) {
  std::string buffer(ipc::kMaxDatagramBytes, '\0');
  TRY_ASSIGN(auto received, ipc::Receive(control, buffer, ipc::Wait::kBlock));
  if (received.size == 0) return Fail(Code::kCancelled, "the launcher gave up");
  if (received.fds.size() != 2) return Fail(Code::kInternal, "expected two descriptors");
  Order order;
  TRY_ASSIGN(order.program, DecodeProgram(std::string_view(buffer).substr(0, received.size)));
  if (order.program.argv.empty()) return Fail(Code::kInvalidArgument, "no program was named");
  order.image = std::move(received.fds[0]);
  for (const int fd : {1, 2}) {
    if (::dup2(received.fds[1].get(), fd) < 0) return FailErrno("dup2");
  }
  return order;
}

}  // namespace

int RunContainerInit(const InitContext& context) {
  const int control = context.control;
  if (const auto prepared = Prepare(context); !prepared)
    return SayFailed(control, prepared.error());
  Say(control, ContainerEvent::kHeld);
  auto order = WaitForOrder(control);
  if (!order) return SayFailed(control, order.error());
  if (const auto built = BuildRoot(order->program, order->image.get()); !built) {
    return SayFailed(control, built.error());
  }
  order->image.Reset();
  CloseAllExcept({&control, 1});
  if (const auto gave_up = GiveUpPrivileges(order->program, context); !gave_up) {
    return SayFailed(control, gave_up.error());
  }
  Say(control, ContainerEvent::kLaunching);
  return SayFailed(control, Execute(order->program));
}

}  // namespace hybridserve::sandbox
