// The pool of executors and a real executor, together.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>

#include "executors/tests/executor_fixture.h"
#include "wasm/executor_protocol.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

class ExecutorTest : public ExecutorFixture {
 protected:
  std::shared_ptr<Deployed> DeployText(std::string_view code, std::string_view fields = "") {
    const Result<std::string> wasm = FromText(Command(code, fields));
    return wasm ? Deploy(*wasm) : nullptr;
  }
  void ExpectFailure(const Result<WasmResult>& result, Code code, const std::string& says) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_THAT(result.error().message, HasSubstr(says));
  }
};

constexpr std::string_view kLoop = "(loop $again (br $again))";

TEST_F(ExecutorTest, FirstInvocationIsColdAndTheNextIsWarm) {
  const auto function = DeployText("(call $answer)");
  EXPECT_FALSE(pool_->IsLoaded(*function));
  const auto first = Invoke(function);
  EXPECT_EQ(BodyOf(first), "ok");
  EXPECT_EQ(first->start_kind, StartKind::kCold);
  EXPECT_EQ(first->peak_memory_bytes, 65536u);
  EXPECT_TRUE(pool_->IsLoaded(*function));
  const auto second = Invoke(function);
  EXPECT_EQ(BodyOf(second), "ok");
  EXPECT_EQ(second->start_kind, StartKind::kWarm);
  EXPECT_EQ(host_.compiled(), 1);
}

TEST_F(ExecutorTest, UnloadedFunctionIsColdAgainAndNotCompiledAgain) {
  const auto function = DeployText("(call $answer)");
  ASSERT_TRUE(Invoke(function));
  pool_->Unload(*function);
  EXPECT_FALSE(pool_->IsLoaded(*function));
  const auto again = Invoke(function);
  EXPECT_EQ(BodyOf(again), "ok");
  EXPECT_EQ(again->start_kind, StartKind::kCold);
  EXPECT_EQ(host_.compiled(), 1);
}

TEST_F(ExecutorTest, EachInvocationGetsFreshGlobalsAndMemory) {
  // Traps if the global or the memory shows what an earlier run wrote.
  const auto function = DeployText(R"(
    (if (i32.ne (global.get $count) (i32.const 0)) (then unreachable))
    (if (i32.ne (i32.load (i32.const 4096)) (i32.const 0)) (then unreachable))
    (if (i32.ne (memory.size) (i32.const 1)) (then unreachable))
    (global.set $count (i32.const 1))
    (i32.store (i32.const 4096) (i32.const 1))
    (drop (memory.grow (i32.const 3)))
    (i32.store (i32.const 140000) (i32.const 1))
    (call $answer))",
                                   "(global $count (mut i32) (i32.const 0))");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(BodyOf(Invoke(function)), "ok") << i;
}

TEST_F(ExecutorTest, TrapNamesTheFunctionsThatLedToIt) {
  const auto function =
      DeployText("(call $outer)", "(func $inner unreachable) (func $outer (call $inner))");
  ExpectFailure(Invoke(function), Code::kFunctionFailed, "unreachable");
  if (EngineUnderTest().engine == "wasmedge") GTEST_SKIP() << "WasmEdge's traps name no functions";
  ExpectFailure(Invoke(function), Code::kFunctionFailed, "at inner < outer < main");
}

TEST_F(ExecutorTest, StackOverflowIsATrap) {
  // Of a simpler one LLVM makes a loop.
  const auto function = DeployText("(drop (call $again (i32.const 1)))", R"(
    (func $again (param i32) (result i32)
      (if (result i32) (i32.eqz (local.get 0))
        (then (i32.const 7))
        (else (i32.xor
          (call $again (i32.add (local.get 0) (i32.const 1)))
          (i32.mul (call $again (i32.add (local.get 0) (i32.const 2))) (i32.const 3)))))))");
  ExpectFailure(Invoke(function), Code::kFunctionFailed, "stack");
  EXPECT_THAT(died_, testing::IsEmpty());
}

TEST_F(ExecutorTest, LoopIsEndedAtItsDeadline) {
  const auto function = DeployText(kLoop);
  function->manifest.limits.run_timeout = milliseconds(50);
  const auto began = steady_clock::now();
  ExpectFailure(Invoke(function), Code::kTimeout,
                "run timeout: the function ran longer than 50 ms");
  EXPECT_LT(steady_clock::now() - began, seconds(20));
  EXPECT_THAT(died_, testing::IsEmpty());
}

TEST_F(ExecutorTest, EarlierDeadlineOfALaterInvocationHolds) {
  const auto patient = DeployText("(call $answer)");
  patient->manifest.limits.run_timeout = seconds(3600);
  ASSERT_TRUE(Invoke(patient));
  const auto looping = DeployText(kLoop);
  for (const int ms : {80, 40, 20}) {
    const auto function = std::make_shared<Deployed>(*looping);
    function->manifest.limits.run_timeout = milliseconds(ms);
    ExpectFailure(Invoke(function), Code::kTimeout, std::to_string(ms) + " ms");
  }
}

// The clock subscription of poll_oneoff: 1,000,000 s from now.
constexpr std::string_view kSleep = R"(
    (i32.store (i32.const 1024) (i32.const 7))
    (i32.store8 (i32.const 1032) (i32.const 0))
    (i32.store (i32.const 1040) (i32.const 1))
    (i64.store (i32.const 1048) (i64.const 1000000000000000))
    (drop (call $poll_oneoff (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 8)))
    (call $answer))";

TEST_F(ExecutorTest, SleepIsEndedAtTheDeadline) {
  const auto function = DeployText(kSleep);
  function->manifest.limits.run_timeout = milliseconds(50);
  ExpectFailure(Invoke(function), Code::kTimeout, "run timeout");
}

class CancelTest : public ExecutorTest, public testing::WithParamInterface<std::string_view> {};

TEST_P(CancelTest, EndsTheGuestAndLeavesTheExecutorAlone) {
  const auto function = DeployText(GetParam());
  const auto healthy = DeployText("(call $answer)");
  function->manifest.limits.run_timeout = seconds(3600);
  ASSERT_TRUE(Await(pool_->Prepare(function)));
  ASSERT_TRUE(Invoke(healthy));
  for (int i = 0; i < 5; ++i) {
    asio::cancellation_signal signal;
    std::optional<Result<WasmResult>> result;
    asio::co_spawn(loop_, pool_->Invoke({.function = function, .head = &head_}),
                   asio::bind_cancellation_slot(
                       signal.slot(), [&result](const std::exception_ptr&, Result<WasmResult> r) {
                         result.emplace(std::move(r));
                       }));
    asio::steady_timer timer(loop_, milliseconds(i * 5));
    timer.async_wait([&signal](const auto&) { signal.emit(asio::cancellation_type::terminal); });
    loop_.restart();
    while (!result && loop_.run_one() != 0) {
    }
    ASSERT_TRUE(result);
    ExpectFailure(*result, Code::kCancelled, "client");
  }
  EXPECT_EQ(BodyOf(Invoke(healthy)), "ok");
  EXPECT_THAT(died_, testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Guests, CancelTest, testing::Values(kLoop, kSleep),
                         [](const auto& row) { return row.index == 0 ? "Loop" : "Sleep"; });

TEST_F(ExecutorTest, ExitStatusIsTold) {
  ExpectFailure(Invoke(DeployText("(call $proc_exit (i32.const 3))")), Code::kFunctionFailed,
                "exited with status 3");
}

TEST_F(ExecutorTest, ExitWithZeroAfterAnAnswerIsAnAnswer) {
  EXPECT_EQ(BodyOf(Invoke(DeployText("(call $answer) (call $proc_exit (i32.const 0))"))), "ok");
}

TEST_F(ExecutorTest, BadCgiHeadersAreAFailureWithTheLine) {
  ExpectFailure(Invoke(DeployText("(i32.store8 (i32.const 28) (i32.const 32)) (call $answer)")),
                Code::kFunctionFailed, "Content-Type");
}

TEST_F(ExecutorTest, PointersOutsideMemoryAreErrnosAndNotCrashes) {
  // fd_write from beyond the end of memory answers EFAULT (21).
  const auto function = DeployText(R"(
    (if (i32.ne (i32.const 21)
          (call $fd_write (i32.const 1) (i32.const -4) (i32.const 1) (i32.const 8)))
      (then unreachable))
    (i32.store (i32.const 0) (i32.const -100))
    (i32.store (i32.const 4) (i32.const 1000))
    (if (i32.ne (i32.const 21)
          (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (then unreachable))
    (call $answer))");
  EXPECT_EQ(BodyOf(Invoke(function)), "ok");
}

TEST_F(ExecutorTest, MemoryBeyondTheLimitIsRefusedAndNamed) {
  const auto function = DeployText(R"(
    (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))
    (call $answer))");
  function->manifest.limits.memory_bytes = 2u << 20;
  ExpectFailure(Invoke(function), Code::kFunctionFailed, "refused more than 2 MiB of memory");
}

TEST_F(ExecutorTest, LimitHoldsOverAllMemoriesTogether) {
  // 1 MiB each would be within the limit for one memory; the second growth must fail.
  const auto function = DeployText(R"(
    (if (i32.eq (memory.grow $a (i32.const 15)) (i32.const -1)) (then (call $proc_exit (i32.const 8))))
    (if (i32.ne (memory.grow $b (i32.const 15)) (i32.const -1)) (then (call $proc_exit (i32.const 9))))
    (call $answer))",
                                   "(memory $a 1) (memory $b 1)");
  function->manifest.limits.memory_bytes = 20u << 16;
  const auto result = Invoke(function);
  EXPECT_EQ(BodyOf(result), "ok");
  EXPECT_EQ(result->peak_memory_bytes, 18u << 16);
}

TEST_F(ExecutorTest, UnloadWhileARunIsUnderWayWaitsForIt) {
  const auto function = DeployText(kLoop);
  function->manifest.limits.run_timeout = milliseconds(100);
  ASSERT_TRUE(Await(pool_->Prepare(function)));
  std::optional<Result<WasmResult>> result;
  asio::co_spawn(
      loop_, pool_->Invoke({.function = function, .head = &head_}),
      [&result](const std::exception_ptr&, Result<WasmResult> r) { result.emplace(std::move(r)); });
  asio::steady_timer timer(loop_, milliseconds(20));
  timer.async_wait([this, function](const auto&) { pool_->Unload(*function); });
  loop_.restart();
  while (!result && loop_.run_one() != 0) {
  }
  ExpectFailure(*result, Code::kTimeout, "run timeout");
  EXPECT_FALSE(pool_->IsLoaded(*function));
}

TEST_F(ExecutorTest, KilledExecutorFailsWhatIsInFlightAndIsBackAtOnce) {
  const auto looping = DeployText(kLoop);
  const auto healthy = DeployText("(call $answer)");
  ASSERT_TRUE(Await(pool_->Prepare(looping)));
  ASSERT_TRUE(Invoke(healthy));
  std::optional<Result<WasmResult>> result;
  asio::co_spawn(
      loop_, pool_->Invoke({.function = looping, .head = &head_}),
      [&result](const std::exception_ptr&, Result<WasmResult> r) { result.emplace(std::move(r)); });
  asio::steady_timer timer(loop_, milliseconds(20));
  timer.async_wait([this](const auto&) { ::kill(host_.last_pid(), SIGKILL); });
  loop_.restart();
  while (!result && loop_.run_one() != 0) {
  }
  ExpectFailure(*result, Code::kBackendDied, "the executor died");
  EXPECT_EQ(BodyOf(Invoke(healthy)), "ok");
  EXPECT_EQ(host_.started(), 2);
  EXPECT_THAT(died_, testing::ElementsAre("default"));
}

TEST_F(ExecutorTest, ExecutorKilledWhileIdleIsNotNoticedByTheNextRequest) {
  const auto function = DeployText("(call $answer)");
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(BodyOf(Invoke(function)), "ok");
    ::kill(host_.last_pid(), SIGKILL);
    siginfo_t ended{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(host_.last_pid()), &ended, WEXITED | WNOWAIT), 0);
    loop_.restart();
    loop_.run_for(milliseconds(i * 20));
  }
  EXPECT_EQ(BodyOf(Invoke(function)), "ok");
}

TEST_F(ExecutorTest, StoppedExecutorIsKilledOnceAGuestIsOverItsGrace) {
  kill_grace_ = milliseconds(100);
  MakePool();
  const auto function = DeployText("(call $answer)");
  ASSERT_TRUE(Invoke(function));
  function->manifest.limits.run_timeout = milliseconds(100);
  ::kill(host_.last_pid(), SIGSTOP);
  ASSERT_EQ(::waitpid(host_.last_pid(), nullptr, WUNTRACED), host_.last_pid());
  ExpectFailure(Invoke(function), Code::kTimeout, "had to be killed");
  EXPECT_EQ(BodyOf(Invoke(function)), "ok");
}

TEST_F(ExecutorTest, ExecutorThatCannotBeStartedIsUnavailable) {
  host_.RefuseStarts(true);
  const auto function = DeployText("(call $answer)");
  ExpectFailure(Invoke(function), Code::kUnavailable, "refused by the test");
  host_.RefuseStarts(false);
  EXPECT_EQ(BodyOf(Invoke(function)), "ok");
}

TEST_F(ExecutorTest, DomainsHaveExecutorsOfTheirOwn) {
  const auto one = DeployText("(call $answer)");
  const auto other = std::make_shared<Deployed>(*one);
  other->manifest.domain = "other";
  ASSERT_TRUE(Invoke(one));
  const pid_t first = host_.last_pid();
  ASSERT_TRUE(Invoke(other));
  EXPECT_NE(host_.last_pid(), first);
  EXPECT_EQ(host_.started(), 2);
  EXPECT_EQ(host_.compiled(), 1);
}

TEST_F(ExecutorTest, ManyInvocationsAtOnceAllGetTheirOwnAnswer) {
  HS_GUEST_OR_SKIP(wasm, CProgram());
  const auto function = Deploy(wasm);
  ASSERT_TRUE(Await(pool_->Prepare(function)));
  constexpr int kCount = 64;
  std::vector<std::string> bodies;
  std::vector<std::optional<Result<WasmResult>>> results(kCount);
  RequestHead head;
  head.method = "POST";
  head.query = "echo=";
  for (int i = 0; i < kCount; ++i) bodies.push_back(std::string(60000, static_cast<char>('A' + i)));
  int left = kCount;
  for (int i = 0; i < kCount; ++i) {
    asio::co_spawn(loop_, pool_->Invoke({.function = function, .head = &head, .body = bodies[i]}),
                   [&results, &left, i](const std::exception_ptr&, Result<WasmResult> r) {
                     results[i].emplace(std::move(r));
                     --left;
                   });
  }
  loop_.restart();
  while (left != 0 && loop_.run_one() != 0) {
  }
  for (int i = 0; i < kCount; ++i) ASSERT_EQ(BodyOf(*results[i]), bodies[i]) << i;
}

// Below: with the C program.

class GuestProgramTest : public ExecutorTest {
 protected:
  void SetUp() override {
    ExecutorTest::SetUp();
    if (IsSkipped()) return;
    HS_GUEST_OR_SKIP(wasm, CProgram());
    function_ = Deploy(wasm);
  }
  std::string Say(const std::string& query, std::string_view body = "") {
    return BodyOf(Invoke(function_, query, body));
  }
  std::shared_ptr<Deployed> function_;
};

TEST_F(GuestProgramTest, EchoesBodiesOfEverySize) {
  function_->manifest.limits.response_bytes = 64u << 20;
  for (const size_t size : {size_t{0}, size_t{1}, size_t{65536}, size_t{65537}, size_t{5} << 20}) {
    const std::string body(size, 'x');
    EXPECT_TRUE(Say("echo=", body) == body) << size;
  }
}

TEST_F(GuestProgramTest, SeesTheRequestAndItsEnvironmentAndNothingElse) {
  function_->environment = {{"MODE", "fast"}, {"REMOTE_USER", "forged"}, {"HTTP_X_A", "forged"}};
  head_.headers = {{"X-B", "yes"}};
  head_.remote_address = "192.0.2.1";
  const std::string environment = Say("environment=", "body");
  for (const char* line :
       {"REQUEST_METHOD=POST\n", "CONTENT_LENGTH=4\n", "HTTP_X_B=yes\n", "MODE=fast\n",
        "REMOTE_ADDR=192.0.2.1\n", "GATEWAY_INTERFACE=CGI/1.1\n"}) {
    EXPECT_THAT(environment, HasSubstr(line));
  }
  for (const char* word : {"forged", "PATH=", "HOME="}) {
    EXPECT_THAT("\n" + environment, Not(HasSubstr(std::string("\n") + word)));
    EXPECT_THAT(environment, Not(HasSubstr("=forged")));
  }
}

TEST_F(GuestProgramTest, ResponseOverItsLimitIsAFailureWithTheLimit) {
  function_->manifest.limits.response_bytes = 200000;
  EXPECT_EQ(Say("big=199000").size(), 199000u);
  ExpectFailure(Invoke(function_, "big=300000"), Code::kFunctionFailed, "more than 200000 bytes");
}

TEST_F(GuestProgramTest, StaticsStartAnewInEachInvocation) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Say("counter="), "1\n");
}

TEST_F(GuestProgramTest, AllocationOverTheLimitFailsAndTheReasonIsTheLimit) {
  function_->manifest.limits.memory_bytes = 16u << 20;
  EXPECT_EQ(Say("allocate=4"), "allocated 4 MiB\n");
  ExpectFailure(Invoke(function_, "allocate=32"), Code::kFunctionFailed, "16 MiB of memory");
  EXPECT_THAT(log_, HasSubstr("r1: no memory after"));
}

TEST_F(GuestProgramTest, StandardErrorIsKeptToItsFirstBytes) {
  EXPECT_EQ(Say("stderr=100000"), "done\n");
  EXPECT_EQ(log_.size(), 4 + kMaxLogBytes);
}

TEST_F(GuestProgramTest, ShortSleepsEndByThemselves) { EXPECT_EQ(Say("sleep=20"), "slept\n"); }

TEST_F(GuestProgramTest, AbortIsATrap) {
  ExpectFailure(Invoke(function_, "abort="), Code::kFunctionFailed, "the function trapped");
}

TEST_F(GuestProgramTest, HasNoFilesUnlessGranted) {
  EXPECT_THAT(Say("files=/data"), HasSubstr("read: "));
  EXPECT_THAT(Say("files=/data"), Not(HasSubstr("ok")));
}

class ScratchTest : public GuestProgramTest {
 protected:
  // Whether all that invocations made is gone.
  bool Clean() { return std::filesystem::is_empty(host_.scratch_folder()); }
  static std::string Report(const std::string& text) {
    return "entries: 2\nmkdir: ok\ncreate: ok\nwrite: ok\nread: ok\ntext: " + text +
           "\nentries: 3\n";
  }
};

TEST_F(ScratchTest, EachInvocationHasAnEmptyTmpAndLeavesNothing) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Say("tmp=hello"), Report("hello"));
    EXPECT_TRUE(Clean());
  }
}

TEST_F(ScratchTest, InvocationsAtOnceDoNotSeeEachOthersTmp) {
  ASSERT_TRUE(Await(pool_->Prepare(function_)));
  constexpr int kCount = 16;
  std::vector<RequestHead> heads(kCount);
  std::vector<std::optional<Result<WasmResult>>> results(kCount);
  int left = kCount;
  for (int i = 0; i < kCount; ++i) {
    heads[i].method = "GET";
    heads[i].query = "tmp=" + std::to_string(i);
    asio::co_spawn(loop_, pool_->Invoke({.function = function_, .head = &heads[i]}),
                   [&results, &left, i](const std::exception_ptr&, Result<WasmResult> r) {
                     results[i].emplace(std::move(r));
                     --left;
                   });
  }
  loop_.restart();
  while (left != 0 && loop_.run_one() != 0) {
  }
  for (int i = 0; i < kCount; ++i) EXPECT_EQ(BodyOf(*results[i]), Report(std::to_string(i)));
  EXPECT_TRUE(Clean());
}

TEST_F(ScratchTest, IsRemovedHoweverTheGuestEnds) {
  ExpectFailure(Invoke(function_, "tmp=trap"), Code::kFunctionFailed, "trapped");
  EXPECT_TRUE(Clean());
  ExpectFailure(Invoke(function_, "tmp=exit"), Code::kFunctionFailed, "status 5");
  EXPECT_TRUE(Clean());
  const auto looping = std::make_shared<Deployed>(*function_);
  looping->manifest.limits.run_timeout = milliseconds(200);
  ExpectFailure(Invoke(looping, "tmp=loop"), Code::kTimeout, "run timeout");
  EXPECT_TRUE(Clean());
}

TEST_F(ScratchTest, IsGoneWithAClientThatLeaves) {
  function_->manifest.limits.run_timeout = seconds(3600);
  ASSERT_TRUE(Await(pool_->Prepare(function_)));
  head_.method = "GET";
  head_.query = "tmp=loop";
  asio::cancellation_signal signal;
  std::optional<Result<WasmResult>> result;
  asio::co_spawn(loop_, pool_->Invoke({.function = function_, .head = &head_}),
                 asio::bind_cancellation_slot(
                     signal.slot(), [&result](const std::exception_ptr&, Result<WasmResult> r) {
                       result.emplace(std::move(r));
                     }));
  loop_.restart();
  while (Clean()) loop_.run_for(milliseconds(1));  // Until the guest has made its files.
  signal.emit(asio::cancellation_type::terminal);
  while (!result && loop_.run_one() != 0) {
  }
  ExpectFailure(*result, Code::kCancelled, "client");
  while (!Clean()) loop_.run_for(milliseconds(1));
}

TEST_F(ScratchTest, GuestThatFillsItGetsAnErrorAndItsNeighbourIsFine) {
  function_->manifest.limits.disk_bytes = 1u << 20;
  const std::string full = "create: ok\nwrite: No space left on device\nbytes: 1044480\n";
  EXPECT_EQ(Say("fill="), full);
  EXPECT_EQ(Say("tmp=fine"), Report("fine"));
  EXPECT_EQ(Say("fill="), full);
}

TEST_F(ScratchTest, DoesNotExistWhereTheLimitIsZero) {
  function_->manifest.limits.disk_bytes = 0;
  EXPECT_THAT(Say("fill="), testing::StartsWith("create: "));
  EXPECT_THAT(Say("fill="), Not(HasSubstr("create: ok")));
  EXPECT_TRUE(Clean());
}

class FolderTest : public GuestProgramTest {
 protected:
  void SetUp() override {
    GuestProgramTest::SetUp();
    if (IsSkipped()) return;
    const auto granted = folder_.path() / "granted";
    std::filesystem::create_directories(granted / "sub");
    ASSERT_TRUE(WriteFileAtomically(folder_.path() / "secret", "secret"));
    ASSERT_TRUE(WriteFileAtomically(granted / "greeting", "hello"));
    std::filesystem::create_symlink("../secret", granted / "link");
    std::filesystem::create_symlink(folder_.path() / "secret", granted / "absolute");
    ASSERT_EQ(::mkfifo((granted / "fifo").c_str(), 0600), 0);
  }
  std::string Report(bool writable) {
    function_->manifest.folders = {{(folder_.path() / "granted").string(), "/data", writable}};
    return Say("files=/data");
  }
};

TEST_F(FolderTest, WritableGrantCanBeReadAndWrittenAndNotLeft) {
  const std::string report = Report(/*writable=*/true);
  for (const char* line :
       {"read: ok\ntext: hello\n", "create: ok\nwrite: ok\n", "mkdir: ok\n",
        "opendir: ok\nlisted: greeting\n", "entries: 9\n", "stat: ok\nsize: 5\n", "unlink: ok\n"}) {
    EXPECT_THAT(report, HasSubstr(line));
  }
  for (const char* attempt :
       {"dotdot", "deep dotdot", "link out", "absolute link", "fifo", "host"}) {
    EXPECT_THAT(report, HasSubstr(std::string("\n") + attempt + ": "));
    EXPECT_THAT(report, Not(HasSubstr(std::string("\n") + attempt + ": ok")));
  }
}

TEST_F(FolderTest, ReadOnlyGrantRefusesEveryChange) {
  const std::string report = Report(/*writable=*/false);
  EXPECT_THAT(report, HasSubstr("read: ok\ntext: hello\n"));
  for (const char* attempt : {"create", "mkdir", "unlink"}) {
    EXPECT_THAT(report, HasSubstr(std::string("\n") + attempt + ": Read-only file system\n"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "granted/new"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "granted/folder"));
}

}  // namespace
}  // namespace hybridserve
