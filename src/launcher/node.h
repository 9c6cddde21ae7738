// Node: the launcher at work: owns every part, answers the server's requests, and takes everything
// down at the end.
//
// Thread rule: one thread, the loop's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/agent_process.h"
#include "launcher/event_loop.h"
#include "launcher/executors.h"
#include "launcher/host.h"
#include "launcher/images.h"
#include "launcher/jobs.h"
#include "launcher/options.h"
#include "launcher/requests.h"
#include "launcher/sandboxes.h"
#include "launcher/server_link.h"
#include "launcher/server_process.h"
#include "launcher/state_folder.h"
#include "launcher/worker.h"

namespace hybridserve::launcher {

class Node {
 public:
  /// The parts live as long as the node; `signals` is a signalfd of SIGTERM, SIGINT and SIGCHLD.
  Node(EventLoop& loop, Options options, StateFolder state, Host host, User user, UniqueFd signals);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Runs until the server has ended for good; returns the exit status.
  int Run();

 private:
  /// Who asked: where an answer goes.
  struct Asker {
    uint64_t generation;
    uint64_t id;
  };

  void OnRequest(const Header& header, ipc::Reader& body, std::vector<UniqueFd> fds);
  void Answer(Asker asker, const Result<std::string>& result, std::vector<UniqueFd> fds = {});
  void OnSignal();
  void OnServerGone();
  void ReapOrphans();

  // One a verb.
  void Do(Asker asker, const HelloRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const ExecutorSpec& spec, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const KillExecutorRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const JobSpec& spec, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const UnpackImageRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const RemoveImageRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const PrepareImageRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const OpenAgentRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const CreateSandboxRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const StartSandboxRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const MakeSocketsRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const MakeListenerRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const FreezeSandboxRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const ThawSandboxRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const SettleSandboxRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const StatsRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const DestroySandboxRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const ListRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const OpenFolderRequest& request, std::vector<UniqueFd>& fds);
  void Do(Asker asker, const ReadyRequest& request, std::vector<UniqueFd>& fds);

  EventLoop& loop_;
  Options options_;
  StateFolder state_;
  Host host_;
  UniqueFd signals_;
  ServerLink link_;
  Workers workers_;
  Jobs jobs_;
  Executors executors_;
  Images images_;
  Sandboxes sandboxes_;
  AgentProcess agent_;
  ServerProcess server_;
  int status_ = 0;
};

}  // namespace hybridserve::launcher
