#include "hybridserve/fetch.h"

#include <array>

#include "fetch_message.h"
#include "message.h"
#include "proxy_stream.h"

namespace hs {
namespace {

constexpr std::string_view kProxyStatus = "hybridserve; error=";

FetchResult Failed(std::string error) {
  FetchResult result;
  result.error = std::move(error);
  return result;
}

FetchResult Receive(internal::ProxyStream& stream, const FetchRequest& request) {
  internal::ResponseReader reader(request.method == "HEAD", request.max_body_bytes);
  std::array<char, 16 * 1024> bytes;
  bool more = true;
  while (more) {
    size_t size = stream.Read(bytes.data(), bytes.size());
    if (size == 0) {
      reader.End();
      break;
    }
    more = reader.Feed({bytes.data(), size});
  }
  if (!reader.reusable()) stream.Spoil();
  return reader.done() ? reader.Take() : Failed(reader.error());
}

// What the node's own proxy answers is no answer of the host's.
FetchResult OwnAnswerIsError(FetchResult result) {
  if (!result.HeaderValue("Proxy-Status").starts_with(kProxyStatus)) return result;
  return Failed("status " + std::to_string(result.status) + " of the node's proxy: " + result.body);
}

}  // namespace

std::string_view FetchResult::HeaderValue(std::string_view name) const {
  for (const Header& header : headers) {
    if (internal::EqualsIgnoringCase(header.name, name)) return header.value;
  }
  return {};
}

FetchResult Fetch(const FetchRequest& request) {
  std::string error;
  std::string bytes =
      internal::EncodeRequest(request, internal::ProxyStream::IsKept(), error);
  if (!error.empty()) return Failed(error);
  internal::ProxyStream stream;
  if (!stream.error().empty()) return Failed(stream.error());
  // A proxy that refuses may close before it has read everything; its answer still comes.
  (void)stream.Write(bytes);
  return OwnAnswerIsError(Receive(stream, request));
}

}  // namespace hs
