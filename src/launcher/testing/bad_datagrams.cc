#include "launcher/testing/bad_datagrams.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ipc/seqpacket.h"
#include "launcher/protocol.h"
#include "launcher/requests.h"

namespace hybridserve::launcher {
namespace {

constexpr size_t kMaxSentFds = 32;  // Twice what a receiver takes.
constexpr size_t kMaxRandomBytes = 200;
constexpr size_t kHugeBytes = ipc::kMaxDatagramBytes + 1;

template <typename T>
std::string Request(Verb verb, const T& body) {
  ipc::Writer out;
  PutHeader(out, verb, 1);
  Put(out, body);
  return out.Take();
}
std::string Raw(Verb verb, std::string_view body = {}) {
  ipc::Writer out;
  PutHeader(out, verb, 1);
  return out.Take() + std::string(body);
}

// Each verb's request as a server would send it.
std::vector<std::string> GoodRequests() {
  const std::string digest(64, 'a');
  ipc::Writer id;
  id.Put<uint64_t>(1);
  ipc::Writer image;
  image.PutString(digest);
  JobSpec job;
  job.program = "hybridserve-executor-wasmtime";
  job.arguments = {"compile"};
  SandboxSpec sandbox;
  sandbox.name = "name";
  sandbox.label = "name@1";
  sandbox.image = Digest{digest};
  sandbox.argv = {"/program", "argument"};
  sandbox.environment = {{"PORT", "8080"}};
  ipc::Writer start;
  start.Put<uint64_t>(1);
  Put(start, sandbox);
  return {Raw(Verb::kHello),
          Request(Verb::kStartExecutor, ExecutorSpec{.domain = "default"}),
          Raw(Verb::kKillExecutor, id.bytes()),
          Request(Verb::kRunJob, job),
          Raw(Verb::kUnpackImage, image.bytes()),
          Raw(Verb::kRemoveImage, image.bytes()),
          Raw(Verb::kCreateSandbox),
          Raw(Verb::kStartSandbox, start.bytes()),
          Request(Verb::kMakeSockets, MakeSocketsRequest{ContainerId{1}, 2}),
          Request(Verb::kMakeListener, MakeListenerRequest{ContainerId{1}, 3128}),
          Raw(Verb::kStats, id.bytes()),
          Raw(Verb::kDestroySandbox, id.bytes()),
          Raw(Verb::kList, id.bytes()),
          Request(Verb::kOpenFolder, OpenFolderRequest{ExecutorId{1}, "/etc", true})};
}

bool StartsAProcess(const RequestBody& request) {
  return std::holds_alternative<ExecutorSpec>(request) ||
         std::holds_alternative<JobSpec>(request) ||
         std::holds_alternative<UnpackImageRequest>(request) ||
         std::holds_alternative<CreateSandboxRequest>(request);
}

std::vector<UniqueFd> Descriptors() {
  std::vector<UniqueFd> fds;
  fds.emplace_back(::open("/dev/null", O_RDWR | O_CLOEXEC));
  fds.emplace_back(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  fds.emplace_back(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  fds.emplace_back(::memfd_create("file", MFD_CLOEXEC));
  int pipe[2] = {-1, -1};
  (void)!::pipe2(pipe, O_CLOEXEC);
  fds.emplace_back(pipe[0]);
  fds.emplace_back(pipe[1]);
  fds.emplace_back(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  return fds;
}

}  // namespace

BadDatagrams::BadDatagrams(uint64_t seed)
    : random_(seed), good_(GoodRequests()), owned_(Descriptors()) {
  for (size_t i = 0; i < kMaxSentFds; ++i) fds_.push_back(owned_[i % owned_.size()].get());
}

void BadDatagrams::MakeRandom() {
  bytes_.resize(1 + Below(kMaxRandomBytes));
  for (char& c : bytes_) c = static_cast<char>(random_());
}

// Past the header, so that the bodies' decoders see random bytes; some verbs do not exist.
void BadDatagrams::MakeBody() {
  MakeRandom();
  ipc::Writer header;
  PutHeader(header, static_cast<Verb>(1 + Below(16)), random_());
  bytes_.replace(0, std::min(bytes_.size(), header.bytes().size()), header.bytes());
}

void BadDatagrams::Mutate() {
  bytes_ = good_[Below(static_cast<uint32_t>(good_.size()))];
  const uint32_t changes = 1 + Below(3);
  for (uint32_t i = 0; i < changes; ++i) {
    const size_t at = Below(static_cast<uint32_t>(bytes_.size()));
    switch (Below(5)) {
      case 0:
        bytes_[at] = static_cast<char>(random_());
        break;
      case 1:
        bytes_[at] = static_cast<char>(bytes_[at] ^ (1 << Below(8)));
        break;
      case 2:
        bytes_.resize(1 + at);
        break;
      case 3:
        bytes_.insert(at, 1 + Below(8), static_cast<char>(random_()));
        break;
      default:  // Likely a length or a count.
        std::memset(bytes_.data() + at, Below(2) == 0 ? 0xff : 0,
                    std::min<size_t>(4, bytes_.size() - at));
        break;
    }
  }
}

void BadDatagrams::MakeHarmless() {
  ipc::Reader reader(bytes_);
  const auto header = GetHeader(reader);
  if (!header) return;
  if (header->id == kNoId) bytes_[4] = static_cast<char>(bytes_[4] ^ 1);
  const auto request = DecodeRequest(header->verb, reader, fd_count_);
  if (request && StartsAProcess(*request)) bytes_.push_back('\0');
}

void BadDatagrams::Next() {
  const uint32_t kind = Below(8);
  if (kind < 2) {
    MakeRandom();
  } else if (kind < 5) {
    MakeBody();
  } else {
    Mutate();
  }
  if (Below(1 << 16) == 0) bytes_.resize(kHugeBytes, 'x');
  const uint32_t with_fds = Below(16 * 16);
  fd_count_ = with_fds >= 16 ? 0 : with_fds == 0 ? 1 + Below(kMaxSentFds) : 1 + Below(3);
  MakeHarmless();
}

Result<> BadDatagrams::Send(int socket) const {
  iovec vector{const_cast<char*>(bytes_.data()), bytes_.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxSentFds)]{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (fd_count_ > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count_);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count_);
    std::memcpy(CMSG_DATA(header), fds_.data(), sizeof(int) * fd_count_);
  }
  if (::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return {};
  // ETOOMANYREFS: more descriptors are on their way than this user may have open.
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS) {
    return Fail(Code::kUnavailable, "the launcher's socket is full");
  }
  return FailErrno("send a datagram to the launcher");
}

}  // namespace hybridserve::launcher
