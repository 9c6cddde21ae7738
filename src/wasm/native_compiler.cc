#include "wasm/native_compiler.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>
#include <charconv>

#include "base/log.h"
#include "wasm/module_info.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;

// Each uses as many threads as there are cores.
constexpr uint32_t kMaxJobs = 2;
constexpr uint64_t kJobMemoryBytes = 2ull << 30;
// Requests of other functions are served meanwhile.
constexpr uint32_t kJobCpuWeightPercent = 25;

std::string_view TrimEnd(std::string_view text) {
  const size_t end = text.find_last_not_of(" \r\n");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
}

// What a job that did not succeed means for the caller.
Error JobError(const JobResult& job, std::chrono::milliseconds timeout) {
  if (job.timed_out) {
    return {Code::kTimeout, "compiling the module took longer than " +
                                std::to_string(timeout.count()) +
                                " ms (wasm.compile_timeout); make it smaller, or raise that"};
  }
  if (job.out_of_memory) {
    return {Code::kInvalidArgument, "compiling the module needs more than " +
                                        std::to_string(kJobMemoryBytes >> 20) +
                                        " MiB of memory; make it smaller"};
  }
  const std::string said(TrimEnd(job.output));
  if (job.exit_status == ExitCode(Code::kInvalidArgument)) return {Code::kInvalidArgument, said};
  if (job.exit_status == ExitCode(Code::kUnsupported)) return {Code::kInvalidArgument, said};
  return {Code::kInternal, "the compiler ended with status " + std::to_string(job.exit_status) +
                               (said.empty() ? "" : ": " + said)};
}

Result<uint64_t> MemoryMinimumIn(std::string_view output) {
  constexpr std::string_view kField = "memory_minimum_bytes=";
  uint64_t value = 0;
  const size_t at = output.rfind(kField);
  if (at != std::string_view::npos) {
    output.remove_prefix(at + kField.size());
    const auto [end, error] = std::from_chars(output.data(), output.data() + output.size(), value);
    if (error == std::errc()) return value;
  }
  return Fail(Code::kInternal, "the compiler did not say how much memory the module needs");
}

}  // namespace

NativeCompiler::NativeCompiler(asio::any_io_executor executor, const ExecutorPoolOptions& options,
                               ExecutorHost& host, ModuleSource modules)
    : executor_(std::move(executor)),
      folder_(options.aot_folder),
      key_file_(options.aot_key_file),
      default_engine_(options.engine),
      timeout_(options.compile_timeout),
      host_(host),
      modules_(std::move(modules)) {}

EngineChoice NativeCompiler::EngineOf(const Deployed& function) const {
  const auto& wasm = function.manifest.wasm;
  return CompleteChoice(wasm ? wasm->engine : EngineChoice{}, default_engine_);
}

std::string NativeCompiler::KeyOf(const Deployed& function) {
  const std::string& fingerprint = engines_[EngineOf(function)].fingerprint;
  return fingerprint.empty() ? "" : AotCache::KeyOf(function.module, fingerprint);
}

Awaitable<> NativeCompiler::Start(EngineChoice engine) {
  Engine& known = engines_[engine];
  if (!known.fingerprint.empty()) co_return Result<>();
  std::shared_ptr<Flight> flight = known.starting;
  if (!flight) {
    flight = std::make_shared<Flight>(executor_);
    known.starting = flight;
    asio::co_spawn(executor_, FlyStart(shared_from_this(), flight, engine), asio::detached);
  }
  co_await flight->done.Wait();
  if (!flight->done.fired()) co_return Fail(Code::kCancelled, "the caller went away");
  co_return flight->result;
}

asio::awaitable<void> NativeCompiler::FlyStart(std::shared_ptr<NativeCompiler> self,
                                               std::shared_ptr<Flight> flight,
                                               EngineChoice engine) {
  Result<> started = co_await self->StartOnce(engine);
  flight->result = std::move(started);
  self->engines_[engine].starting.reset();
  flight->done.Fire();
}

Awaitable<> NativeCompiler::StartOnce(const EngineChoice& engine) {
  if (!cache_) {
    Result<AotCache> cache = AotCache::Open(folder_, key_file_);
    if (!cache) co_return Wrap(cache.error(), "open the cache of native code");
    cache_.emplace(std::move(*cache));
  }
  JobSpec spec;
  spec.program = ExecutorProgram(engine.engine);
  spec.arguments = {"fingerprint", "--compiler", engine.compiler};
  spec.timeout = std::chrono::seconds(20);
  Result<JobResult> job = co_await host_.RunJob(spec, {});
  if (!job && job.error().code == Code::kUnsupported) {
    co_return Fail(Code::kUnsupported,
                   "this node does not have the engine " + engine.engine +
                       " (`hybridserve engines` lists those it has): " + job.error().message);
  }
  if (!job) co_return Wrap(job.error(), "ask " + spec.program + " what native code depends on");
  const std::string_view said = TrimEnd(job->output);
  if (job->exit_status != 0 || said.empty() || said.find('\n') != std::string_view::npos) {
    co_return Fail(Code::kUnavailable, spec.program + " fingerprint ended with status " +
                                           std::to_string(job->exit_status) + ": " +
                                           std::string(said));
  }
  engines_[engine].fingerprint = said;
  co_return Result<>();
}

Result<AotCache::NativeCode> NativeCompiler::TryGet(const Deployed& function) {
  const std::string key = KeyOf(function);
  if (key.empty()) return Fail(Code::kNotFound, "not started");
  TRY_ASSIGN(const AotCache::NativeCode code, cache_->Find(key));
  TRY(CheckMemoryMinimum(code.memory_minimum_bytes, function.manifest.limits.memory_bytes));
  return code;
}

Awaitable<> NativeCompiler::Get(DeployedPtr function) {
  Result<> started = co_await Start(EngineOf(*function));
  if (!started) co_return started;
  const Result<AotCache::NativeCode> found = TryGet(*function);
  if (found) co_return Result<>();
  const Code code = found.error().code;
  if (code != Code::kNotFound && code != Code::kCorrupt) {
    co_return tl::unexpected<Error>(found.error());
  }
  const std::string key = KeyOf(*function);
  std::shared_ptr<Flight> flight = flights_[key];
  if (!flight) {
    flight = std::make_shared<Flight>(executor_);
    flights_[key] = flight;
    asio::co_spawn(executor_, Fly(shared_from_this(), flight, key, function), asio::detached);
  }
  co_await flight->done.Wait();
  if (!flight->done.fired()) co_return Fail(Code::kCancelled, "the caller went away");
  if (!flight->result) co_return flight->result;
  const Result<AotCache::NativeCode> compiled = TryGet(*function);
  if (!compiled) co_return tl::unexpected<Error>(compiled.error());
  co_return Result<>();
}

asio::awaitable<void> NativeCompiler::Fly(std::shared_ptr<NativeCompiler> self,
                                          std::shared_ptr<Flight> flight, std::string key,
                                          DeployedPtr function) {
  while (self->jobs_ >= kMaxJobs) {
    if (!self->job_ended_) self->job_ended_ = std::make_shared<Wakeup>(self->executor_);
    const std::shared_ptr<Wakeup> ended = self->job_ended_;
    co_await ended->Wait();
  }
  ++self->jobs_;
  Result<> compiled = co_await self->Compile(key, std::move(function));
  --self->jobs_;
  flight->result = std::move(compiled);
  self->flights_.erase(key);
  flight->done.Fire();
  if (const auto ended = std::exchange(self->job_ended_, nullptr)) ended->Fire();
}

Awaitable<> NativeCompiler::Compile(std::string key, DeployedPtr function) {
  const EngineChoice engine = EngineOf(*function);
  CO_TRY_ASSIGN(const UniqueFd wasm, modules_(function->module));
  CO_TRY_ASSIGN(AotCache::Draft draft, cache_->Begin(key));
  JobSpec spec;
  spec.program = ExecutorProgram(engine.engine);
  spec.arguments = {"compile", "--compiler", engine.compiler};
  spec.timeout = timeout_;
  spec.memory_bytes = kJobMemoryBytes;
  spec.cpu_weight_percent = kJobCpuWeightPercent;
  std::vector<int> fds = {wasm.get(), draft.fd.get()};
  Result<JobResult> job = co_await host_.RunJob(spec, std::move(fds));
  if (!job || job->exit_status != 0 || job->timed_out) {
    cache_->Discard(draft);
    if (!job) co_return Wrap(job.error(), "compile the module");
    co_return tl::unexpected<Error>(JobError(*job, spec.timeout));
  }
  const Result<uint64_t> minimum = MemoryMinimumIn(job->output);
  if (!minimum) {
    cache_->Discard(draft);
    co_return tl::unexpected<Error>(minimum.error());
  }
  const Result<AotCache::NativeCode> code = cache_->Commit(key, std::move(draft), *minimum);
  if (!code) co_return Wrap(code.error(), "keep the native code");
  co_return Result<>();
}

void NativeCompiler::CollectGarbage(const std::set<Digest>& kept, std::chrono::seconds grace) {
  if (!cache_) return;
  std::set<std::string> keys;
  for (const auto& [choice, engine] : engines_) {
    if (engine.fingerprint.empty()) continue;
    for (const Digest& module : kept) keys.insert(AotCache::KeyOf(module, engine.fingerprint));
  }
  const size_t removed = cache_->CollectGarbage(keys, grace);
  if (removed > 0) spdlog::info("removed the native code of {} modules", removed);
}

void NativeCompiler::Discard(const Deployed& function) {
  const std::string key = KeyOf(function);
  if (!key.empty()) cache_->Remove(key);
}

}  // namespace hybridserve
