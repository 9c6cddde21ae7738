// A command in C++, with streams, containers and exceptions' absence: command.rs and command.go
// print the same.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <string>

int main(int count, char** values) {
  std::map<std::string, int> words;
  int total = 0;
  for (std::string word; std::cin >> word; ++total) ++words[word];
  const char* name = std::getenv("NAME");
  std::cout << "C++ for " << (name != nullptr ? name : "nobody") << '\n';
  for (int i = 1; i < count; ++i) std::cout << "argument " << values[i] << '\n';
  std::cout << total << " words, " << words.size() << " different\n";
  const auto most = std::max_element(
      words.begin(), words.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most != words.end()) std::cout << "most: " << most->first << '\n';
  return 5;
}
