#include "function/engines.h"

#include <algorithm>

namespace hybridserve {
namespace {

constexpr std::string_view kWasmtime[] = {"cranelift", "winch", "pulley"};
constexpr std::string_view kWasmer[] = {"cranelift", "singlepass", "llvm"};
constexpr std::string_view kWasmEdge[] = {"llvm", "interpreter"};
constexpr EngineNames kEngines[] = {
    {"wasmtime", kWasmtime}, {"wasmer", kWasmer}, {"wasmedge", kWasmEdge}};

const EngineNames* Find(std::string_view engine) {
  const auto* found = std::ranges::find(kEngines, engine, &EngineNames::name);
  return found == std::end(kEngines) ? nullptr : found;
}

}  // namespace

std::span<const EngineNames> KnownEngines() { return kEngines; }

Result<> CheckEngineName(std::string_view engine) {
  if (Find(engine) != nullptr) return {};
  return Fail(Code::kInvalidArgument, "there is no engine '" + std::string(engine) +
                                          "'; there are wasmtime, wasmer and wasmedge");
}

Result<> CheckEngineChoice(std::string_view engine, std::string_view compiler) {
  if (engine.empty() && compiler.empty()) return {};
  if (engine.empty()) {
    return Fail(Code::kInvalidArgument,
                "the compiler '" + std::string(compiler) + "' needs its engine; write engine, too");
  }
  TRY(CheckEngineName(engine));
  if (compiler.empty()) return {};
  const EngineNames& names = *Find(engine);
  if (std::ranges::find(names.compilers, compiler) != names.compilers.end()) return {};
  std::string known;
  for (const std::string_view name : names.compilers) {
    known.append(known.empty() ? "" : ", ").append(name);
  }
  return Fail(Code::kInvalidArgument, std::string(engine) + " has no compiler '" +
                                          std::string(compiler) + "'; it has " + known);
}

EngineChoice CompleteChoice(const EngineChoice& function, const EngineChoice& node) {
  EngineChoice choice = function.engine.empty() ? node : function;
  if (choice.engine.empty()) choice.engine = kEngines[0].name;
  if (choice.compiler.empty()) choice.compiler = Find(choice.engine)->compilers.front();
  return choice;
}

std::string ExecutorProgram(std::string_view engine) {
  return "hybridserve-executor-" + std::string(engine);
}

}  // namespace hybridserve
