#include "launcher/client.h"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "base/file.h"
#include "ipc/seqpacket.h"
#include "launcher/protocol.h"

namespace hybridserve {
namespace {

namespace asio = boost::asio;
using launcher::Verb;

// The launcher's end of the socket, played by the test.
class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    auto pair = ipc::MakePair();
    peer_ = std::move(pair->first);
    LauncherClient::Events events;
    events.sandbox_exited = [this](const SandboxExit& exit) { exits_.push_back(exit); };
    events.launcher_gone = [this] { gone_ = true; };
    client_.emplace(loop_.get_executor(), std::move(pair->second), std::move(events));
  }

  // Runs the loop until nothing is ready.
  void Poll() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }

  template <typename T>
  void Start(Awaitable<T> call, std::optional<Result<T>>& out,
             asio::cancellation_slot slot = asio::cancellation_slot()) {
    asio::co_spawn(loop_, std::move(call),
                   asio::bind_cancellation_slot(slot, [&out](std::exception_ptr, Result<T> result) {
                     out = std::move(result);
                   }));
    Poll();
  }

  // The next request's header; its body stays in `body_`.
  launcher::Header Next() {
    buffer_.resize(ipc::kMaxDatagramBytes);
    auto received = ipc::Receive(peer_.get(), buffer_, ipc::Wait::kDont);
    EXPECT_TRUE(received);
    if (!received) return {};
    ipc::Reader reader(std::string_view(buffer_).substr(0, received->size));
    const auto header = launcher::GetHeader(reader);
    body_ = buffer_.substr(received->size - reader.rest_bytes(), reader.rest_bytes());
    return header.value_or(launcher::Header{});
  }

  void Answer(uint64_t id, const Result<>& status, const std::string& result = {},
              std::vector<int> fds = {}) {
    ipc::Writer writer;
    launcher::PutHeader(writer, Verb::kAnswer, id);
    launcher::PutStatus(writer, status);
    EXPECT_TRUE(ipc::Send(peer_.get(), writer.bytes() + result, fds, ipc::Wait::kDont));
    Poll();
  }

  asio::io_context loop_;
  UniqueFd peer_;
  std::optional<LauncherClient> client_;
  std::vector<SandboxExit> exits_;
  bool gone_ = false;
  std::string buffer_;
  std::string body_;
};

std::string IdBytes(uint64_t id) {
  ipc::Writer writer;
  writer.Put(id);
  return writer.Take();
}

TEST_F(ClientTest, AnswersMayComeOutOfOrder) {
  std::optional<Result<ContainerId>> first, second;
  Start(client_->CreateSandbox(), first);
  const auto first_header = Next();
  Start(client_->CreateSandbox(), second);
  const auto second_header = Next();
  Answer(second_header.id, {}, IdBytes(22));
  EXPECT_FALSE(first);
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->value, 22u);
  Answer(first_header.id, {}, IdBytes(11));
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->value, 11u);
}

TEST_F(ClientTest, SpecsArriveWholeAndFailuresKeepTheirCode) {
  std::optional<Result<UniqueFd>> started;
  SandboxSpec spec;
  spec.name = "hello";
  spec.argv = {"/function", "--flag"};
  spec.environment = {{"A", "1"}, {"B", ""}};
  spec.cpu_cores = 0.5;
  spec.writable_root = true;
  Start(client_->StartSandbox(ContainerId{7}, spec), started);
  const auto header = Next();
  EXPECT_EQ(header.verb, Verb::kStartSandbox);
  ipc::Reader reader(body_);
  EXPECT_EQ(reader.Get<uint64_t>(), 7u);
  const auto got = launcher::Get<SandboxSpec>(reader);
  EXPECT_TRUE(reader.Done());
  EXPECT_EQ(got.argv, spec.argv);
  EXPECT_EQ(got.environment, spec.environment);
  EXPECT_EQ(got.cpu_cores, 0.5);
  EXPECT_TRUE(got.writable_root);
  Answer(header.id, Fail(Code::kNotFound, "no image"));
  ASSERT_TRUE(started && !*started);
  EXPECT_EQ(started->error().code, Code::kNotFound);
  EXPECT_EQ(started->error().message, "no image");
}

TEST_F(ClientTest, SandboxMadeForACancelledCallerIsGivenBack) {
  std::optional<Result<ContainerId>> created;
  asio::cancellation_signal cancel;
  Start(client_->CreateSandbox(), created, cancel.slot());
  const auto header = Next();
  cancel.emit(asio::cancellation_type::terminal);
  Poll();
  EXPECT_TRUE(created);
  Answer(header.id, {}, IdBytes(33));
  EXPECT_EQ(Next().verb, Verb::kDestroySandbox);
  EXPECT_EQ(body_, IdBytes(33));
}

TEST_F(ClientTest, ListAsksPageByPage) {
  std::optional<Result<std::vector<AdoptedSandbox>>> list;
  Start(client_->List(), list);
  std::vector<AdoptedSandbox> page;
  auto log = SealedMemfd("log", "x");
  for (uint64_t id = 1; id <= ipc::kMaxFds; ++id) {
    AdoptedSandbox sandbox;
    sandbox.id = ContainerId{id};
    sandbox.label = "a@1";
    page.push_back(std::move(sandbox));
  }
  page[3].log = UniqueFd(::dup(log->get()));
  ipc::Writer writer;
  launcher::Put(writer, page);
  Answer(Next().id, {}, writer.Take(), {log->get()});
  const auto second = Next();
  EXPECT_EQ(body_, IdBytes(ipc::kMaxFds));
  ipc::Writer empty;
  launcher::Put(empty, std::vector<AdoptedSandbox>());
  Answer(second.id, {}, empty.Take());
  ASSERT_TRUE(list && *list);
  ASSERT_EQ((*list)->size(), ipc::kMaxFds);
  EXPECT_TRUE((**list)[3].log);
  EXPECT_FALSE((**list)[4].log);
}

TEST_F(ClientTest, EventsAreHandedOnAndNonsenseIsNot) {
  ipc::Writer writer;
  launcher::PutHeader(writer, Verb::kSandboxExited, 0);
  launcher::Put(writer, SandboxExit{ContainerId{5}, 137, true});
  ASSERT_TRUE(ipc::Send(peer_.get(), writer.bytes(), {}, ipc::Wait::kDont));
  ASSERT_TRUE(ipc::Send(peer_.get(), "nonsense", {}, ipc::Wait::kDont));
  ASSERT_TRUE(ipc::Send(peer_.get(), writer.bytes() + "x", {}, ipc::Wait::kDont));
  Poll();
  ASSERT_EQ(exits_.size(), 1u);
  EXPECT_EQ(exits_[0].status, 137);
  EXPECT_TRUE(exits_[0].out_of_memory);
}

TEST_F(ClientTest, LauncherThatEndsFailsWhatWaits) {
  std::optional<Result<ContainerId>> created;
  Start(client_->CreateSandbox(), created);
  peer_.Reset();
  Poll();
  EXPECT_TRUE(gone_);
  ASSERT_TRUE(created && !*created);
  EXPECT_EQ(created->error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace hybridserve
