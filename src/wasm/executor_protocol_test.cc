#include "wasm/executor_protocol.h"

#include <gtest/gtest.h>

#include "ipc/seqpacket.h"

namespace hybridserve {
namespace {

std::string Block(std::initializer_list<std::string_view> strings) {
  std::string block;
  for (const std::string_view text : strings) block.append(text).push_back('\0');
  return block;
}

ModuleLoad SomeLoad() {
  ModuleLoad load;
  load.memory_limit_bytes = 1u << 20;
  load.output_limit_bytes = 2u << 20;
  load.disk_limit_bytes = 4u << 20;
  load.run_timeout_us = 3;
  load.environment = Block({"A=1", "B="});
  load.environment_count = 2;
  load.folders = {{"/data", true}, {"/read", false}};
  return load;
}

template <size_t kBytes>
std::string Join(const std::array<char, kBytes>& head,
                 std::initializer_list<std::string_view> rest) {
  std::string datagram(head.data(), head.size());
  for (const std::string_view part : rest) datagram.append(part);
  return datagram;
}

std::string SomeInvoke(bool body_in_file = false) {
  const std::string load = *EncodeLoad(SomeLoad());
  const std::string variables = Block({"X=1", "Y=2", "Z=3"});
  const auto head = EncodeInvokeHead({.id = 77,
                                      .module = 5,
                                      .load = load,
                                      .request_variables = variables,
                                      .variable_count = 3,
                                      .body_bytes = 4,
                                      .body_in_file = body_in_file});
  return Join(head, {load, variables, body_in_file ? "" : "body"});
}

std::string SomeOutcome() {
  const auto head = EncodeOutcomeHead({.id = 9,
                                       .kind = OutcomeKind::kTrap,
                                       .loaded_now = true,
                                       .exit_status = 3,
                                       .load_us = 1,
                                       .instantiate_us = 2,
                                       .run_us = 4,
                                       .peak_memory_bytes = 65536,
                                       .message = "why",
                                       .log = "log!",
                                       .output_bytes = 2,
                                       .output = "ok"});
  return Join(head, {"why", "log!", "ok"});
}

TEST(ExecutorProtocol, LoadComesBackAsItWas) {
  EXPECT_EQ(*DecodeLoad(*EncodeLoad(SomeLoad())), SomeLoad());
}

TEST(ExecutorProtocol, LoadOverItsLimitsIsNotSent) {
  ModuleLoad load = SomeLoad();
  load.environment = std::string(kMaxEnvironmentBytes + 1, 'x');
  EXPECT_EQ(EncodeLoad(load).error().code, Code::kTooLarge);
  load = SomeLoad();
  load.folders.resize(kMaxFolders + 1);
  EXPECT_EQ(EncodeLoad(load).error().code, Code::kTooLarge);
}

TEST(ExecutorProtocol, InvokeComesBackAsItWas) {
  const std::string datagram = SomeInvoke();
  const auto invoke = DecodeInvoke(datagram);
  ASSERT_TRUE(invoke);
  EXPECT_EQ(invoke->id, 77u);
  EXPECT_EQ(invoke->module, 5u);
  EXPECT_EQ(invoke->variable_count, 3u);
  EXPECT_EQ(invoke->request_variables, Block({"X=1", "Y=2", "Z=3"}));
  EXPECT_EQ(invoke->body, "body");
  EXPECT_EQ(*DecodeLoad(invoke->load), SomeLoad());
}

TEST(ExecutorProtocol, InvokeWithItsBodyInAFileHasNoneInline) {
  const std::string datagram = SomeInvoke(/*body_in_file=*/true);
  const auto invoke = DecodeInvoke(datagram);
  ASSERT_TRUE(invoke);
  EXPECT_TRUE(invoke->body_in_file);
  EXPECT_EQ(invoke->body_bytes, 4u);
  EXPECT_EQ(invoke->body, "");
}

TEST(ExecutorProtocol, OutcomeComesBackAsItWas) {
  const std::string datagram = SomeOutcome();
  const auto outcome = DecodeOutcome(datagram);
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->id, 9u);
  EXPECT_EQ(outcome->kind, OutcomeKind::kTrap);
  EXPECT_TRUE(outcome->loaded_now);
  EXPECT_EQ(outcome->exit_status, 3u);
  EXPECT_EQ(outcome->load_us + outcome->instantiate_us + outcome->run_us, 7u);
  EXPECT_EQ(outcome->peak_memory_bytes, 65536u);
  EXPECT_EQ(outcome->message, "why");
  EXPECT_EQ(outcome->log, "log!");
  EXPECT_EQ(outcome->output, "ok");
}

TEST(ExecutorProtocol, ControlComesBackAsItWas) {
  const auto bytes = EncodeControl({.kind = ControlKind::kCancel, .id = 12});
  const auto control = DecodeControl({bytes.data(), bytes.size()});
  ASSERT_TRUE(control);
  EXPECT_EQ(control->kind, ControlKind::kCancel);
  EXPECT_EQ(control->id, 12u);
}

TEST(ExecutorProtocol, EveryTruncationAndExtensionFails) {
  const std::string invoke = SomeInvoke();
  const std::string outcome = SomeOutcome();
  const std::string load = *EncodeLoad(SomeLoad());
  for (size_t i = 0; i < invoke.size(); ++i) EXPECT_FALSE(DecodeInvoke(invoke.substr(0, i))) << i;
  for (size_t i = 0; i < outcome.size(); ++i)
    EXPECT_FALSE(DecodeOutcome(outcome.substr(0, i))) << i;
  for (size_t i = 0; i < load.size(); ++i) EXPECT_FALSE(DecodeLoad(load.substr(0, i))) << i;
  EXPECT_FALSE(DecodeInvoke(invoke + "x"));
  EXPECT_FALSE(DecodeOutcome(outcome + "x"));
  EXPECT_FALSE(DecodeLoad(load + "x"));
}

struct BrokenByte {
  std::string name;
  size_t offset;
  char value;
};
class BrokenInvokeTest : public testing::TestWithParam<BrokenByte> {};

TEST_P(BrokenInvokeTest, IsRefused) {
  std::string datagram = SomeInvoke();
  datagram[GetParam().offset] = GetParam().value;
  EXPECT_FALSE(DecodeInvoke(datagram));
}

INSTANTIATE_TEST_SUITE_P(
    ExecutorProtocol, BrokenInvokeTest,
    testing::Values(BrokenByte{"Version", 0, 9}, BrokenByte{"Kind", 1, 'O'},
                    BrokenByte{"VariableCount", 4, 2}, BrokenByte{"IdOfZero", 8, 0},
                    BrokenByte{"ModuleOfZero", 16, 0}, BrokenByte{"HugeLoad", 27, '\x7f'},
                    BrokenByte{"HugeVariables", 31, '\x7f'}, BrokenByte{"HugeBody", 39, '\x7f'}),
    [](const auto& row) { return row.param.name; });

TEST(ExecutorProtocol, OutcomeOfAnUnknownKindIsRefused) {
  std::string datagram = SomeOutcome();
  datagram[2] = 100;
  EXPECT_FALSE(DecodeOutcome(datagram));
}

TEST(ExecutorProtocol, LargestDatagramsFitTheReceiver) {
  EXPECT_LE(kInvokeHeadBytes + kMaxEnvironmentBytes + kMaxFolders * 300 + kMaxVariableBytes +
                ipc::kMaxInlineBytes,
            ipc::kMaxDatagramBytes);
  EXPECT_LE(kOutcomeHeadBytes + kMaxMessageBytes + kMaxLogBytes + ipc::kMaxInlineBytes,
            ipc::kMaxDatagramBytes);
  // The code, the folders and a body.
  EXPECT_LE(1 + kMaxFolders + 1, ipc::kMaxFds);
}

}  // namespace
}  // namespace hybridserve
