#include "sandbox/testing/container_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <sstream>

namespace hybridserve::sandbox {
namespace fs = std::filesystem;

std::map<std::string, std::string> Ended::Facts() const {
  std::map<std::string, std::string> facts;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const size_t equals = line.find('=');
    if (equals != std::string::npos) facts[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return facts;
}

Result<std::unique_ptr<ContainerRig>> ContainerRig::Make() {
  if (::geteuid() != 0) return Fail(Code::kUnsupported, "containers need root");
  std::unique_ptr<ContainerRig> rig(new ContainerRig());
  rig->root_ = rig->folder_.path() / "rootfs";
  fs::create_directories(rig->root_ / "etc");
  fs::create_directories(rig->root_ / "work");
  fs::copy_file(PROBE_PROGRAM, rig->root_ / "probe");
  fs::create_directory_symlink("/etc", rig->root_ / "tmp");
  TRY(WriteFileAtomically(rig->root_ / "etc" / "own", "x"));
  for (const auto& entry : fs::recursive_directory_iterator(rig->root_)) {
    if (::lchown(entry.path().c_str(), kOwnerBase, kOwnerBase) != 0) return FailErrno("chown");
  }
  if (::lchown(rig->root_.c_str(), kOwnerBase, kOwnerBase) != 0) return FailErrno("chown");
  if (::lchown((rig->root_ / "work").c_str(), kOwnerBase + 5, kOwnerBase + 5) != 0) {
    return FailErrno("chown");
  }
  TRY_ASSIGN(rig->image_, OpenFile(rig->root_, O_PATH | O_DIRECTORY));
  TRY_ASSIGN(rig->cgroups_, OpenCgroupTree("hybridserve-test-" + std::to_string(::getpid())));
  TRY_ASSIGN(rig->filter_, CompileFilter(Filter::kContainer));
  return rig;
}

ContainerRig::~ContainerRig() = default;

Result<std::unique_ptr<Container>> ContainerRig::Create() {
  TRY_ASSIGN(auto cgroup, cgroups_->Create("c" + std::to_string(next_++)));
  TRY_ASSIGN(IdRange range, ranges_.Take());
  return Container::Create(std::move(cgroup), range, filter_);
}

bool ContainerRig::Await(Container& container, Container::State wanted) {
  while (container.state() != wanted && container.state() != Container::State::kFailed) {
    pollfd control{container.control_fd(), POLLIN, 0};
    if (::poll(&control, 1, 10000) != 1) return false;
    container.OnControl();
  }
  return container.state() == wanted;
}

Result<UniqueFd> ContainerRig::Start(Container& container, const ContainerProgram& program,
                                     const CgroupLimits& limits) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return FailErrno("make a pipe");
  UniqueFd read_end(fds[0]);
  const UniqueFd write_end(fds[1]);
  TRY(container.Start(program, limits, image_.get(), write_end.get()));
  return read_end;
}

int ContainerRig::Destroy(std::unique_ptr<Container> container) {
  container->Kill();
  const int status = container->Reap();
  ranges_.Give(container->TakeRange());
  return status;
}

Ended ContainerRig::Run(const ContainerProgram& program, const CgroupLimits& limits) {
  Ended ended;
  auto container = Create();
  if (!container) {
    ended.error = container.error();
    return ended;
  }
  const bool held = Await(**container, Container::State::kHeld);
  auto log = held ? Start(**container, program, limits) : Fail(Code::kInternal, "not held");
  if (log && Await(**container, Container::State::kRunning)) {
    char buffer[16 * 1024];
    ssize_t got = 0;
    while ((got = ::read(log->get(), buffer, sizeof(buffer))) > 0) {
      ended.output.append(buffer, static_cast<size_t>(got));
    }
    ended.status = (*container)->Reap();
  } else {
    ended.error = log ? (*container)->error() : log.error();
  }
  ended.out_of_memory = (*container)->cgroup().OomKills() > 0;
  const int killed = Destroy(std::move(*container));
  if (ended.status < 0) ended.status = killed;
  return ended;
}

ContainerProgram ContainerRig::Program(std::vector<std::string> argv) {
  ContainerProgram program;
  program.host_name = "hello";
  program.argv = std::move(argv);
  program.disk_bytes = 8u << 20;
  return program;
}

}  // namespace hybridserve::sandbox
