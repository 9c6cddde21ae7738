// FunctionBench's pyaes: a message is encrypted by AES-128 in counter mode and decrypted again,
// num_of_iterations times, each time with the key set anew.
#include <hybridserve/function.h>

#include "common/checksum.h"
#include "common/parameters.h"
#include "common/random.h"
#include "counter_mode.h"

namespace {

constexpr long long kLongestMessage = 1 << 20;
constexpr long long kMostIterations = 10'000;
constexpr long long kMostBytes = 256LL << 20;  // In all iterations together.

// FunctionBench's key.
constexpr Key kKey = {0xa1, 0xf6, 0x25, 0x8c, 0x87, 0x7d, 0x5f, 0xcd,
                      0x89, 0x64, 0x48, 0x45, 0x38, 0xbf, 0xc9, 0x2c};

/// Letters and digits.
std::string MakeMessage(size_t length, uint64_t seed) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  functions::Random random(seed);
  std::string message(length, '\0');
  for (char& letter : message) letter = kLetters[random.Below(kLetters.size())];
  return message;
}

hs::Response Answer(const std::string& message, long long iterations) {
  std::string encrypted(message.size(), '\0');
  std::string decrypted(message.size(), '\0');
  for (long long i = 0; i < iterations; ++i) {
    ApplyCounterMode(kKey, message, encrypted.data());
    ApplyCounterMode(kKey, encrypted, decrypted.data());
    if (decrypted != message) return hs::Response::Text("decrypting gave another text\n", 500);
  }
  functions::Checksum checksum;
  checksum.Add(encrypted);
  return hs::Response::Json("{\"bytes\":" + std::to_string(message.size()) +
                            ",\"iterations\":" + std::to_string(iterations) + ",\"checksum\":\"" +
                            checksum.Hex() + "\"}\n");
}

bool IsMessage(const hs::Request& request) {
  return !request.body.empty() &&
         !request.HeaderValue("content-type").starts_with("application/json");
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const long long length = parameters.Integer("length_of_message", 100, 0, kLongestMessage);
  const long long iterations = parameters.Integer("num_of_iterations", 100, 1, kMostIterations);
  const long long seed = parameters.Integer("seed", 1, 0, 1'000'000'000);
  if (!parameters.ok()) return parameters.BadRequest();
  const bool is_message = IsMessage(request);
  const long long size = is_message ? static_cast<long long>(request.body.size()) : length;
  if (size > kLongestMessage || size * iterations > kMostBytes) {
    return hs::Response::Text("give a message of at most 1048576 bytes, and with num_of_iterations "
                              "at most 268435456 bytes in all\n", 413);
  }
  return Answer(is_message ? request.body
                           : MakeMessage(static_cast<size_t>(size), static_cast<uint64_t>(seed)),
                iterations);
}
