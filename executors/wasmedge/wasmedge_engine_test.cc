// What is WasmEdge's alone: native code that modules carry, and faults as signals. All else is
// tried by executors/tests.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/file.h"
#include "executors/common/watchdog.h"
#include "executors/wasmedge/wasmedge_code.h"
#include "executors/wasmedge/wasmedge_engine.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;

constexpr uint64_t kMemoryLimitBytes = 1u << 20;

std::string Bytes(std::initializer_list<uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

// (module (func (export "_start") BODY))
std::string Command(std::initializer_list<uint8_t> body) {
  const auto size = static_cast<uint8_t>(body.size() + 2);
  return Bytes({0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00,
                0x00, 0x03, 0x02, 0x01, 0x00, 0x07, 0x0a, 0x01, 0x06, 0x5f, 0x73, 0x74, 0x61,
                0x72, 0x74, 0x00, 0x00, 0x0a, static_cast<uint8_t>(size + 2), 0x01, size, 0x00}) +
         Bytes(body) + Bytes({0x0b});
}
std::string Nothing() { return Command({0x01}); }            // nop
std::string Trap() { return Command({0x00}); }               // unreachable
std::string Loop() { return Command({0x03, 0x40, 0x0c, 0x00, 0x0b}); }

class WasmEdgeEngineTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto folder = OpenFile(scratch_.path(), O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(folder);
    folder_ = std::move(*folder);
    auto engine = MakeWasmEdgeEngine({.compiler = GetParam(), .scratch_folder = folder_.get()});
    ASSERT_TRUE(engine) << engine.error().message;
    engine_ = std::move(*engine);
  }
  std::unique_ptr<Module> Load(const std::string& wasm) {
    auto module = engine_->LoadWasm(wasm, kMemoryLimitBytes);
    EXPECT_TRUE(module) << module.error().message;
    return module ? std::move(*module) : nullptr;
  }
  static OutcomeKind Run(Module& module, wasi::Wasi& wasi, std::chrono::milliseconds timeout) {
    static std::atomic<uint64_t> id{0};
    wasi.guard().Begin(++id, SteadyClock::now() + timeout);
    wasi.Begin({});
    const RunResult result = module.Run(wasi);
    wasi.guard().End();
    wasi.End();
    return result.kind;
  }

  const TemporaryFolder scratch_;
  UniqueFd folder_;
  std::unique_ptr<Engine> engine_;
};

TEST_P(WasmEdgeEngineTest, NativeCodeThatAModuleCarriesIsNotRun) {
  // The native code of a module that traps, in one that does nothing.
  const WasmEdgeConfig config = MakeWasmEdgeConfig(false);
  const auto universal = CompileToNative(config.get(), Trap(), folder_.get());
  ASSERT_TRUE(universal) << universal.error().message;
  ASSERT_TRUE(universal->starts_with(Trap()));
  const std::string section = universal->substr(Trap().size());
  ASSERT_THAT(section, HasSubstr("wasmedge"));
  const auto module = Load(Nothing() + section);
  ASSERT_NE(module, nullptr);
  Watchdog watchdog(1, [this] { engine_->Interrupt(); });
  wasi::Wasi wasi(watchdog.guard(0));
  EXPECT_EQ(Run(*module, wasi, std::chrono::seconds(10)), OutcomeKind::kDone);
}

TEST_P(WasmEdgeEngineTest, TrapsAndDeadlinesInOneThreadLeaveTheOthersAlone) {
  constexpr uint32_t kThreads = 6;
  const std::vector<std::string> sources{Nothing(), Trap(), Loop()};
  constexpr OutcomeKind kKinds[] = {OutcomeKind::kDone, OutcomeKind::kTrap, OutcomeKind::kDeadline};
  std::vector<std::unique_ptr<Module>> modules;
  for (const std::string& source : sources) modules.push_back(Load(source));
  Watchdog watchdog(kThreads, [this] { engine_->Interrupt(); });
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      wasi::Wasi wasi(watchdog.guard(i));
      const size_t which = i % 3;
      const bool loops = kKinds[which] == OutcomeKind::kDeadline;
      for (int run = 0; run < (loops ? 20 : 1000); ++run) {
        const std::chrono::milliseconds timeout(loops ? 5 : 60'000);
        if (Run(*modules[which], wasi, timeout) != kKinds[which]) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(WasmEdgeEngineTest, CodeOfTheOtherCompilerIsCorrupt) {
  const std::string file = MakeCodeFile("wasmedge/another", Nothing());
  auto code = SealedMemfd("code", file);
  ASSERT_TRUE(code);
  const auto module = engine_->Load(std::move(*code), kMemoryLimitBytes);
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().code, Code::kCorrupt);
  EXPECT_THAT(module.error().message, HasSubstr("another version, compiler or machine"));
}

INSTANTIATE_TEST_SUITE_P(Compilers, WasmEdgeEngineTest, testing::Values("llvm", "interpreter"),
                         [](const auto& row) { return row.param; });

TEST(StripCustomSections, LeavesTheOtherSectionsAsTheyAre) {
  const std::string custom = Bytes({0x00, 0x03, 0x01, 0x61, 0x62});
  const auto stripped = StripCustomSections(Nothing() + custom);
  ASSERT_TRUE(stripped);
  EXPECT_EQ(*stripped, Nothing());
}

TEST(StripCustomSections, RefusesWhatIsCutOffOrNoModule) {
  const std::string whole = Nothing();
  EXPECT_FALSE(StripCustomSections(whole.substr(0, whole.size() - 1)));
  EXPECT_FALSE(StripCustomSections(whole + Bytes({0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})));
  EXPECT_FALSE(StripCustomSections("\x7f" "ELF"));
  EXPECT_FALSE(StripCustomSections(""));
}

}  // namespace
}  // namespace hybridserve
