// What the runtime suite needs of every runtime that runs real containers: the image with the
// suite's program, and the specs that run it.
//
// Thread rule: test code, one thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/file.h"
#include "container/image/packer.h"
#include "container/runtime_conformance.h"
#include "launcher/messages.h"

namespace hybridserve {

/// Packs the suite's program (beside this one) as an image and has `import` take it in.
inline Result<Digest> ImportConformanceImage(
    TestLoop& loop, const std::function<Awaitable<UnpackedImage>(int, Digest)>& import) {
  const TemporaryFolder folder;
  ImageFile guest;
  guest.path = "/guest";
  guest.mode = 0755;
  guest.source = ProgramFolder() / "container_conformance_guest";
  ImagePlan plan;
  plan.files.push_back(guest);
  plan.entrypoint = {"/guest"};
  TRY_ASSIGN(const Digest digest, PackImage(plan, folder.path() / "image.tar"));
  TRY_ASSIGN(const UniqueFd archive, OpenFile(folder.path() / "image.tar", O_RDONLY));
  TRY_ASSIGN(const UnpackedImage image, loop.Await(import(archive.get(), digest)));
  return image.image;
}

class SandboxHarness : public RuntimeHarness {
 public:
  SandboxHarness(TestLoop& loop, ContainerRuntime& runtime, Digest image)
      : loop_(loop), runtime_(runtime), image_(std::move(image)) {}
  TestLoop& loop() override { return loop_; }
  ContainerRuntime& runtime() override { return runtime_; }

  ContainerSpec Spec(ConformanceProgram program) override {
    ContainerSpec spec;
    spec.sandbox.name = "conformance";
    spec.sandbox.image = image_;
    spec.sandbox.argv = {"/guest"};
    spec.sandbox.environment["GREETING"] = "good morning";
    spec.sandbox.uid = 1000;
    spec.sandbox.gid = 1000;
    spec.sandbox.memory_bytes = 32 << 20;
    spec.sandbox.disk_bytes = 1 << 20;
    spec.sandbox.pids = 16;
    switch (program) {
      case ConformanceProgram::kServes:
        spec.sandbox.argv.emplace_back("serve");
        break;
      case ConformanceProgram::kNeverListens:
        spec.sandbox.argv.emplace_back("never-listen");
        break;
      case ConformanceProgram::kExits:
        spec.sandbox.argv.emplace_back("exit");
        break;
      case ConformanceProgram::kSpeaks:
        spec.sandbox.argv.emplace_back("speak");
        break;
      case ConformanceProgram::kMissing:
        spec.sandbox.argv = {"/no-such-program"};
        break;
      case ConformanceProgram::kNoImage:
        spec.sandbox.image.value = std::string(64, '0');
        break;
    }
    return spec;
  }
  void MakeItExit(ContainerId id) override { Send(id, "GET /exit HTTP/1.1\r\n\r\n"); }
  void MakeItEatMemory(ContainerId id) override { Send(id, "GET /eat HTTP/1.1\r\n\r\n"); }
  void MakeItKnock(ContainerId id, uint16_t port) override {
    Send(id, "GET /knock/" + std::to_string(port) + " HTTP/1.1\r\n\r\n");
  }

  std::optional<std::string> AnswerTo(ContainerId id, std::string_view path) override {
    constexpr std::string_view kEmptyLine = "\r\n\r\n";
    Result<UniqueFd> stream = loop().Await(runtime().Connect(id));
    if (!stream) return "no connection: " + stream.error().message;
    Connection connection(loop().executor(), std::move(*stream));
    if (!loop().Await(connection.Write("GET " + std::string(path) + " HTTP/1.1\r\n\r\n"))) return "";
    std::string answer;
    char bytes[4096];
    while (answer.find(kEmptyLine) == std::string::npos || answer.ends_with(kEmptyLine)) {
      const auto size = loop().Await(connection.Read(bytes, Connection::Expect::kBytes));
      if (!size || *size == 0) break;
      answer.append(bytes, *size);
    }
    return answer.substr(answer.find(kEmptyLine) + kEmptyLine.size());
  }

 private:
  void Send(ContainerId id, std::string_view request) {
    Result<UniqueFd> stream = loop().Await(runtime().Connect(id));
    ASSERT_TRUE(stream);
    Connection connection(loop().executor(), std::move(*stream));
    ASSERT_TRUE(loop().Await(connection.Write(request)));
  }

  TestLoop& loop_;
  ContainerRuntime& runtime_;
  Digest image_;
};

}  // namespace hybridserve
