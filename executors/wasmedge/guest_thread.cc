#include "executors/wasmedge/guest_thread.h"

#include <link.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "executors/wasmedge/libc_hooks.h"

namespace hybridserve {
namespace {

constexpr size_t kGuardBytes = 64u << 20;
constexpr size_t kReserveBytes = 256u << 10;
constexpr size_t kBarrierBytes = 1u << 20;
constexpr size_t kStackBytes = 1u << 20;
constexpr size_t kSignalStackBytes = 128u << 10;
constexpr size_t kAllBytes =
    kGuardBytes + kReserveBytes + kBarrierBytes + kStackBytes + kSignalStackBytes;
constexpr uint32_t kMaxSteps = 20'000;  // About as many microseconds.
// Signals in vain, about 2 s; counted, because a machine that stood still is no guest's fault.
constexpr uint32_t kMaxInterrupts = 400;
constexpr int kStuckStatus = 3;

// Where the program's files have their code, sorted.
struct Range {
  uintptr_t begin = 0;
  uintptr_t end = 0;
};
std::vector<Range>& ProgramCode() {
  static std::vector<Range> ranges;
  return ranges;
}

int AddCode(dl_phdr_info* info, size_t /*size*/, void* /*data*/) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& part = info->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
    const uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    ProgramCode().push_back({begin, begin + part.p_memsz});
  }
  return 0;
}

bool IsGuestCode(uintptr_t address) {
  const std::vector<Range>& ranges = ProgramCode();
  const auto after = std::ranges::upper_bound(ranges, address, {}, &Range::begin);
  return after == ranges.begin() || address >= std::prev(after)->end;
}

#if defined(__x86_64__)
constexpr greg_t kTrapFlag = 0x100;
uintptr_t ProgramCounter(const ucontext_t* context) {
  return static_cast<uintptr_t>(context->uc_mcontext.gregs[REG_RIP]);
}
void SingleStep(ucontext_t* context, bool on) {
  greg_t& flags = context->uc_mcontext.gregs[REG_EFL];
  flags = on ? flags | kTrapFlag : flags & ~kTrapFlag;
}
#elif defined(__aarch64__)
uintptr_t ProgramCounter(const ucontext_t* context) { return context->uc_mcontext.pc; }
void SingleStep(ucontext_t* /*context*/, bool /*on*/) {}
#endif

class GuestThread;
struct Registry {
  std::mutex mutex;
  std::vector<GuestThread*> threads;
};
Registry& TheRegistry() {
  static auto& registry = *new Registry;
  return registry;
}

class GuestThread {
 public:
  GuestThread() : tid_(static_cast<pid_t>(::syscall(SYS_gettid))) {
    void* mapped = ::mmap(nullptr, kAllBytes, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapped == MAP_FAILED) std::abort();
    base_ = static_cast<char*>(mapped);
    Open(base_ + kGuardBytes, kReserveBytes);
    Open(stack(), kStackBytes + kSignalStackBytes);
    const stack_t signals{.ss_sp = stack() + kStackBytes, .ss_flags = 0,
                          .ss_size = kSignalStackBytes};
    if (::sigaltstack(&signals, nullptr) != 0) std::abort();
    const std::lock_guard lock(TheRegistry().mutex);
    TheRegistry().threads.push_back(this);
  }
  ~GuestThread() {
    {
      const std::lock_guard lock(TheRegistry().mutex);
      std::erase(TheRegistry().threads, this);
    }
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    ::sigaltstack(&none, nullptr);
    ::munmap(base_, kAllBytes);
  }
  GuestThread(const GuestThread&) = delete;
  GuestThread& operator=(const GuestThread&) = delete;

  void Run(GuestRun& run, const std::function<void()>& body);

  // What follows is called by signal handlers.
  [[nodiscard]] GuestRun* run() const { return run_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool InBarrier(const void* address) const {
    return address >= barrier() && address < stack();
  }
  [[nodiscard]] bool BelowStack(const void* address) const {
    return address >= base_ && address < stack();
  }
  void OpenBarrier() const { Open(barrier(), kBarrierBytes); }

  // Under the registry's lock.
  void Interrupt();

 private:
  [[nodiscard]] char* barrier() const { return base_ + kGuardBytes + kReserveBytes; }
  [[nodiscard]] char* stack() const { return barrier() + kBarrierBytes; }
  static void Open(char* begin, size_t bytes) {
    if (::mprotect(begin, bytes, PROT_READ | PROT_WRITE) != 0) std::abort();
  }
  static void Enter(uint32_t low, uint32_t high);

  pid_t tid_;
  char* base_ = nullptr;
  std::atomic<GuestRun*> run_{nullptr};
  uint32_t interrupts_ = 0;  // Of this run, since it was last seen in a host function.
  const std::function<void()>* body_ = nullptr;
  ucontext_t outside_{};
  ucontext_t inside_{};
};

// Set while a guest runs; what a signal handler may read.
thread_local GuestThread* current_thread = nullptr;

void GuestThread::Enter(uint32_t low, uint32_t high) {
  auto& thread = *reinterpret_cast<GuestThread*>(uint64_t{low} | uint64_t{high} << 32);
  (*thread.body_)();
}

void GuestThread::Run(GuestRun& run, const std::function<void()>& body) {
  {
    // InterruptGuests uses the run under this lock.
    const std::lock_guard lock(TheRegistry().mutex);
    interrupts_ = 0;
    run_.store(&run);
  }
  current_thread = this;
  body_ = &body;
  ::getcontext(&inside_);
  inside_.uc_stack.ss_sp = stack();
  inside_.uc_stack.ss_size = kStackBytes;
  inside_.uc_link = &outside_;
  const auto self = reinterpret_cast<uint64_t>(this);
  ::makecontext(&inside_, reinterpret_cast<void (*)()>(&GuestThread::Enter), 2,
                static_cast<uint32_t>(self), static_cast<uint32_t>(self >> 32));
  ::swapcontext(&outside_, &inside_);
  current_thread = nullptr;
  {
    const std::lock_guard lock(TheRegistry().mutex);
    run_.store(nullptr);
  }
  if (run.barrier_open && ::mprotect(barrier(), kBarrierBytes, PROT_NONE) != 0) std::abort();
}

void GuestThread::Interrupt() {
  GuestRun* run = this->run();
  if (run == nullptr || run->wasi == nullptr || run->wasi->guard().Check() == Stop::kNo) return;
  interrupts_ = run->in_host ? 0 : interrupts_ + 1;
  if (interrupts_ > kMaxInterrupts) {
    (void)std::fprintf(stderr, "executor: a guest could not be ended at its deadline\n");
    ::_exit(kStuckStatus);
  }
  if (run->interrupt) return run->interrupt();
  (void)::syscall(SYS_tgkill, ::getpid(), tid_, SIGUSR2);
}

// Leaves the guest by WasmEdge's own handler, as if it had accessed what it must not.
[[noreturn]] void LeaveGuest(int signal, siginfo_t* info, void* context) {
  WasmEdgeFaultHandler()(signal, info, context);
  std::abort();
}

// Has the guest end: now, or once it is back in its code.
void EndGuest(GuestRun& run, siginfo_t* info, ucontext_t* context) {
  run.ending = true;
  if (IsGuestCode(ProgramCounter(context))) {
    SingleStep(context, false);
    LeaveGuest(SIGSEGV, info, context);
  }
  // A host function of ours sees at its end that the guest is to end.
  const bool step = !run.in_host && run.steps_left > 0;
  if (step) --run.steps_left;
  SingleStep(context, step);
}

void OnFault(int signal, siginfo_t* info, void* data) {
  auto* context = static_cast<ucontext_t*>(data);
  GuestThread* thread = current_thread;
  GuestRun* run = thread == nullptr ? nullptr : thread->run();
  if (run != nullptr && IsGuestCode(ProgramCounter(context))) {
    if (signal == SIGSEGV && thread->BelowStack(info->si_addr)) run->stack_exhausted = true;
    LeaveGuest(signal, info, data);
  }
  if (run != nullptr && signal == SIGSEGV && !run->barrier_open &&
      thread->InBarrier(info->si_addr)) {
    thread->OpenBarrier();
    run->barrier_open = true;
    run->stack_exhausted = true;
    run->steps_left = kMaxSteps;
    return EndGuest(*run, info, context);
  }
  // A fault of the program's own: it comes again, and ends the process.
  RestoreDefaultAction(signal);
}

void OnInterrupt(int /*signal*/, siginfo_t* info, void* data) {
  GuestRun* run = CurrentGuestRun();
  if (run == nullptr || run->wasi == nullptr || run->wasi->guard().Check() == Stop::kNo) return;
  run->steps_left = kMaxSteps;
  EndGuest(*run, info, static_cast<ucontext_t*>(data));
}

void OnStep(int /*signal*/, siginfo_t* info, void* data) {
  auto* context = static_cast<ucontext_t*>(data);
  GuestRun* run = CurrentGuestRun();
  if (run == nullptr || !run->ending) return SingleStep(context, false);
  EndGuest(*run, info, context);
}

}  // namespace

void InstallGuestSignals() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::dl_iterate_phdr(AddCode, nullptr);
    std::ranges::sort(ProgramCode(), {}, &Range::begin);
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE}) TakeSignal(signal, OnFault);
    TakeSignal(SIGUSR2, OnInterrupt);
    TakeSignal(SIGTRAP, OnStep);
  });
}

GuestRun* CurrentGuestRun() {
  return current_thread == nullptr ? nullptr : current_thread->run();
}

void RunOnGuestStack(GuestRun& run, const std::function<void()>& body) {
  thread_local GuestThread thread;
  thread.Run(run, body);
}

void InterruptGuests() {
  const std::lock_guard lock(TheRegistry().mutex);
  for (GuestThread* thread : TheRegistry().threads) thread->Interrupt();
}

}  // namespace hybridserve
