// WasmEdgeCode: modules as WasmEdge takes them, and what is compiled of them.
//
// A code file is a head (magic, digest of the fingerprint, size), then a module: WasmEdge's
// universal file for its compiler, the stripped module for its interpreter.
//
// Thread rule: CompileToNative changes the current folder of the process meanwhile; the rest from
// any thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "executors/wasmedge/wasmedge_types.h"

namespace hybridserve {

/// The module without its custom sections, so that none is taken for native code of WasmEdge's.
/// Errors: kInvalidArgument it is not a core module, or malformed.
Result<std::string> StripCustomSections(std::string_view wasm);

/// What WasmEdge is told to be: proposals, optimization, compiler or interpreter.
WasmEdgeConfig MakeWasmEdgeConfig(bool interpreter);

/// Reads and validates a module, with its native code if it has some.
/// Errors: kInvalidArgument what is wrong with it.
Result<WasmEdgeAst> ParseModule(const WasmEdge_ConfigureContext* config, std::string_view wasm);

/// Whether all its imports are host functions of ours with the types that they have, and its
/// `_start` is a command's. Errors: kInvalidArgument.
Result<> CheckTypes(const WasmEdge_ASTModuleContext* module);

/// The universal file of a stripped and checked module; the compiler's own files lie in
/// `scratch_folder` meanwhile.
/// Errors: kUnsupported there is no such folder; kInternal.
Result<std::string> CompileToNative(const WasmEdge_ConfigureContext* config, std::string_view wasm,
                                    int scratch_folder);

std::string MakeCodeFile(std::string_view fingerprint, std::string_view module);

/// A code file, mapped while it is read. It does not change meanwhile.
class CodeFile {
 public:
  /// Errors: kCorrupt it is not what MakeCodeFile made with this fingerprint.
  static Result<CodeFile> Open(int fd, std::string_view fingerprint);
  CodeFile(CodeFile&& other) noexcept : file_(std::exchange(other.file_, {})) {}
  CodeFile& operator=(CodeFile&&) = delete;
  ~CodeFile();
  [[nodiscard]] std::string_view module() const;

 private:
  explicit CodeFile(std::string_view file) : file_(file) {}
  [[nodiscard]] Result<> Check(std::string_view fingerprint) const;
  std::string_view file_;
};

}  // namespace hybridserve
