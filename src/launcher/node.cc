#include "launcher/node.h"

#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "base/file.h"
#include "base/log.h"
#include "launcher/folders.h"

namespace hybridserve::launcher {
namespace {

template <typename T>
std::string Bytes(const T& value) {
  ipc::Writer out;
  Put(out, value);
  return out.Take();
}

std::string IdBytes(uint64_t id) {
  ipc::Writer out;
  out.Put(id);
  return out.Take();
}

/// A failure keeps its error; a success becomes an empty result.
Result<std::string> Empty(const Result<>& result) {
  if (!result) return tl::unexpected(result.error());
  return std::string();
}

template <typename T>
Result<std::string> Encoded(const Result<T>& result) {
  if (!result) return tl::unexpected(result.error());
  return Bytes(*result);
}

std::vector<UniqueFd> OneFd(UniqueFd fd) {
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(fd));
  return fds;
}

}  // namespace

Node::Node(EventLoop& loop, Options options, StateFolder state, Host host, User user,
           UniqueFd signals)
    : loop_(loop),
      options_(std::move(options)),
      state_(std::move(state)),
      host_(std::move(host)),
      signals_(std::move(signals)),
      link_(loop, [this](const Header& header, ipc::Reader& body,
                         std::vector<UniqueFd> fds) { OnRequest(header, body, std::move(fds)); }),
      workers_(loop),
      jobs_(loop, host_),
      executors_(loop, host_,
                 [this](ExecutorId id, int status) {
                   ipc::Writer out;
                   out.Put(id.value).Put<int32_t>(status);
                   link_.SendEvent(Verb::kExecutorExited, out.bytes());
                 }),
      images_(state_.images(), host_, jobs_, workers_),
      sandboxes_(
          loop, host_, workers_, state_.images(), options_.held,
          [this](const SandboxExit& exit) { link_.SendEvent(Verb::kSandboxExited, Bytes(exit)); }),
      agent_(loop, {host_.runtime, state_.Tag(), state_.path() / "agent", state_.images(),
                    options_.held, options_.log_level}),
      server_(loop, options_.server, user,
              {[this](UniqueFd socket) { (void)link_.Open(std::move(socket)); },
               [this] { OnServerGone(); },
               [this](int status) {
                 status_ = status;
                 loop_.Stop();
               }}) {}

int Node::Run() {
  (void)loop_.Watch(signals_.get(), EventLoop::Interest::kRead, [this] { OnSignal(); });
  if (const auto started = server_.Start(); !started) {
    spdlog::error("cannot start the server: {}", started.error().message);
    return ExitCode(started.error().code);
  }
  loop_.Run();
  loop_.Forget(signals_.get());
  return status_;
}

void Node::OnSignal() {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return;
  const auto signal = static_cast<int>(info.ssi_signo);
  if (signal == SIGCHLD) return ReapOrphans();
  spdlog::info("signal {}: stopping", signal);
  server_.Stop(SIGTERM);
}

// Containers stay for the next server; what only the old one could use goes.
void Node::OnServerGone() {
  link_.Close();
  executors_.KillAll();
  jobs_.KillAll();
  agent_.End();
}

// This process is a subreaper: a grandchild whose parent died becomes its child. Whatever is
// nobody's here is such an orphan; the others are reaped by their owners.
void Node::ReapOrphans() {
  const std::string self = std::to_string(::getpid());
  const auto children = ReadFile("/proc/self/task/" + self + "/children");
  if (!children) return;
  std::istringstream pids(*children);
  for (pid_t pid = 0; pids >> pid;) {
    const bool owned = server_.Owns(pid) || sandboxes_.Owns(pid) || executors_.Owns(pid) ||
                       jobs_.Owns(pid) || workers_.Owns(pid) || agent_.Owns(pid);
    if (!owned) ::waitpid(pid, nullptr, WNOHANG);
  }
}

void Node::OnRequest(const Header& header, ipc::Reader& body, std::vector<UniqueFd> fds) {
  const Asker asker{link_.generation(), header.id};
  const auto request = DecodeRequest(header.verb, body, fds.size());
  if (!request) return Answer(asker, tl::unexpected(request.error()));
  std::visit([&](const auto& one) { Do(asker, one, fds); }, *request);
}

void Node::Answer(Asker asker, const Result<std::string>& result, std::vector<UniqueFd> fds) {
  link_.Answer(asker.generation, asker.id, result, std::move(fds));
}

void Node::Do(Asker asker, const HelloRequest&, std::vector<UniqueFd>&) {
  server_.OnHello();
  Answer(asker, Bytes(host_.abilities));
}

void Node::Do(Asker asker, const ExecutorSpec& spec, std::vector<UniqueFd>&) {
  auto started = executors_.Start(spec);
  if (!started) return Answer(asker, tl::unexpected(started.error()));
  std::vector<UniqueFd> fds = OneFd(std::move(started->data));
  fds.push_back(std::move(started->control));
  Answer(asker, Bytes(*started), std::move(fds));
}

void Node::Do(Asker asker, const KillExecutorRequest& request, std::vector<UniqueFd>&) {
  executors_.Kill(request.id);
  Answer(asker, std::string());
}

void Node::Do(Asker asker, const JobSpec& spec, std::vector<UniqueFd>& fds) {
  jobs_.Run(spec, JobKind::kPlain, std::move(fds),
            [this, asker](const Result<JobResult>& result) { Answer(asker, Encoded(result)); });
}

void Node::Do(Asker asker, const UnpackImageRequest& request, std::vector<UniqueFd>& fds) {
  images_.Unpack(
      request.archive, std::move(fds[0]),
      [this, asker](const Result<UnpackedImage>& image) { Answer(asker, Encoded(image)); });
}

void Node::Do(Asker asker, const RemoveImageRequest& request, std::vector<UniqueFd>&) {
  if (sandboxes_.UsesImage(request.image)) {
    return Answer(asker, Fail(Code::kConflict, "the image " + request.image.value +
                                                   " is used by a running container"));
  }
  Answer(asker, Empty(images_.Remove(request.image)));
}

// Our own sandboxes run what is in the store.
void Node::Do(Asker asker, const PrepareImageRequest&, std::vector<UniqueFd>&) {
  Answer(asker, Fail(Code::kUnsupported, "images are prepared by agents alone"));
}

void Node::Do(Asker asker, const OpenAgentRequest&, std::vector<UniqueFd>&) {
  auto socket = agent_.Start();
  if (!socket) return Answer(asker, tl::unexpected(socket.error()));
  Answer(asker, std::string(), OneFd(std::move(*socket)));
}

void Node::Do(Asker asker, const CreateSandboxRequest&, std::vector<UniqueFd>&) {
  sandboxes_.Create([this, asker](const Result<ContainerId>& id) {
    if (!id) return Answer(asker, tl::unexpected(id.error()));
    Answer(asker, IdBytes(id->value));
  });
}

void Node::Do(Asker asker, const StartSandboxRequest& request, std::vector<UniqueFd>&) {
  sandboxes_.Start(request.id, request.spec, [this, asker](Result<UniqueFd> log) {
    if (!log) return Answer(asker, tl::unexpected(log.error()));
    Answer(asker, std::string(), OneFd(std::move(*log)));
  });
}

void Node::Do(Asker asker, const MakeSocketsRequest& request, std::vector<UniqueFd>&) {
  auto sockets = sandboxes_.MakeSockets(request.id, request.count);
  if (!sockets) return Answer(asker, tl::unexpected(sockets.error()));
  Answer(asker, std::string(), std::move(*sockets));
}

void Node::Do(Asker asker, const MakeListenerRequest& request, std::vector<UniqueFd>&) {
  auto listener = sandboxes_.MakeListener(request.id, request.port);
  if (!listener) return Answer(asker, tl::unexpected(listener.error()));
  Answer(asker, std::string(), OneFd(std::move(*listener)));
}

void Node::Do(Asker asker, const FreezeSandboxRequest& request, std::vector<UniqueFd>&) {
  Answer(asker, Empty(sandboxes_.Freeze(request.id)));
}

void Node::Do(Asker asker, const ThawSandboxRequest& request, std::vector<UniqueFd>&) {
  Answer(asker, Empty(sandboxes_.Thaw(request.id)));
}

void Node::Do(Asker asker, const SettleSandboxRequest& request, std::vector<UniqueFd>&) {
  Answer(asker, Empty(sandboxes_.Settle(request.id)));
}

void Node::Do(Asker asker, const StatsRequest& request, std::vector<UniqueFd>&) {
  Answer(asker, Encoded(sandboxes_.Stats(request.id)));
}

void Node::Do(Asker asker, const DestroySandboxRequest& request, std::vector<UniqueFd>&) {
  sandboxes_.Destroy(request.id,
                     [this, asker](const Result<>& destroyed) { Answer(asker, Empty(destroyed)); });
}

void Node::Do(Asker asker, const ListRequest& request, std::vector<UniqueFd>&) {
  std::vector<AdoptedSandbox> page = sandboxes_.List(request.after);
  const std::string bytes = Bytes(page);
  std::vector<UniqueFd> logs;
  for (AdoptedSandbox& sandbox : page) {
    if (sandbox.log) logs.push_back(std::move(sandbox.log));
  }
  Answer(asker, bytes, std::move(logs));
}

void Node::Do(Asker asker, const OpenFolderRequest& request, std::vector<UniqueFd>&) {
  const auto user = executors_.UserOf(request.executor);
  if (!user) return Answer(asker, tl::unexpected(user.error()));
  auto folder = OpenAllowedFolder(options_.allowed_folders, request.path,
                                  request.writable ? Access::kWrite : Access::kRead, *user);
  if (!folder) return Answer(asker, tl::unexpected(folder.error()));
  Answer(asker, std::string(), OneFd(std::move(*folder)));
}

void Node::Do(Asker asker, const ReadyRequest&, std::vector<UniqueFd>&) {
  server_.OnReady();
  Answer(asker, std::string());
}

}  // namespace hybridserve::launcher
