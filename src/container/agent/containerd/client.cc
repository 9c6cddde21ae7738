#include "container/agent/containerd/client.h"

#include <grpcpp/grpcpp.h>

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <set>
#include <thread>
#include <utility>

#include "container/agent/bundle/runtime_error.h"
#include "github.com/containerd/containerd/api/services/containers/v1/containers.grpc.pb.h"
#include "github.com/containerd/containerd/api/services/namespaces/v1/namespace.grpc.pb.h"
#include "github.com/containerd/containerd/api/services/tasks/v1/tasks.grpc.pb.h"
#include "github.com/containerd/containerd/api/services/version/v1/version.grpc.pb.h"

namespace hybridserve {

namespace asio = boost::asio;

namespace {

namespace containers = containerd::services::containers::v1;
namespace namespaces = containerd::services::namespaces::v1;
namespace tasks = containerd::services::tasks::v1;
namespace version = containerd::services::version::v1;
using google::protobuf::Empty;

constexpr std::chrono::seconds kTimeLimit{30};
// A daemon that is back is found again within this.
constexpr int kReconnectMilliseconds = 200;
// How containerd knows the JSON of a container (its typeurl package).
constexpr char kSpecType[] = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
constexpr char kRuntime[] = "io.containerd.runc.v2";

Code CodeOf(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::UNAVAILABLE:
      return Code::kUnavailable;
    case grpc::StatusCode::NOT_FOUND:
      return Code::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::FAILED_PRECONDITION:
      return Code::kConflict;
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return Code::kTimeout;
    case grpc::StatusCode::PERMISSION_DENIED:
      return Code::kForbidden;
    case grpc::StatusCode::INVALID_ARGUMENT:
      return Code::kInvalidArgument;
    case grpc::StatusCode::CANCELLED:
      return Code::kCancelled;
    default:
      return Code::kInternal;
  }
}

// containerd wraps the words of its runtime, and has no code for a program that cannot be run.
Error RuntimeFailure(Error error) {
  if (CodeOfRuntimeError(error.message) == Code::kInvalidArgument) {
    error.code = Code::kInvalidArgument;
  }
  return error;
}

enum class Limit : uint8_t { kUsual, kNone };

// What gRPC gives back once a call's answer is there.
struct Tag {
  virtual ~Tag() = default;
  virtual void Done() = 0;
};

// One call; its coroutine's.
template <typename Response>
struct Call : Tag {
  void Done() override {
    // From here on this may be gone.
    const std::function<void()> go_on = std::move(resume);
    go_on();
  }

  grpc::ClientContext context;
  Response response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
  std::function<void()> resume;
};

}  // namespace

struct ContainerdClient::Impl {
  Impl(asio::any_io_executor loop, std::filesystem::path path, std::string space)
      : executor(std::move(loop)), socket(std::move(path)), name_space(std::move(space)) {}
  ~Impl() {
    queue.Shutdown();
    taker.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  asio::any_io_executor executor;
  std::filesystem::path socket;
  std::string name_space;
  grpc::CompletionQueue queue;
  std::unique_ptr<containers::Containers::Stub> containers;
  std::unique_ptr<namespaces::Namespaces::Stub> namespaces;
  std::unique_ptr<tasks::Tasks::Stub> tasks;
  std::unique_ptr<version::Version::Stub> version;
  std::set<grpc::ClientContext*> under_way;
  std::thread taker{[this] {
    void* tag = nullptr;
    bool ok = false;
    while (queue.Next(&tag, &ok)) static_cast<Tag*>(tag)->Done();
  }};

  // `begin` is called with (context, request, queue), as the stubs' Async methods are.
  template <typename Response, typename Request, typename Begin>
  Awaitable<Response> Ask(Request request, Begin begin, Limit limit = Limit::kUsual);
};

template <typename Response, typename Request, typename Begin>
Awaitable<Response> ContainerdClient::Impl::Ask(Request request, Begin begin, Limit limit) {
  const auto call = std::make_unique<Call<Response>>();
  call->context.AddMetadata("containerd-namespace", name_space);
  if (limit == Limit::kUsual) {
    call->context.set_deadline(std::chrono::system_clock::now() + kTimeLimit);
  }
  under_way.insert(&call->context);
  const auto initiate = [this, &call, &begin, &request](auto handler) {
    // Shared because a std::function has to be copyable.
    const auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    const auto work = asio::prefer(executor, asio::execution::outstanding_work.tracked);
    call->resume = [shared, work] { asio::post(work, [shared] { std::move (*shared)(); }); };
    call->reader = begin(&call->context, request, &queue);
    call->reader->Finish(&call->response, &call->status, static_cast<Tag*>(call.get()));
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(initiate,
                                                                       asio::use_awaitable);
  under_way.erase(&call->context);
  if (call->status.ok()) co_return std::move(call->response);
  const Code code = CodeOf(call->status.error_code());
  if (code == Code::kUnavailable) {
    co_return Fail(code, "cannot reach containerd at " + socket.string() + ": " +
                             call->status.error_message() + "; is it running?");
  }
  if (code == Code::kTimeout) {
    co_return Fail(code, "containerd at " + socket.string() + " did not answer within " +
                             std::to_string(kTimeLimit.count()) + " s");
  }
  co_return Fail(code, "containerd: " + call->status.error_message());
}

ContainerdClient::ContainerdClient(asio::any_io_executor executor, std::filesystem::path socket,
                                   std::string name_space)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(socket),
                                   std::move(name_space))) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMilliseconds / 4);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kReconnectMilliseconds / 4);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMilliseconds);
  // A proxy of the environment's is not for a local socket.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto channel = grpc::CreateCustomChannel("unix://" + impl_->socket.string(),
                                                 grpc::InsecureChannelCredentials(), arguments);
  impl_->containers = containers::Containers::NewStub(channel);
  impl_->namespaces = namespaces::Namespaces::NewStub(channel);
  impl_->tasks = tasks::Tasks::NewStub(channel);
  impl_->version = version::Version::NewStub(channel);
}

ContainerdClient::~ContainerdClient() {
  for (grpc::ClientContext* context : impl_->under_way) context->TryCancel();
}

Awaitable<std::string> ContainerdClient::Version() {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->version->AsyncVersion(context, asked, queue);
  };
  Empty request;
  CO_TRY_ASSIGN(const version::VersionResponse answer,
                co_await impl->Ask<version::VersionResponse>(std::move(request), begin));
  co_return answer.version();
}

Awaitable<> ContainerdClient::MakeNamespace() {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->namespaces->AsyncCreate(context, asked, queue);
  };
  namespaces::CreateNamespaceRequest request;
  request.mutable_namespace_()->set_name(impl->name_space);
  const auto made =
      co_await impl->Ask<namespaces::CreateNamespaceResponse>(std::move(request), begin);
  if (!made && made.error().code != Code::kConflict) co_return tl::unexpected(made.error());
  co_return Result<>{};
}

Awaitable<> ContainerdClient::CreateContainer(ContainerdContainer container, std::string spec) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->containers->AsyncCreate(context, asked, queue);
  };
  containers::CreateContainerRequest request;
  containers::Container& made = *request.mutable_container();
  made.set_id(container.id);
  for (auto& [key, value] : container.labels) (*made.mutable_labels())[key] = value;
  made.mutable_runtime()->set_name(kRuntime);
  made.mutable_spec()->set_type_url(kSpecType);
  made.mutable_spec()->set_value(std::move(spec));
  CO_TRY(co_await impl->Ask<containers::CreateContainerResponse>(std::move(request), begin));
  co_return Result<>{};
}

Awaitable<> ContainerdClient::DeleteContainer(std::string id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->containers->AsyncDelete(context, asked, queue);
  };
  containers::DeleteContainerRequest request;
  request.set_id(std::move(id));
  CO_TRY(co_await impl->Ask<Empty>(std::move(request), begin));
  co_return Result<>{};
}

Awaitable<std::vector<ContainerdContainer>> ContainerdClient::ListContainers() {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->containers->AsyncList(context, asked, queue);
  };
  containers::ListContainersRequest request;
  CO_TRY_ASSIGN(const containers::ListContainersResponse answer,
                co_await impl->Ask<containers::ListContainersResponse>(std::move(request), begin));
  std::vector<ContainerdContainer> all;
  for (const containers::Container& one : answer.containers()) {
    all.push_back({one.id(), {one.labels().begin(), one.labels().end()}});
  }
  co_return all;
}

Awaitable<pid_t> ContainerdClient::CreateTask(std::string id, std::filesystem::path log) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->tasks->AsyncCreate(context, asked, queue);
  };
  tasks::CreateTaskRequest request;
  request.set_container_id(std::move(id));
  request.set_stdout(log.string());
  request.set_stderr(log.string());
  Result<tasks::CreateTaskResponse> made =
      co_await impl->Ask<tasks::CreateTaskResponse>(std::move(request), begin);
  if (!made) co_return tl::unexpected(RuntimeFailure(std::move(made.error())));
  co_return static_cast<pid_t>(made->pid());
}

Awaitable<> ContainerdClient::StartTask(std::string id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->tasks->AsyncStart(context, asked, queue);
  };
  tasks::StartRequest request;
  request.set_container_id(std::move(id));
  Result<tasks::StartResponse> started =
      co_await impl->Ask<tasks::StartResponse>(std::move(request), begin);
  if (!started) co_return tl::unexpected(RuntimeFailure(std::move(started.error())));
  co_return Result<>{};
}

Awaitable<int> ContainerdClient::WaitForTask(std::string id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->tasks->AsyncWait(context, asked, queue);
  };
  tasks::WaitRequest request;
  request.set_container_id(std::move(id));
  CO_TRY_ASSIGN(const tasks::WaitResponse answer,
                co_await impl->Ask<tasks::WaitResponse>(std::move(request), begin, Limit::kNone));
  co_return static_cast<int>(answer.exit_status());
}

Awaitable<> ContainerdClient::KillTask(std::string id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->tasks->AsyncKill(context, asked, queue);
  };
  tasks::KillRequest request;
  request.set_container_id(std::move(id));
  request.set_signal(9);
  request.set_all(true);
  CO_TRY(co_await impl->Ask<Empty>(std::move(request), begin));
  co_return Result<>{};
}

Awaitable<> ContainerdClient::DeleteTask(std::string id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto begin = [impl](auto* context, const auto& asked, auto* queue) {
    return impl->tasks->AsyncDelete(context, asked, queue);
  };
  tasks::DeleteTaskRequest request;
  request.set_container_id(std::move(id));
  CO_TRY(co_await impl->Ask<tasks::DeleteResponse>(std::move(request), begin));
  co_return Result<>{};
}

}  // namespace hybridserve
