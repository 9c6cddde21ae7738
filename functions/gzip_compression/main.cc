// FunctionBench's gzip_compression: a file of file_size MB is compressed. Here the result is also
// decompressed and compared.
#include <hybridserve/function.h>

#include <cstring>

#include "common/checksum.h"
#include "common/parameters.h"
#include "common/vocabulary.h"
#include "gzip.h"

namespace {

using functions::Random;

constexpr long long kLargestSize = 16;  // MiB
constexpr size_t kMebibyte = 1u << 20;

std::string MakeText(size_t size, uint64_t seed) {
  const functions::Vocabulary vocabulary(5000);
  Random random(seed);
  std::string text;
  text.reserve(size + 256);
  while (text.size() < size) {
    vocabulary.AppendSentence(random, 5 + random.Below(12), text);
    text += random.Below(8) == 0 ? '\n' : ' ';
  }
  text.resize(size);
  return text;
}

std::string MakeNoise(size_t size, uint64_t seed) {
  Random random(seed);
  std::string noise(size, '\0');
  for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
    const uint64_t bits = random.Next();  // The sizes are multiples of eight.
    std::memcpy(noise.data() + i, &bits, sizeof bits);
  }
  return noise;
}

hs::Response Answer(const std::string& bytes, int level) {
  const std::optional<std::string> member = Compress(bytes, level);
  if (!member) return hs::Response::Text("there is not enough memory to compress in\n", 500);
  const std::optional<std::string> back = Decompress(*member, bytes.size());
  if (back != bytes) return hs::Response::Text("decompressing gave other bytes\n", 500);
  functions::Checksum checksum;
  checksum.Add(*member);
  return hs::Response::Json("{\"bytes\":" + std::to_string(bytes.size()) +
                            ",\"compressed\":" + std::to_string(member->size()) +
                            ",\"checksum\":\"" + checksum.Hex() + "\"}\n");
}

bool IsFile(const hs::Request& request) {
  return !request.body.empty() &&
         !request.HeaderValue("content-type").starts_with("application/json");
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  const size_t size =
      static_cast<size_t>(parameters.Integer("file_size", 1, 0, kLargestSize)) * kMebibyte;
  const auto seed = static_cast<uint64_t>(parameters.Integer("seed", 1, 0, 1'000'000'000));
  const int level = static_cast<int>(parameters.Integer("level", 9, 1, 9));
  const std::string data = parameters.Text("data", "text", 16);
  if (!parameters.ok()) return parameters.BadRequest();
  if (IsFile(request)) {
    if (request.body.size() > static_cast<size_t>(kLargestSize) * kMebibyte) {
      return hs::Response::Text("body: give at most 16777216 bytes\n", 413);
    }
    return Answer(request.body, level);
  }
  if (data == "text") return Answer(MakeText(size, seed), level);
  if (data == "random") return Answer(MakeNoise(size, seed), level);
  return hs::Response::Text("data: give text or random\n", 400);
}
