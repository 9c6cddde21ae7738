#include "executors/wasmtime/wasmtime_types.h"

#include <algorithm>
#include <vector>

namespace hybridserve {
namespace {

std::string Take(wasm_name_t& name) {
  std::string text(name.data, name.size);
  wasm_byte_vec_delete(&name);
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

// Wasmtime writes an error as its words, a blank line, "Caused by:" and numbered causes.
std::string Join(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t start = part.find_first_not_of(" ");
    if (start == std::string_view::npos || part == "Caused by:") continue;
    part.remove_prefix(start);
    const size_t digits = part.find_first_not_of("0123456789");
    if (digits != 0 && digits != std::string_view::npos && part.substr(digits, 2) == ": ") {
      part.remove_prefix(digits + 2);
    }
    if (!line.empty()) line += ": ";
    line += part;
  }
  return line;
}

std::string NameOf(const wasm_frame_t* frame) {
  const wasm_name_t* name = wasmtime_frame_func_name(frame);
  if (name != nullptr) return {name->data, name->size};
  return "function " + std::to_string(wasm_frame_func_index(frame));
}

}  // namespace

FuncTypePtr MakeFuncType(std::string_view parameters, bool returns_i32) {
  std::vector<wasm_valtype_t*> types;
  for (const char letter : parameters) {
    types.push_back(wasm_valtype_new(letter == 'I' ? WASM_I64 : WASM_I32));
  }
  wasm_valtype_vec_t parameter_types;
  wasm_valtype_vec_new(&parameter_types, types.size(), types.data());
  wasm_valtype_t* result = returns_i32 ? wasm_valtype_new(WASM_I32) : nullptr;
  wasm_valtype_vec_t result_types;
  wasm_valtype_vec_new(&result_types, returns_i32 ? 1 : 0, &result);
  return FuncTypePtr(wasm_functype_new(&parameter_types, &result_types));
}

bool IsCommand(const wasmtime_module_t* module) {
  wasm_exporttype_vec_t exports;
  wasmtime_module_exports(module, &exports);
  bool found = false;
  for (size_t i = 0; i < exports.size && !found; ++i) {
    const wasm_name_t* name = wasm_exporttype_name(exports.data[i]);
    if (std::string_view(name->data, name->size) != "_start") continue;
    const wasm_functype_t* type =
        wasm_externtype_as_functype_const(wasm_exporttype_type(exports.data[i]));
    found = type != nullptr && wasm_functype_params(type)->size == 0 &&
            wasm_functype_results(type)->size == 0;
  }
  wasm_exporttype_vec_delete(&exports);
  return found;
}

std::string OneLine(const wasmtime_error_t* error) {
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  return Join(Take(message));
}

std::string Describe(const wasmtime_error_t* error, const wasm_trap_t* trap, size_t max_frames) {
  wasm_name_t message;
  wasm_frame_vec_t frames;
  if (trap != nullptr) {
    wasm_trap_message(trap, &message);
    wasm_trap_trace(trap, &frames);
  } else {
    wasmtime_error_message(error, &message);
    wasmtime_error_wasm_trace(error, &frames);
  }
  // The message carries a backtrace of its own, of many lines; the cause follows it.
  const std::string text = Take(message);
  const size_t causes = text.find("Caused by:");
  std::string line = Join(causes == std::string::npos ? text : text.substr(causes));
  for (size_t i = 0; i < std::min(frames.size, max_frames); ++i) {
    line += i == 0 ? " at " : " < ";
    line += NameOf(frames.data[i]);
  }
  wasm_frame_vec_delete(&frames);
  return line;
}

}  // namespace hybridserve
