// What is Wasmer's own: how guests are interrupted, what is freed, what is refused. What all
// engines have in common is tested in executors/tests.
#include "executors/wasmer/wasmer_engine.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <thread>

#include "base/file.h"
#include "executors/common/watchdog.h"
#include "executors/tests/guests.h"

namespace hybridserve {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t kMemoryLimitBytes = 512u << 20;

class WasmerEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto probe = FromText("(module)"); !probe) GTEST_SKIP() << probe.error().message;
    engine_ = MakeEngine("cranelift");
  }

  static std::unique_ptr<Engine> MakeEngine(const std::string& compiler,
                                            const std::string& cache_folder = "") {
    auto engine = MakeWasmerEngine({.compiler = compiler, .cache_folder = cache_folder});
    EXPECT_TRUE(engine) << engine.error().message;
    return std::move(*engine);
  }

  std::string Compile(std::string_view text) {
    const auto wasm = FromText(text);
    EXPECT_TRUE(wasm) << wasm.error().message;
    auto code = engine_->Compile(*wasm);
    EXPECT_TRUE(code) << code.error().message;
    return std::move(*code);
  }

  Result<std::unique_ptr<Module>> Load(const std::string& code) {
    TRY_ASSIGN(UniqueFd file, SealedMemfd("code", code));
    return engine_->Load(std::move(file), kMemoryLimitBytes);
  }

  /// Runs `count` instances at once; how each ended.
  std::vector<OutcomeKind> Run(Module& module, uint32_t count, milliseconds timeout) {
    Watchdog watchdog(count, [this] { engine_->Interrupt(); });
    std::vector<OutcomeKind> outcomes(count);
    std::vector<std::thread> threads;
    for (uint32_t i = 0; i < count; ++i) {
      threads.emplace_back([&watchdog, &module, &outcome = outcomes[i], timeout, i] {
        wasi::Wasi wasi(watchdog.guard(i));
        wasi.guard().Begin(i + 1, SteadyClock::now() + timeout);
        wasi.Begin({});
        outcome = module.Run(wasi).kind;
        wasi.guard().End();
        wasi.End();
      });
    }
    for (std::thread& thread : threads) thread.join();
    return outcomes;
  }

  std::unique_ptr<Engine> engine_;
};

TEST_F(WasmerEngineTest, GuestsThatCallTheHostInALoopEndAtTheirDeadlines) {
  const auto module = Load(Compile(R"((module
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (memory (export "memory") 1)
    (func (export "_start") (loop (drop (call $yield)) (br 0)))))"));
  ASSERT_TRUE(module) << module.error().message;
  constexpr uint32_t kGuests = 48;
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(Run(**module, kGuests, milliseconds(20)),
              std::vector<OutcomeKind>(kGuests, OutcomeKind::kDeadline));
  }
}

// They are in their own code for a millionth of their time.
TEST_F(WasmerEngineTest, GuestsThatDoNothingButFillOrCopyEndAtTheirDeadlines) {
  for (const char* code : {"(memory.fill (i32.const 0) (i32.const 1) (i32.const 67108864))",
                           "(memory.copy (i32.const 1) (i32.const 0) (i32.const 67108863))",
                           "(table.copy (i32.const 1) (i32.const 0) (i32.const 199999))"}) {
    const auto module =
        Load(Compile(std::string("(module (memory (export \"memory\") 1024) (table 200000 funcref)"
                                 "(func (export \"_start\") (loop ") +
                     code + " (br 0))))"));
    ASSERT_TRUE(module) << module.error().message;
    EXPECT_EQ(Run(**module, 1, milliseconds(20)).front(), OutcomeKind::kDeadline) << code;
  }
}

TEST_F(WasmerEngineTest, DamagedNativeCodeIsRefused) {
  const std::string code =
      Compile("(module (memory (export \"memory\") 1) (func (export \"_start\")))");
  ASSERT_TRUE(Load(code));
  for (const size_t place : {size_t{0}, size_t{20}, size_t{44}, size_t{63}, size_t{64},
                             code.size() / 2, code.size() - 1}) {
    std::string damaged = code;
    damaged[place] = static_cast<char>(damaged[place] ^ 1);
    const auto module = Load(damaged);
    ASSERT_FALSE(module) << "byte " << place;
    EXPECT_EQ(module.error().code, Code::kCorrupt);
  }
  for (const size_t size : {size_t{0}, size_t{1}, size_t{64}, code.size() - 1}) {
    const auto module = Load(code.substr(0, size));
    ASSERT_FALSE(module) << size << " bytes";
    EXPECT_EQ(module.error().code, Code::kCorrupt);
  }
}

uint64_t ResidentBytes() {
  std::istringstream fields(ReadFile("/proc/self/statm").value_or(""));
  uint64_t total = 0;
  uint64_t resident = 0;
  fields >> total >> resident;
  return resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(WasmerEngineTest, NativeCodeIsFreedWithItsModule) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer keeps what is freed";
#endif
  std::string functions;
  for (int i = 0; i < 500; ++i) {
    functions += "(func (param f64) (result f64) (f64.add (local.get 0) (f64.sqrt (local.get 0))))";
  }
  const std::string code = Compile("(module (memory (export \"memory\") 1) " + functions +
                                   "(func (export \"_start\")))");
  constexpr int kTimes = 400;
  uint64_t before = 0;
  for (int i = 0; i < kTimes; ++i) {
    if (i == kTimes / 4) before = ResidentBytes();
    const auto module = Load(code);
    ASSERT_TRUE(module) << module.error().message;
    ASSERT_EQ(Run(**module, 1, milliseconds(10'000)).front(), OutcomeKind::kDone);
  }
  const uint64_t loaded = (kTimes - kTimes / 4) * code.size();
  EXPECT_LT(ResidentBytes(), before + loaded / 10);
}

TEST_F(WasmerEngineTest, TablesThatAreTooLargeTogetherAreRefused) {
  const auto wasm = FromText(R"((module (memory (export "memory") 1)
    (table 131072 funcref) (table 131073 funcref) (func (export "_start"))))");
  ASSERT_TRUE(wasm) << wasm.error().message;
  const auto code = engine_->Compile(*wasm);
  ASSERT_FALSE(code);
  EXPECT_EQ(code.error().code, Code::kInvalidArgument);
  EXPECT_EQ(code.error().message, "the module's tables have 262145 elements; 262144 are allowed");
}

TEST_F(WasmerEngineTest, CacheHasOneEntryForEachModuleAndCompiler) {
  const TemporaryFolder folder;
  const auto wasm = FromText("(module (memory (export \"memory\") 1) (func (export \"_start\")))");
  ASSERT_TRUE(wasm) << wasm.error().message;
  const auto translate = [&](const std::string& compiler) {
    const auto module = MakeEngine(compiler, folder.path())->LoadWasm(*wasm, kMemoryLimitBytes);
    EXPECT_TRUE(module) << module.error().message;
    return std::distance(std::filesystem::directory_iterator(folder.path()), {});
  };
  EXPECT_EQ(translate("cranelift"), 1);
  EXPECT_EQ(translate("cranelift"), 1);
  EXPECT_EQ(translate("singlepass"), 2);
}

}  // namespace
}  // namespace hybridserve
