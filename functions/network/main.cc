// FunctionBench's network workload: downloads a link and answers with its size and a checksum.
#include <hybridserve/fetch.h>
#include <hybridserve/function.h>

#include "common/checksum.h"
#include "common/parameters.h"

namespace {

constexpr size_t kLongestLink = 2048;
constexpr size_t kLargestDownload = 32u << 20;

}  // namespace

hs::Response Handle(const hs::Request& request) {
  functions::Parameters parameters(request);
  std::string link = parameters.Text("link", "", kLongestLink);
  if (!parameters.ok()) return parameters.BadRequest();
  if (!link.starts_with("http://")) {
    return hs::Response::Text("link: give an http URL, http://HOST/PATH\n", 400);
  }
  hs::FetchResult download = hs::Fetch({.url = link, .max_body_bytes = kLargestDownload});
  if (!download.error.empty()) return hs::Response::Text(link + ": " + download.error + "\n", 502);
  functions::Checksum checksum;
  checksum.Add(download.body);
  return hs::Response::Json("{\"status\":" + std::to_string(download.status) +
                            ",\"bytes\":" + std::to_string(download.body.size()) +
                            ",\"checksum\":\"" + checksum.Hex() + "\"}\n");
}
