#include "container/fake/fake_runtime.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "container/runtime_conformance.h"

namespace hybridserve {
namespace {

class FakeHarness : public RuntimeHarness {
 public:
  FakeHarness() {
    runtime_.program = [](const ContainerSpec& spec) { return Program(spec); };
  }
  TestLoop& loop() override { return loop_; }
  ContainerRuntime& runtime() override { return runtime_; }
  ContainerSpec Spec(ConformanceProgram program) override {
    ContainerSpec spec;
    spec.sandbox.argv = {std::to_string(static_cast<int>(program))};
    spec.sandbox.environment["GREETING"] = "good morning";
    return spec;
  }
  void MakeItExit(ContainerId id) override { runtime_.Exit(id, 7); }
  void MakeItEatMemory(ContainerId id) override { runtime_.Exit(id, 128 + 9, true); }
  void MakeItKnock(ContainerId id, uint16_t port) override {
    knocking_ = runtime_.Dial(id, port);
    ASSERT_EQ(::send(knocking_.get(), "knock", 5, MSG_NOSIGNAL), 5);
  }

  std::optional<std::string> AnswerTo(ContainerId, std::string_view) override { return {}; }

 private:
  static FakeProgram Program(const ContainerSpec& spec) {
    FakeProgram program;
    switch (static_cast<ConformanceProgram>(std::stoi(spec.sandbox.argv.at(0)))) {
      case ConformanceProgram::kServes:
        program.listens_after = std::chrono::milliseconds(3);
        break;
      case ConformanceProgram::kNeverListens:
        program.listens_after.reset();
        break;
      case ConformanceProgram::kExits:
        program.output = "out\nerr\n";
        program.exits_after = std::chrono::milliseconds(1);
        program.exit_status = 3;
        break;
      case ConformanceProgram::kSpeaks:
        program.output = "PORT=" + std::to_string(spec.port) +
                         "\nGREETING=" + spec.sandbox.environment.at("GREETING") + "\n";
        break;
      case ConformanceProgram::kMissing:
        program.start_error = Error{Code::kInvalidArgument, "no such program"};
        break;
      case ConformanceProgram::kNoImage:
        program.start_error = Error{Code::kNotFound, "no such image"};
        break;
    }
    return program;
  }

  TestLoop loop_;
  SystemClock clock_{loop_.executor()};
  FakeRuntime runtime_{loop_.executor(), clock_};
  UniqueFd knocking_;
};

MadeHarness MakeFakeHarness() {
  MadeHarness made;
  made.harness = std::make_unique<FakeHarness>();
  return made;
}

INSTANTIATE_TEST_SUITE_P(Fake, RuntimeConformance, testing::Values(&MakeFakeHarness));

}  // namespace
}  // namespace hybridserve
