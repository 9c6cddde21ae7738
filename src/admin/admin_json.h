// The admin API's JSON, as docs/openapi.yaml describes it.
//
// Thread rule: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/deployer.h"
#include "base/result.h"
#include "function/manifest.h"
#include "telemetry/function_log.h"

namespace hybridserve {

/// What GET /v1/node answers.
struct NodeInfo {
  std::string gateway;       ///< HOST:PORT where functions are served.
  bool gateway_tls = false;  ///< By https.
  PolicyKind policy = PolicyKind::kPaper;
  bool allow_route_header = false;
  bool wasm = false;
  bool containers = false;
  std::string container_runtime;  ///< "native", "docker"; empty: no containers.
  std::string containers_why_not;
  bool full_jail = false;
  std::string cgroup;
  std::string state_folder;
  std::chrono::system_clock::time_point started;
};

std::string NodeJson(const NodeInfo& node, size_t functions);
std::string BlobJson(const Digest& digest, uint64_t bytes);
/// `node_policy` stands in where a function has no policy of its own.
std::string FunctionListJson(const std::vector<FunctionSummary>& functions, PolicyKind node_policy);
std::string FunctionJson(const FunctionDescription& function, PolicyKind node_policy);
std::string LogLineJson(const LogLine& line);

std::string ProgressEventJson(std::string_view step, std::string_view message);
std::string DoneEventJson(const DeployOutcome& outcome);
std::string ErrorEventJson(const Error& error);

/// The body of a deploy. Errors: kInvalidArgument, naming the key.
Result<DeployRequest> ParseDeployRequest(std::string_view body);
/// The body of a rollback; empty counts as {}. Errors: kInvalidArgument.
Result<std::optional<RevisionId>> ParseRollbackRequest(std::string_view body);

/// "2026-01-02T03:04:05.678Z".
std::string FormatTime(std::chrono::system_clock::time_point time);

}  // namespace hybridserve
