// WasiTest: a guest's memory, and calls by name as a guest makes them.
//
// Thread rule: one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "executors/common/wasi.h"

namespace hybridserve::wasi {

inline constexpr uint32_t kOk = 0;
inline constexpr uint64_t kReadWrite = kRightsFdRead | kRightsFdWrite;

inline uint32_t Of(Errno error) { return static_cast<uint32_t>(error); }

class WasiTest : public testing::Test {
 protected:
  WasiTest() : memory_bytes_(65536, 0xaa), memory_(memory_bytes_.data(), memory_bytes_.size()) {
    guard_.Begin(1, SteadyClock::now() + std::chrono::hours(1));
    invocation_.output_limit_bytes = 1u << 20;
  }
  ~WasiTest() override { guard_.End(); }

  void Begin() { wasi_.Begin(invocation_); }
  uint32_t Call(std::string_view name, std::initializer_list<uint64_t> arguments) {
    const auto functions = HostFunctions();
    const auto found = std::find_if(functions.begin(), functions.end(),
                                    [name](const HostFunction& f) { return f.name == name; });
    EXPECT_EQ(found->parameters.size(), arguments.size()) << name;
    return (wasi_.*found->call)(memory_, arguments.begin());
  }
  // Puts a string into the guest's memory at `at`.
  void Put(uint32_t at, std::string_view text) { memory_.WriteBytes(at, text.data(), text.size()); }
  template <typename T>
  T Get(uint32_t at) {
    T value{};
    EXPECT_TRUE(memory_.Read(at, value));
    return value;
  }
  std::string Text(uint32_t at, uint32_t size) {
    return {reinterpret_cast<const char*>(memory_bytes_.data()) + at, size};
  }
  // One buffer for fd_read and fd_write, described at address 0.
  void Buffer(uint32_t at, uint32_t size) {
    memory_.Write(0, at);
    memory_.Write(4, size);
  }
  uint32_t Write(uint32_t fd, std::string_view text) {
    Put(1000, text);
    Buffer(1000, static_cast<uint32_t>(text.size()));
    return Call("fd_write", {fd, 0, 1, 8});
  }
  std::string Read(uint32_t fd, uint32_t size) {
    Buffer(1000, size);
    const uint32_t error = Call("fd_read", {fd, 0, 1, 8});
    return error == kOk ? Text(1000, Get<uint32_t>(8)) : "error " + std::to_string(error);
  }

  std::vector<uint8_t> memory_bytes_;
  GuestMemory memory_;
  Watchdog watchdog_{1, [] {}};
  Guard& guard_ = watchdog_.guard(0);
  Invocation invocation_;
  Wasi wasi_{guard_};
};

}  // namespace hybridserve::wasi
