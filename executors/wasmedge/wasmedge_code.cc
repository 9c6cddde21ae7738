#include "executors/wasmedge/wasmedge_code.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "executors/common/wasi.h"
#include "executors/wasmedge/libc_hooks.h"

namespace hybridserve {
namespace {

constexpr std::string_view kWasmHead("\0asm\1\0\0\0", 8);
constexpr char kOutputName[] = "code.wasm";
constexpr uint64_t kMaxOutputBytes = UINT32_MAX;

struct CodeHead {
  std::array<char, 16> magic{'h', 's', '-', 'w', 'a', 's', 'm', 'e', 'd', 'g', 'e', '-', '1'};
  std::array<char, 32> fingerprint{};
  uint64_t module_bytes = 0;
};

CodeHead HeadOf(std::string_view fingerprint, uint64_t module_bytes) {
  CodeHead head{.module_bytes = module_bytes};
  Sha256(fingerprint).value.copy(head.fingerprint.data(), head.fingerprint.size());
  return head;
}

// An unsigned LEB128 of 32 bits at `at`, which moves past it.
bool ReadSize(std::string_view bytes, size_t& at, uint32_t& value) {
  uint64_t sum = 0;
  for (int shift = 0; shift < 35 && at < bytes.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    sum |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) != 0) continue;
    value = static_cast<uint32_t>(sum);
    return sum <= UINT32_MAX;
  }
  return false;
}

// "iIi" for the parameters of a host function; other types have other letters.
std::string Letters(std::span<const WasmEdge_ValType> types) {
  std::string letters;
  for (const WasmEdge_ValType& type : types) {
    letters += WasmEdge_ValTypeIsI32(type) ? 'i' : WasmEdge_ValTypeIsI64(type) ? 'I' : '?';
  }
  return letters;
}

struct Signature {
  std::string parameters;
  std::string results;
};

Signature SignatureOf(const WasmEdge_FunctionTypeContext* type) {
  std::vector<WasmEdge_ValType> types(WasmEdge_FunctionTypeGetParametersLength(type));
  WasmEdge_FunctionTypeGetParameters(type, types.data(), static_cast<uint32_t>(types.size()));
  Signature signature{.parameters = Letters(types)};
  types.resize(WasmEdge_FunctionTypeGetReturnsLength(type));
  WasmEdge_FunctionTypeGetReturns(type, types.data(), static_cast<uint32_t>(types.size()));
  signature.results = Letters(types);
  return signature;
}

Result<> CheckImport(const WasmEdge_ASTModuleContext* module,
                     const WasmEdge_ImportTypeContext* item) {
  const std::string name(FromWasmEdge(WasmEdge_ImportTypeGetExternalName(item)));
  const std::string from(FromWasmEdge(WasmEdge_ImportTypeGetModuleName(item)));
  const auto functions = wasi::HostFunctions();
  const auto found = std::ranges::find(functions, name, &wasi::HostFunction::name);
  const bool function =
      WasmEdge_ImportTypeGetExternalType(item) == WasmEdge_ExternalType_Function;
  if (from != wasi::kModuleName || found == functions.end() || !function) {
    return Fail(Code::kInvalidArgument, "unknown import: " + from + "::" + name);
  }
  const Signature has = SignatureOf(WasmEdge_ImportTypeGetFunctionType(module, item));
  if (has.parameters == found->parameters && has.results == (found->returns ? "i" : "")) return {};
  return Fail(Code::kInvalidArgument,
              "the import " + from + "::" + name + " has another type than that function");
}

Result<> CheckStart(const WasmEdge_ASTModuleContext* module) {
  std::vector<const WasmEdge_ExportTypeContext*> exports(
      WasmEdge_ASTModuleListExportsLength(module));
  WasmEdge_ASTModuleListExports(module, exports.data(), static_cast<uint32_t>(exports.size()));
  for (const WasmEdge_ExportTypeContext* item : exports) {
    if (FromWasmEdge(WasmEdge_ExportTypeGetExternalName(item)) != "_start") continue;
    if (WasmEdge_ExportTypeGetExternalType(item) != WasmEdge_ExternalType_Function) break;
    const Signature has = SignatureOf(WasmEdge_ExportTypeGetFunctionType(module, item));
    if (has.parameters.empty() && has.results.empty()) return {};
    return Fail(Code::kInvalidArgument,
                "the module's function _start takes parameters or returns something; that of a "
                "command does neither");
  }
  return Fail(Code::kInvalidArgument, "the module exports no function _start");
}

}  // namespace

Result<std::string> StripCustomSections(std::string_view wasm) {
  if (!wasm.starts_with(kWasmHead)) {
    return Fail(Code::kInvalidArgument, "it is not a core WebAssembly module");
  }
  std::string stripped(kWasmHead);
  size_t at = kWasmHead.size();
  while (at < wasm.size()) {
    const size_t begin = at++;
    uint32_t bytes = 0;
    if (!ReadSize(wasm, at, bytes) || bytes > wasm.size() - at) {
      return Fail(Code::kInvalidArgument,
                  "a section is cut off or malformed at offset " + std::to_string(begin));
    }
    at += bytes;
    if (wasm[begin] != 0) stripped.append(wasm, begin, at - begin);
  }
  return stripped;
}

WasmEdgeConfig MakeWasmEdgeConfig(bool interpreter) {
  WasmEdgeConfig config(WasmEdge_ConfigureCreate());
  for (const auto proposal : {WasmEdge_Proposal_TailCall, WasmEdge_Proposal_ExtendedConst,
                              WasmEdge_Proposal_MultiMemories}) {
    WasmEdge_ConfigureAddProposal(config.get(), proposal);
  }
  WasmEdge_ConfigureSetForceInterpreter(config.get(), interpreter);
  WasmEdge_ConfigureCompilerSetOptimizationLevel(config.get(),
                                                 WasmEdge_CompilerOptimizationLevel_O2);
  WasmEdge_ConfigureCompilerSetOutputFormat(config.get(), WasmEdge_CompilerOutputFormat_Wasm);
  return config;
}

Result<WasmEdgeAst> ParseModule(const WasmEdge_ConfigureContext* config, std::string_view wasm) {
  if (wasm.size() > UINT32_MAX) return Fail(Code::kInvalidArgument, "it has more than 4 GiB");
  const WasmEdgeLoader loader(WasmEdge_LoaderCreate(config));
  WasmEdge_ASTModuleContext* raw = nullptr;
  WasmEdge_Result result = WasmEdge_LoaderParseFromBytes(loader.get(), &raw, ToWasmEdgeBytes(wasm));
  WasmEdgeAst module(raw);
  if (WasmEdge_ResultOK(result)) {
    const WasmEdgeValidator validator(WasmEdge_ValidatorCreate(config));
    result = WasmEdge_ValidatorValidate(validator.get(), module.get());
  }
  if (WasmEdge_ResultOK(result)) return module;
  return Fail(Code::kInvalidArgument,
              std::string("WasmEdge refuses the module: ") + WasmEdge_ResultGetMessage(result));
}

Result<> CheckTypes(const WasmEdge_ASTModuleContext* module) {
  std::vector<const WasmEdge_ImportTypeContext*> imports(
      WasmEdge_ASTModuleListImportsLength(module));
  WasmEdge_ASTModuleListImports(module, imports.data(), static_cast<uint32_t>(imports.size()));
  for (const WasmEdge_ImportTypeContext* item : imports) TRY(CheckImport(module, item));
  return CheckStart(module);
}

Result<std::string> CompileToNative(const WasmEdge_ConfigureContext* config, std::string_view wasm,
                                    int scratch_folder) {
  if (scratch_folder < 0) {
    return Fail(Code::kUnsupported, "WasmEdge compiles in a folder, and was given none");
  }
  {
    TRY_ASSIGN(const CurrentFolder entered, CurrentFolder::Enter(scratch_folder));
    const WasmEdgeCompiler compiler(WasmEdge_CompilerCreate(config));
    const WasmEdge_Result result =
        WasmEdge_CompilerCompileFromBytes(compiler.get(), ToWasmEdgeBytes(wasm), kOutputName);
    if (!WasmEdge_ResultOK(result)) {
      return Fail(Code::kInternal, std::string("WasmEdge cannot compile the module: ") +
                                       WasmEdge_ResultGetMessage(result));
    }
  }
  const UniqueFd output(::openat(scratch_folder, kOutputName, O_RDONLY | O_CLOEXEC));
  if (!output) return FailErrno("open what WasmEdge compiled");
  (void)::unlinkat(scratch_folder, kOutputName, 0);
  return ReadOpenFile(output.get(), kOutputName, kMaxOutputBytes);
}

std::string MakeCodeFile(std::string_view fingerprint, std::string_view module) {
  const CodeHead head = HeadOf(fingerprint, module.size());
  std::string file(reinterpret_cast<const char*>(&head), sizeof(head));
  return file.append(module);
}

Result<CodeFile> CodeFile::Open(int fd, std::string_view fingerprint) {
  struct stat stat {};
  if (::fstat(fd, &stat) != 0) return FailErrno("look at native code");
  const auto size = static_cast<size_t>(stat.st_size);
  if (size == 0) return Fail(Code::kCorrupt, "cannot load native code: it is empty");
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (mapped == MAP_FAILED) return FailErrno("map native code");
  CodeFile file({static_cast<const char*>(mapped), size});
  TRY(file.Check(fingerprint));
  return file;
}

CodeFile::~CodeFile() {
  if (!file_.empty()) ::munmap(const_cast<char*>(file_.data()), file_.size());
}

std::string_view CodeFile::module() const { return file_.substr(sizeof(CodeHead)); }

Result<> CodeFile::Check(std::string_view fingerprint) const {
  const CodeHead ours = HeadOf(fingerprint, file_.size() - std::min(file_.size(), sizeof(CodeHead)));
  const auto same = [this, &ours](size_t bytes) {
    return file_.size() >= sizeof(ours) && std::memcmp(file_.data(), &ours, bytes) == 0;
  };
  constexpr std::string_view kCannot = "cannot load native code: ";
  if (!same(offsetof(CodeHead, fingerprint))) {
    return Fail(Code::kCorrupt, std::string(kCannot) + "it was not made with WasmEdge here");
  }
  if (!same(offsetof(CodeHead, module_bytes))) {
    return Fail(Code::kCorrupt,
                std::string(kCannot) + "it was made by another version, compiler or machine");
  }
  if (!same(sizeof(ours))) return Fail(Code::kCorrupt, std::string(kCannot) + "it is cut off");
  return {};
}

}  // namespace hybridserve
