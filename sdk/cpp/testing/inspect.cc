// A function for tests: answers with what it was asked, a part a line.
//   ?status=N    answers with that status
//   ?bytes=N     answers with N bytes
//   ?wait=PATH   answers once the file PATH exists
#include <hybridserve/function.h>
#include <unistd.h>

#include <thread>

namespace {

std::string Describe(const hs::Request& request) {
  std::string text = request.method + " " + request.path + " [" + request.query + "]\n";
  for (const hs::Header& header : request.headers) text += header.name + "=" + header.value + "\n";
  return text + std::to_string(request.body.size()) + ":" + request.body;
}

}  // namespace

hs::Response Handle(const hs::Request& request) {
  if (auto file = request.Parameter("wait")) {
    while (access(file->c_str(), F_OK) != 0) std::this_thread::yield();
  }
  std::optional<long long> bytes = request.IntegerOr("bytes", 0, 0, 1 << 30);
  if (!bytes) return hs::Response::Text("bytes is no number\n", 400);
  if (*bytes > 0) {
    return hs::Response::Of("application/octet-stream",
                            std::string(static_cast<size_t>(*bytes), 'x'));
  }
  long long status = request.IntegerOr("status", 200, 0, 1000).value_or(200);
  return hs::Response::Text(Describe(request), static_cast<int>(status));
}
