// Runs a fuzz target without a fuzzer: every file of its corpus folder, then a fixed number of
// mutations of them (flips, cuts, splices) from a fixed seed. A crash or a sanitizer's report fails.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutations = 20000;

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::string Mutate(const std::vector<std::string>& corpus, std::mt19937& random) {
  std::string input = corpus[random() % corpus.size()];
  const unsigned steps = 1 + random() % 4;
  for (unsigned i = 0; i < steps && !input.empty(); ++i) {
    const size_t at = random() % input.size();
    switch (random() % 5) {
      case 0: input[at] = static_cast<char>(random()); break;
      case 1: input.resize(at); break;
      case 2: input.insert(at, 1 + random() % 8, static_cast<char>(random())); break;
      case 3: input[at] = static_cast<char>(input[at] ^ (1 << (random() % 8))); break;
      default: {
        const std::string& other = corpus[random() % corpus.size()];
        if (!other.empty()) input.insert(at, other.substr(random() % other.size(), 64));
      }
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> corpus;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "no corpus: name a folder that holds one\n");
    return 1;
  }
  for (const std::string& input : corpus) Run(input);
  std::mt19937 random(1);
  for (int i = 0; i < kMutations; ++i) Run(Mutate(corpus, random));
  std::printf("%zu inputs and %d mutations\n", corpus.size(), kMutations);
  return 0;
}
