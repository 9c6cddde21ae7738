#include "wasm/executor_pool.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <map>
#include <unordered_map>

#include "function/cgi.h"
#include "ipc/seqpacket.h"
#include "wasm/body_file.h"
#include "wasm/executor_domain.h"
#include "wasm/native_compiler.h"

namespace hybridserve {

namespace asio = boost::asio;
using std::chrono::duration_cast;
using std::chrono::steady_clock;

namespace {

constexpr std::string_view kDefaultDomain = "default";

// The code of one revision in one executor.
struct Entry {
  DeployedPtr function;
  std::shared_ptr<ExecutorLink> link;
  uint64_t number = 0;  // The executor's name for it; never used again.
  std::string load;
  std::vector<UniqueFd> folders;
  bool acknowledged = false;  // The executor has it: the number alone is enough.
  bool retired = false;       // To be unloaded when nothing of it is in flight.
  uint32_t in_flight = 0;
};
using EntryPtr = std::shared_ptr<Entry>;  // Shared by the table and the invocations in flight.

// Counts one invocation of an entry, and unloads a retired one after its last.
class InFlight {
 public:
  explicit InFlight(EntryPtr entry) : entry_(std::move(entry)) { ++entry_->in_flight; }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  ~InFlight() {
    if (--entry_->in_flight == 0 && entry_->retired) entry_->link->Unload(entry_->number);
  }

 private:
  EntryPtr entry_;
};

Result<std::string> LoadOf(const Deployed& function) {
  const Manifest& manifest = function.manifest;
  ModuleLoad load;
  load.memory_limit_bytes = manifest.limits.memory_bytes;
  load.output_limit_bytes = manifest.limits.response_bytes;
  load.disk_limit_bytes = manifest.limits.disk_bytes;
  load.run_timeout_us = static_cast<uint64_t>(
      duration_cast<std::chrono::microseconds>(manifest.limits.run_timeout).count());
  for (const auto& [name, value] : function.environment) {
    if (IsCgiVariable(name) || name == kProxyVariable) continue;
    if (value.find('\0') != std::string::npos) continue;
    load.environment.append(name).append("=").append(value).push_back('\0');
    ++load.environment_count;
  }
  for (const FolderGrant& folder : manifest.folders) {
    load.folders.push_back({.guest_path = folder.guest_path, .writable = folder.writable});
  }
  return EncodeLoad(load);
}

std::string MiB(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

// The failure that an outcome means, but for kDone and kLoadFailed.
Error FailureOf(const ExecutorLink::Call& call, const Limits& limits) {
  const std::string detail = call.message.empty() ? "" : ": " + call.message;
  switch (call.outcome.kind) {
    case OutcomeKind::kExit:
      return {Code::kFunctionFailed,
              "the function exited with status " + std::to_string(call.outcome.exit_status)};
    case OutcomeKind::kTrap:
      return {Code::kFunctionFailed, "the function trapped" + detail};
    case OutcomeKind::kMemoryLimit:
      return {Code::kFunctionFailed, "the function failed after it was refused more than " +
                                         MiB(limits.memory_bytes) + " of memory (limits.memory)" +
                                         detail};
    case OutcomeKind::kOutputLimit:
      return {Code::kFunctionFailed, "the function wrote a response of more than " +
                                         std::to_string(limits.response_bytes) +
                                         " bytes (limits.response)"};
    case OutcomeKind::kDeadline:
      return {Code::kTimeout, "run timeout: the function ran longer than " +
                                  std::to_string(limits.run_timeout.count()) +
                                  " ms (limits.run_timeout)"};
    case OutcomeKind::kCancelled:
      return {Code::kCancelled, "the client went away"};
    default:
      return {Code::kInternal, "the executor failed" + detail};
  }
}

Error DeathOf(const ExecutorLink::Call& call, const Limits& limits) {
  if (!call.overdue) {
    return {Code::kBackendDied,
            "the executor died while it ran the function; another one is started"};
  }
  return {Code::kTimeout, "run timeout: the function ran longer than " +
                              std::to_string(limits.run_timeout.count()) +
                              " ms and its executor had to be killed"};
}

}  // namespace

struct ExecutorPool::Impl : std::enable_shared_from_this<ExecutorPool::Impl> {
  Impl(asio::any_io_executor on, ExecutorPoolOptions with, ExecutorHost& executor_host,
       ModuleSource modules, ExecutorPoolEvents observers)
      : executor(std::move(on)),
        options(std::move(with)),
        host(executor_host),
        events(std::move(observers)),
        compiler(std::make_shared<NativeCompiler>(executor, options, host, std::move(modules))) {}

  // The entry if its executor has the code or can be sent it now.
  EntryPtr Find(const Deployed* function) {
    const auto found = entries.find(function);
    if (found == entries.end()) return nullptr;
    if (found->second->link->alive()) return found->second;
    entries.erase(found);
    return nullptr;
  }

  // True for the first to say so.
  bool Forget(const EntryPtr& entry) {
    const auto found = entries.find(entry->function.get());
    if (found == entries.end() || found->second != entry) return false;
    entries.erase(found);
    return true;
  }

  ExecutorDomain& DomainOf(const std::string& name, const EngineChoice& engine) {
    std::shared_ptr<ExecutorDomain>& domain = domains[{name, engine}];
    if (!domain) {
      domain = std::make_shared<ExecutorDomain>(
          executor,
          ExecutorSpec{.engine = engine.engine,
                       .compiler = engine.compiler,
                       .domain = name,
                       .threads = options.threads,
                       .memory_bytes = options.executor_memory_bytes},
          host, events);
    }
    return *domain;
  }

  Awaitable<EntryPtr> MakeEntry(DeployedPtr function);
  Awaitable<WasmResult> Run(std::shared_ptr<Impl> self, WasmInvocation invocation);
  Awaitable<> Send(const WasmInvocation& invocation, const Entry& entry,
                   const ExecutorLink::Call& call);
  // The descriptors of one invocation, besides those of its code; -1: it has none.
  struct Extra {
    int body_file = -1;
    int socket = -1;
  };
  Result<> SendOnce(const WasmInvocation& invocation, const Entry& entry,
                    const ExecutorLink::Call& call, Extra extra);
  Awaitable<WasmResult> Answer(const Deployed& function, ExecutorLink::Call& call);
  void Observe(const WasmInvocation& invocation, const ExecutorLink::Call& call);

  asio::any_io_executor executor;
  ExecutorPoolOptions options;
  ExecutorHost& host;
  ExecutorPoolEvents events;
  std::shared_ptr<NativeCompiler> compiler;
  std::map<std::pair<std::string, EngineChoice>, std::shared_ptr<ExecutorDomain>> domains;
  std::unordered_map<const Deployed*, EntryPtr> entries;  // Each keeps its function alive.
  uint64_t last_number = 0;
  std::string variables;  // Of the invocation being sent; kept for its capacity.
};

// Everything that an invocation waits for before it can be sent the first time.
Awaitable<EntryPtr> ExecutorPool::Impl::MakeEntry(DeployedPtr function) {
  Result<> compiled = co_await compiler->Get(function);
  if (!compiled) co_return tl::unexpected<Error>(compiled.error());
  Result<std::string> load = LoadOf(*function);
  if (!load) co_return tl::unexpected<Error>(load.error());
  ExecutorDomain& domain = DomainOf(function->manifest.domain, compiler->EngineOf(*function));
  Result<std::shared_ptr<ExecutorLink>> link = co_await domain.Get();
  if (!link) co_return tl::unexpected<Error>(link.error());
  std::vector<UniqueFd> folders;
  for (const FolderGrant& grant : function->manifest.folders) {
    const ExecutorId for_whom = (*link)->id();
    Result<UniqueFd> folder = co_await host.OpenFolder(for_whom, grant.host_path, grant.writable);
    if (!folder) co_return Wrap(folder.error(), "folder " + grant.host_path);
    folders.push_back(std::move(*folder));
  }
  // Another invocation may have been faster.
  if (EntryPtr found = Find(function.get())) co_return found;
  auto entry = std::make_shared<Entry>();
  entry->function = function;
  entry->link = std::move(*link);
  entry->number = ++last_number;
  entry->load = std::move(*load);
  entry->folders = std::move(folders);
  entries[function.get()] = entry;
  co_return entry;
}

Result<> ExecutorPool::Impl::SendOnce(const WasmInvocation& invocation, const Entry& entry,
                                      const ExecutorLink::Call& call, Extra extra) {
  variables.clear();
  InvokeMessage head{.id = call.id, .module = entry.number, .body_bytes = invocation.body.size()};
  head.variable_count = AppendCgiVariables(*invocation.head, invocation.body.size(), variables);
  head.request_variables = variables;
  if (variables.size() > kMaxVariableBytes) {
    return Fail(Code::kTooLarge, "the request's head is larger than " +
                                     std::to_string(kMaxVariableBytes) + " bytes as CGI variables");
  }
  std::array<int, ipc::kMaxFds> fds;
  size_t fd_count = 0;
  if (!entry.acknowledged) {
    TRY_ASSIGN(const AotCache::NativeCode code, compiler->TryGet(*entry.function));
    head.load = entry.load;
    fds[fd_count++] = code.fd;
    for (const UniqueFd& folder : entry.folders) fds[fd_count++] = folder.get();
  }
  std::string_view inline_body = invocation.body;
  if (extra.body_file >= 0) {
    head.body_in_file = true;
    inline_body = {};
    fds[fd_count++] = extra.body_file;
  }
  if (extra.socket >= 0) {
    head.socket = true;
    fds[fd_count++] = extra.socket;
  }
  const std::array<char, kInvokeHeadBytes> bytes = EncodeInvokeHead(head);
  const std::array<std::string_view, 4> parts{std::string_view(bytes.data(), bytes.size()),
                                              head.load, variables, inline_body};
  return entry.link->Send(parts, std::span<const int>(fds.data(), fd_count));
}

// Errors: kInternal the executor is gone, and nothing was sent.
Awaitable<> ExecutorPool::Impl::Send(const WasmInvocation& invocation, const Entry& entry,
                                     const ExecutorLink::Call& call) {
  UniqueFd body_file;
  if (invocation.body.size() > ipc::kMaxInlineBytes) {
    Result<UniqueFd> made = co_await MakeBodyFile(invocation.body);
    if (!made) co_return tl::unexpected<Error>(made.error());
    body_file = std::move(*made);
  }
  UniqueFd socket;  // The executor's from here on: ours closes when it is sent.
  if (options.proxy && !invocation.function->manifest.network.empty()) {
    Result<UniqueFd> made = options.proxy(invocation.function);
    if (!made) co_return tl::unexpected<Error>(made.error());
    socket = std::move(*made);
  }
  const Extra extra{body_file.get(), socket.get()};
  while (true) {
    Result<> sent = SendOnce(invocation, entry, call, extra);
    if (sent || sent.error().code != Code::kUnavailable) co_return sent;
    co_await entry.link->Writable();
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) {
      co_return Fail(Code::kCancelled, "the client went away");
    }
  }
}

void ExecutorPool::Impl::Observe(const WasmInvocation& invocation, const ExecutorLink::Call& call) {
  if (!call.log.empty() && events.log) {
    events.log(*invocation.function, invocation.head->request_id, call.log);
  }
}

Awaitable<WasmResult> ExecutorPool::Impl::Answer(const Deployed& function,
                                                 ExecutorLink::Call& call) {
  const Limits& limits = function.manifest.limits;
  if (call.outcome.kind != OutcomeKind::kDone) {
    co_return tl::unexpected<Error>(FailureOf(call, limits));
  }
  WasmResult result;
  result.bytes = std::move(call.output);
  if (call.outcome.output_in_file) {
    Result<std::string> read = co_await ReadBodyFile(
        call.output_file.get(), call.outcome.output_bytes, limits.response_bytes);
    if (!read) co_return tl::unexpected<Error>(read.error());
    result.bytes = std::move(*read);
  }
  Result<CgiResponse> parsed = ParseCgiResponse(result.bytes);
  if (!parsed) co_return tl::unexpected<Error>(parsed.error());
  result.head = std::move(parsed->head);
  result.body_offset = parsed->body_offset;
  result.start_kind = call.outcome.loaded_now ? StartKind::kCold : StartKind::kWarm;
  result.start = Microseconds(uint64_t{call.outcome.load_us} + call.outcome.instantiate_us);
  result.run = Microseconds(call.outcome.run_us);
  result.peak_memory_bytes = call.outcome.peak_memory_bytes;
  co_return result;
}

Awaitable<WasmResult> ExecutorPool::Impl::Run(std::shared_ptr<Impl> /*self*/,
                                              WasmInvocation invocation) {
  co_await asio::this_coro::throw_if_cancelled(false);
  const Deployed& function = *invocation.function;
  const Limits& limits = function.manifest.limits;
  constexpr int kAttempts = 2;
  for (int attempt = 1;; ++attempt) {
    EntryPtr entry = Find(&function);
    if (!entry) {
      Result<EntryPtr> made = co_await MakeEntry(invocation.function);
      if (!made) co_return tl::unexpected<Error>(made.error());
      entry = std::move(*made);
    }
    const InFlight in_flight(entry);
    const std::shared_ptr<ExecutorLink> link = entry->link;
    ExecutorLink::Call call;
    call.kill_at = steady_clock::now() + limits.run_timeout + options.kill_grace;
    link->Begin(call);
    const bool sent_load = !entry->acknowledged;
    Result<> sent = co_await Send(invocation, *entry, call);
    if (!sent) {
      link->Abandon(call);
      const Code code = sent.error().code;
      // The executor is gone, or the code is no longer in the cache: both can be had anew.
      const bool again =
          code == Code::kInternal || code == Code::kNotFound || code == Code::kCorrupt;
      if (code == Code::kInternal) link->End("it is gone");
      if (code == Code::kInternal && attempt == kAttempts) {
        co_return Fail(Code::kBackendDied, "the executor died before it took the request, twice");
      }
      if (!again || attempt == kAttempts) co_return tl::unexpected<Error>(sent.error());
      (void)Forget(entry);
      continue;
    }
    co_await link->Done(call);
    if (call.died) co_return tl::unexpected<Error>(DeathOf(call, limits));
    if (call.outcome.kind == OutcomeKind::kLoadFailed) {
      // Once for all that were under way: those that follow find the code compiled anew.
      if (Forget(entry) && sent_load) compiler->Discard(function);
      if (attempt < kAttempts) continue;
      co_return Fail(Code::kInternal, "the executor cannot load the function: " + call.message);
    }
    if (call.outcome.kind != OutcomeKind::kInternal) entry->acknowledged = true;
    Observe(invocation, call);
    Result<WasmResult> answer = co_await Answer(function, call);
    co_return answer;
  }
}

ExecutorPool::ExecutorPool(asio::any_io_executor executor, ExecutorPoolOptions options,
                           ExecutorHost& host, ModuleSource modules, ExecutorPoolEvents events)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), host,
                                   std::move(modules), std::move(events))) {}

ExecutorPool::~ExecutorPool() {
  for (auto& [key, domain] : impl_->domains) domain->Stop();
}

Awaitable<> ExecutorPool::Start() {
  const std::shared_ptr<Impl> impl = impl_;
  const EngineChoice engine = CompleteChoice({}, impl->options.engine);
  Result<> compiler = co_await impl->compiler->Start(engine);
  if (!compiler) co_return compiler;
  ExecutorDomain& domain = impl->DomainOf(std::string(kDefaultDomain), engine);
  Result<std::shared_ptr<ExecutorLink>> link = co_await domain.Get();
  if (!link) co_return tl::unexpected<Error>(link.error());
  co_return Result<>();
}

void ExecutorPool::OnExecutorExited(ExecutorId id, int status) {
  for (auto& [key, domain] : impl_->domains) domain->OnExited(id, status);
}

std::vector<pid_t> ExecutorPool::Processes() const {
  std::vector<pid_t> pids;
  for (const auto& [key, domain] : impl_->domains) {
    if (domain->link()) pids.push_back(domain->link()->pid());
  }
  return pids;
}

uint32_t ExecutorPool::slots() const { return impl_->options.threads; }

Awaitable<> ExecutorPool::Prepare(DeployedPtr function) {
  const std::shared_ptr<Impl> impl = impl_;
  Result<std::string> load = LoadOf(*function);
  if (!load) co_return tl::unexpected<Error>(load.error());
  Result<> compiled = co_await impl->compiler->Get(std::move(function));
  co_return compiled;
}

Awaitable<WasmResult> ExecutorPool::Invoke(WasmInvocation invocation) {
  return impl_->Run(impl_, std::move(invocation));
}

void ExecutorPool::CollectGarbage(const std::set<Digest>& kept, std::chrono::seconds grace) {
  impl_->compiler->CollectGarbage(kept, grace);
}

void ExecutorPool::Unload(const Deployed& function) {
  const EntryPtr entry = impl_->Find(&function);
  if (!entry) return;
  impl_->entries.erase(&function);
  entry->retired = true;
  if (entry->in_flight == 0) entry->link->Unload(entry->number);
}

bool ExecutorPool::IsLoaded(const Deployed& function) const {
  const EntryPtr entry = impl_->Find(&function);
  return entry && entry->acknowledged;
}

}  // namespace hybridserve
