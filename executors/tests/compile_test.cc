// Compiling: what is refused and how it is said, and the cache of native code.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>

#include "executors/tests/executor_fixture.h"
#include "wasm/aot_cache.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;
using testing::Not;

class CompileTest : public ExecutorFixture {
 protected:
  Result<> Prepare(const std::string& wasm, uint64_t memory_bytes = 128u << 20) {
    const auto function = Deploy(wasm);
    function->manifest.limits.memory_bytes = memory_bytes;
    return Await(pool_->Prepare(function));
  }
  void ExpectRefused(const Result<>& result, const std::string& says) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::kInvalidArgument) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr(says));
    EXPECT_THAT(result.error().message, Not(HasSubstr("\n")));
  }
  /// The cache's one entry with this ending.
  std::filesystem::path CachedFile(const std::string& extension) {
    for (const auto& file : std::filesystem::directory_iterator(folder_.path() / "aot")) {
      if (file.path().extension() == extension) return file.path();
    }
    return {};
  }
};

TEST_F(CompileTest, FileThatIsNotWasmIsRefused) {
  ExpectRefused(Prepare("#!/bin/sh\necho hello\n"), "not a WebAssembly file");
  ExpectRefused(Prepare(""), "empty");
}

TEST_F(CompileTest, EveryTruncationIsRefused) {
  HS_GUEST_OR_SKIP(wasm, FromText(Command("(call $answer)")));
  for (size_t size = 1; size < wasm.size(); size += 37) {
    const auto result = Prepare(wasm.substr(0, size));
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().code, Code::kInvalidArgument) << size << result.error().message;
  }
}

TEST_F(CompileTest, CodeThatDoesNotValidateIsRefused) {
  HS_GUEST_OR_SKIP(wasm, FromText(Command("(drop (i32.add (i32.const 1) (i32.const 2)))")));
  std::string broken = wasm;
  const size_t add = broken.rfind('\x6a');
  ASSERT_NE(add, std::string::npos);
  broken[add] = '\x7c';  // i64.add
  ExpectRefused(Prepare(broken), "type mismatch");
}

TEST_F(CompileTest, UnknownImportsAreNamed) {
  HS_GUEST_OR_SKIP(wasm, FromText(R"((module
    (import "env" "emscripten_sleep" (func))
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "no_such" (func))
    (func (export "_start"))))"));
  ExpectRefused(Prepare(wasm), "env.emscripten_sleep, wasi_snapshot_preview1.no_such;");
}

TEST_F(CompileTest, KnownImportOfAWrongTypeIsRefused) {
  HS_GUEST_OR_SKIP(wasm, FromText(R"((module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32)))
    (memory (export "memory") 1)
    (func (export "_start"))))"));
  ExpectRefused(Prepare(wasm), "fd_write");
}

TEST_F(CompileTest, LibraryWithoutStartIsRefused) {
  HS_GUEST_OR_SKIP(wasm, FromText(R"((module (func (export "run"))))"));
  ExpectRefused(Prepare(wasm), "exports no function _start");
}

TEST_F(CompileTest, StartOfAWrongTypeIsRefused) {
  HS_GUEST_OR_SKIP(wasm, FromText(R"((module (func (export "_start") (param i32))))"));
  ExpectRefused(Prepare(wasm), "_start");
}

TEST_F(CompileTest, ComponentIsRefusedAsSuch) {
  ExpectRefused(Prepare(std::string("\0asm\x0d\0\x01\0", 8)), "component");
}

TEST_F(CompileTest, MemoryOverTheLimitIsRefusedAlsoWhenTheCodeIsInTheCache) {
  HS_GUEST_OR_SKIP(wasm, FromText("(module (memory 100) (memory 60) (func (export \"_start\")))"));
  ASSERT_TRUE(Prepare(wasm, 16u << 20));
  ExpectRefused(Prepare(wasm, 8u << 20), "needs 10 MiB of memory at its start; the limit is 8 MiB");
  EXPECT_EQ(host_.compiled(), 1);
}

TEST_F(CompileTest, SharedMemoryIsRefused) {
  HS_GUEST_OR_SKIP(wasm, FromText("(module (func (export \"_start\")))"));
  // The same with a memory section: one shared memory of 1 to 2 pages, put before the exports.
  std::string shared = wasm;
  const size_t exports = shared.find(std::string("\x07\x0a\x01\x06_start", 10));
  ASSERT_NE(exports, std::string::npos);
  shared.insert(exports, std::string("\x05\x04\x01\x03\x01\x02", 6));
  const auto result = Prepare(shared);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kInvalidArgument) << result.error().message;
}

TEST_F(CompileTest, RestartFindsTheCodeInTheCache) {
  HS_GUEST_OR_SKIP(wasm, FromText(Command("(call $answer)")));
  ASSERT_TRUE(Prepare(wasm));
  MakePool();
  const auto function = Deploy(wasm);
  EXPECT_EQ(BodyOf(Invoke(function)), "ok");
  EXPECT_EQ(host_.compiled(), 1);
}

TEST_F(CompileTest, CallersAtOnceShareOneJob) {
  HS_GUEST_OR_SKIP(wasm, FromText(Command("(call $answer)")));
  const auto function = Deploy(wasm);
  int done = 0;
  for (int i = 0; i < 5; ++i) {
    boost::asio::co_spawn(
        loop_, pool_->Prepare(function),
        [&done](const std::exception_ptr&, const Result<>& r) { done += r ? 1 : 0; });
  }
  loop_.restart();
  while (done < 5 && loop_.run_one() != 0) {
  }
  EXPECT_EQ(done, 5);
  EXPECT_EQ(host_.compiled(), 1);
}

class CorruptCodeTest : public CompileTest, public testing::WithParamInterface<int> {};

TEST_P(CorruptCodeTest, IsCompiledAgainAndNeverMapped) {
  HS_GUEST_OR_SKIP(wasm, FromText(Command("(call $answer)")));
  ASSERT_TRUE(Prepare(wasm));
  const std::filesystem::path native = CachedFile(".native");
  const std::filesystem::path mac = CachedFile(".mac");
  ASSERT_FALSE(native.empty() || mac.empty());
  switch (GetParam()) {
    case 0: {
      std::fstream file(native, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(native) / 2));
      file.put('\x5a');
      break;
    }
    case 1:
      std::filesystem::resize_file(native, std::filesystem::file_size(native) / 2);
      break;
    case 2:
      std::filesystem::remove(mac);
      break;
    case 3:
      ASSERT_TRUE(WriteFileAtomically(mac, "hybridserve-aot 1\nmac 00\n"));
      break;
    case 4:
      std::filesystem::remove(folder_.path() / "aot.key");
      break;
    default:
      ASSERT_TRUE(WriteFileAtomically(native, ""));
      break;
  }
  MakePool();
  EXPECT_EQ(BodyOf(Invoke(Deploy(wasm))), "ok");
  EXPECT_EQ(host_.compiled(), 2);
}

constexpr const char* kCorruptions[] = {"FlippedByte", "CutOff",     "MacGone",
                                        "MacForged",   "AnotherKey", "Empty"};
INSTANTIATE_TEST_SUITE_P(Cases, CorruptCodeTest, testing::Range(0, 6),
                         [](const auto& row) { return kCorruptions[row.param]; });

TEST_F(CompileTest, CodeThatPassesItsCheckAndCannotBeLoadedIsCompiledAgain) {
  HS_GUEST_OR_SKIP(wasm, FromText(Command("(call $answer)")));
  // As if an older build of this engine had written it: authentic, and of no use.
  Result<AotCache> cache = AotCache::Open(folder_.path() / "aot", folder_.path() / "aot.key");
  ASSERT_TRUE(cache);
  const JobResult said = RunProgram("hybridserve-executor-wasmtime", {"fingerprint"}, {});
  const std::string key =
      AotCache::KeyOf(Sha256(wasm), said.output.substr(0, said.output.find('\n')));
  Result<AotCache::Draft> draft = cache->Begin(key);
  ASSERT_TRUE(draft);
  ASSERT_TRUE(WriteAll(draft->fd.get(), "not native code"));
  ASSERT_TRUE(cache->Commit(key, std::move(*draft), 0));
  EXPECT_EQ(BodyOf(Invoke(Deploy(wasm))), "ok");
  EXPECT_EQ(host_.compiled(), 1);
}

TEST(ExecutorProgram, RefusesUnknownArguments) {
  const JobResult unknown = RunProgram("hybridserve-executor-wasmtime", {"serve", "--fast"}, {});
  EXPECT_EQ(unknown.exit_status, 2);
  EXPECT_THAT(unknown.output, HasSubstr("unknown argument '--fast'"));
  const JobResult nothing = RunProgram("hybridserve-executor-wasmtime", {}, {});
  EXPECT_EQ(nothing.exit_status, 2);
  EXPECT_THAT(nothing.output, HasSubstr("usage:"));
}

}  // namespace
}  // namespace hybridserve
