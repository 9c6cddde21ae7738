// Images and sandboxes through a real launcher. Needs root.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>

#include "base/digest.h"
#include "launcher/testing/launcher_fixture.h"
#include "sandbox/id_range.h"

namespace hybridserve::launcher {
namespace {

using testing::HasSubstr;

class LauncherContainerTest : public LauncherFixture {
 protected:
  void SetUp() override {
    if (!root_) GTEST_SKIP() << "containers need root";
  }

  // Puts an image of the probe into the store by hand, as an unpack would have.
  Digest MakeImage() {
    namespace fs = std::filesystem;
    const Digest image = Sha256("probe");
    const fs::path folder = state() / "images" / image.value;
    fs::create_directories(folder / "rootfs");
    fs::copy_file(PROBE_PROGRAM, folder / "rootfs" / "probe");
    for (const fs::path& path : {folder / "rootfs", folder / "rootfs" / "probe"}) {
      EXPECT_EQ(::chown(path.c_str(), sandbox::kOwnerBase, sandbox::kOwnerBase), 0);
    }
    EXPECT_TRUE(WriteFileAtomically(folder / "bytes", "1"));
    EXPECT_TRUE(WriteFileAtomically(folder / "config.json", "{}"));
    return image;
  }

  static SandboxSpec MakeSpec(const Digest& image, std::vector<std::string> argv) {
    SandboxSpec spec;
    spec.name = "hello";
    spec.label = "hello@1";
    spec.image = image;
    spec.argv = std::move(argv);
    spec.memory_bytes = 64u << 20;
    spec.disk_bytes = 8u << 20;
    spec.pids = 16;
    return spec;
  }

  struct Started {
    ContainerId id;
    UniqueFd log;
  };
  Result<Started> Run(SandboxSpec spec) {
    TRY_ASSIGN(const ContainerId id, Wait(client_->CreateSandbox()));
    TRY_ASSIGN(UniqueFd log, Wait(client_->StartSandbox(id, std::move(spec))));
    return Started{id, std::move(log)};
  }

  // The log's next bytes; waits for them.
  static std::string ReadLog(int log) {
    pollfd one{log, POLLIN, 0};
    ::poll(&one, 1, 10000);
    char bytes[4096];
    const ssize_t got = ::read(log, bytes, sizeof(bytes));
    return got > 0 ? std::string(bytes, static_cast<size_t>(got)) : std::string();
  }

  // One request to the probe's server over a socket from the launcher.
  std::string Request(ContainerId id) {
    for (int attempt = 0; attempt < 2000; ++attempt) {
      auto sockets = Wait(client_->MakeSockets(id, 1));
      if (!sockets) return sockets.error().message;
      const int fd = (*sockets)[0].get();
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(80);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        pollfd one{fd, POLLOUT, 0};
        ::poll(&one, 1, 1000);
      }
      const std::string_view request = "GET / HTTP/1.1\r\n\r\n";
      if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) continue;
      const std::string answer = ReadLog(fd);
      if (!answer.empty()) return answer;
    }
    return "no answer";
  }

  std::vector<std::string> Leftovers() {
    std::vector<std::string> found;
    const std::string tag =
        Sha256(std::filesystem::canonical(state()).string()).value.substr(0, 12);
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator it("/sys/fs/cgroup", error), end;
         it != end && !error; it.increment(error)) {
      if (it->path().filename() == "hybridserve-" + tag) found.push_back(it->path());
    }
    std::ifstream mounts("/proc/self/mountinfo");
    for (std::string line; std::getline(mounts, line);) {
      if (line.find(folder_.path().string()) != std::string::npos) found.push_back(line);
    }
    return found;
  }
};

TEST_F(LauncherContainerTest, ContainerServesRequestsAndLeavesNothing) {
  StartLauncher({"--held", "1"});
  AcceptServer();
  const Digest image = MakeImage();
  const auto started = Run(MakeSpec(image, {"/probe", "serve", "80"}));
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_THAT(Request(started->id), HasSubstr("200 OK"));
  const auto usage = Wait(client_->Stats(started->id));
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->processes, 1u);
  EXPECT_GT(usage->memory_bytes, 0u);
  EXPECT_GT(usage->cpu_time.count(), 0);
  EXPECT_EQ(Wait(client_->RemoveImage(image)).error().code, Code::kConflict);
  EXPECT_TRUE(Wait(client_->DestroySandbox(started->id)));
  EXPECT_TRUE(Wait(client_->DestroySandbox(started->id)));
  EXPECT_TRUE(exits_.empty());
  EXPECT_TRUE(Wait(client_->RemoveImage(image)));
  EXPECT_FALSE(std::filesystem::exists(state() / "images" / image.value));
  EXPECT_FALSE(Leftovers().empty());
  SignalLauncher(SIGTERM);
  EXPECT_EQ(WaitForLauncher(), 0);
  EXPECT_THAT(Leftovers(), testing::IsEmpty());
}

TEST_F(LauncherContainerTest, EndsOfProgramsAreReportedWithTheirReason) {
  StartLauncher();
  AcceptServer();
  const Digest image = MakeImage();
  const auto quits = Run(MakeSpec(image, {"/probe", "exit", "7"}));
  ASSERT_TRUE(quits) << quits.error().message;
  ASSERT_TRUE(RunUntil([this] { return exits_.size() == 1; }));
  EXPECT_EQ(exits_[0].status, 7);
  EXPECT_FALSE(exits_[0].out_of_memory);
  const auto eats = Run(MakeSpec(image, {"/probe", "eat", "200"}));
  ASSERT_TRUE(eats);
  ASSERT_TRUE(RunUntil([this] { return exits_.size() == 2; }));
  EXPECT_EQ(exits_[1].status, 128 + SIGKILL);
  EXPECT_TRUE(exits_[1].out_of_memory);
  const auto list = Wait(client_->List());
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->empty());
}

TEST_F(LauncherContainerTest, WhatCannotStartSaysWhyAndIsRemoved) {
  StartLauncher();
  AcceptServer();
  const Digest image = MakeImage();
  const auto absent = Run(MakeSpec(image, {"/absent"}));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kInvalidArgument);
  EXPECT_THAT(absent.error().message, HasSubstr("no program '/absent'"));
  SandboxSpec lost = MakeSpec(image, {"/probe"});
  lost.working_folder = "/nowhere";
  EXPECT_THAT(Run(lost).error().message, HasSubstr("no working folder '/nowhere'"));
  EXPECT_EQ(Run(MakeSpec(Sha256("other"), {"/probe"})).error().code, Code::kNotFound);
  EXPECT_TRUE(RunUntil([this] {
    const auto list = Wait(client_->List());
    return list && list->empty();
  }));
}

TEST_F(LauncherContainerTest, ContainersOutliveTheServerAndKeepTheirLog) {
  StartLauncher({"--held", "2"});
  AcceptServer();
  ASSERT_TRUE(Wait(client_->Hello()));
  const Digest image = MakeImage();
  const auto started = Run(MakeSpec(image, {"/probe", "serve", "80"}));
  ASSERT_TRUE(started) << started.error().message;
  ASSERT_THAT(Request(started->id), HasSubstr("200 OK"));
  TellServer('c');
  AcceptServer();
  auto list = Wait(client_->List());
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ((*list)[0].id, started->id);
  EXPECT_EQ((*list)[0].label, "hello@1");
  EXPECT_TRUE((*list)[0].log);
  EXPECT_THAT(Request(started->id), HasSubstr("200 OK"));
}

TEST_F(LauncherContainerTest, KilledLauncherLeavesNoProcessAndTheNextCleansItsCgroups) {
  StartLauncher();
  AcceptServer();
  const Digest image = MakeImage();
  const auto started = Run(MakeSpec(image, {"/probe", "sleep"}));
  ASSERT_TRUE(started) << started.error().message;
  EXPECT_EQ(ReadLog(started->log.get()), "sleeping\n");
  SignalLauncher(SIGKILL);
  EXPECT_EQ(WaitForLauncher(), 128 + SIGKILL);
  // The log closes when the last process of the container has ended.
  EXPECT_EQ(ReadLog(started->log.get()), "");
  client_.reset();
  StartLauncher();
  AcceptServer();
  ASSERT_TRUE(Wait(client_->Hello()));
  SignalLauncher(SIGTERM);
  EXPECT_EQ(WaitForLauncher(), 0);
  EXPECT_THAT(Leftovers(), testing::IsEmpty());
}

TEST_F(LauncherContainerTest, ImageIsUnpackedByAJailOnceAndAtomically) {
  StartLauncher();
  AcceptServer();
  const auto archive = SealedMemfd("archive", "good");
  const auto path = folder_.path() / "archive";
  ASSERT_TRUE(WriteFileAtomically(path, "good"));
  auto read_only = OpenFile(path, O_RDONLY);
  ASSERT_TRUE(read_only);
  const Digest digest = Sha256("good");
  const auto image = Wait(client_->UnpackImage(read_only->get(), digest));
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->config_json, "{\"argv\":[\"/file\"]}");
  EXPECT_GT(image->bytes, 0u);
  const auto file = state() / "images" / digest.value / "rootfs" / "file";
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, sandbox::kOwnerBase + 7);
  EXPECT_EQ(info.st_gid, sandbox::kOwnerBase + 8);
  ASSERT_TRUE(WriteFileAtomically(path, "bad"));
  EXPECT_TRUE(Wait(client_->UnpackImage(read_only->get(), digest)));
}

TEST_F(LauncherContainerTest, ArchiveThatIsBadLeavesNoTraceInTheStore) {
  StartLauncher();
  AcceptServer();
  for (const char* content : {"bad", "nothing"}) {
    const auto path = folder_.path() / content;
    ASSERT_TRUE(WriteFileAtomically(path, content));
    auto archive = OpenFile(path, O_RDONLY);
    ASSERT_TRUE(archive);
    const auto image = Wait(client_->UnpackImage(archive->get(), Sha256(content)));
    ASSERT_FALSE(image);
    if (std::string(content) == "bad") {
      EXPECT_EQ(image.error().code, Code::kInvalidArgument);
      EXPECT_EQ(image.error().message, "not an archive");
    }
  }
  EXPECT_TRUE(RunUntil([this] { return std::filesystem::is_empty(state() / "images"); }));
  const auto writable = OpenFile(folder_.path() / "bad", O_RDWR);
  EXPECT_THAT(Wait(client_->UnpackImage(writable->get(), Sha256("x"))).error().message,
              HasSubstr("read-only"));
}

}  // namespace
}  // namespace hybridserve::launcher
