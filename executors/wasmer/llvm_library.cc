#include "executors/wasmer/llvm_library.h"

#include <dlfcn.h>

#include <string>

// llvm_functions.inc has a line HS_LLVM_FUNCTION(name) for each; none without LLVM.
#if defined(__x86_64__)
#define HS_JUMP(slot) "  jmpq *" slot "(%rip)\n"
#elif defined(__aarch64__)
#define HS_JUMP(slot) "  adrp x16, " slot "\n  ldr x16, [x16, :lo12:" slot "]\n  br x16\n"
#else
#error "Wasmer's compilers are for x86-64 and aarch64"
#endif

// The slot of a function, and the function: nothing but a jump to where the slot points.
#define HS_LLVM_FUNCTION(name)                                                         \
  extern "C" __attribute__((visibility("hidden"))) void* hs_llvm_##name;               \
  void* hs_llvm_##name = nullptr;                                                      \
  asm(".text\n.globl " #name "\n.hidden " #name "\n.type " #name ", %function\n" #name \
      ":\n" HS_JUMP("hs_llvm_" #name) ".size " #name ", . - " #name "\n");
#include "llvm_functions.inc"
#undef HS_LLVM_FUNCTION

namespace hybridserve {
namespace {

constexpr char kLibrary[] = "libLLVM.so.22.1";

struct Function {
  const char* name;
  void** slot;
};

constexpr Function kFunctions[] = {
#define HS_LLVM_FUNCTION(name) {#name, &hs_llvm_##name},
#include "llvm_functions.inc"
#undef HS_LLVM_FUNCTION
    {nullptr, nullptr},
};

}  // namespace

Result<> LoadLlvm() {
  static bool loaded = false;
  if (loaded) return {};
  if (kFunctions[0].name == nullptr)
    return Fail(Code::kUnsupported, "Wasmer was built without LLVM");
  void* library = ::dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return Fail(Code::kUnsupported, std::string("cannot load LLVM: ") + ::dlerror());
  }
  for (const Function& function : kFunctions) {
    if (function.name == nullptr) break;
    *function.slot = ::dlsym(library, function.name);
    if (*function.slot == nullptr) {
      return Fail(Code::kUnsupported,
                  std::string(kLibrary) + " lacks the function " + function.name);
    }
  }
  loaded = true;
  return {};
}

}  // namespace hybridserve
