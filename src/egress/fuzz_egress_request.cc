// Fuzz target: what the forward proxy sends on for any request. Nothing that a destination could
// read as a second request or as another header, and no host that was not checked.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "egress/message.h"
#include "gateway/request_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hybridserve;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  RequestParser parser;
  RequestHead head;
  if (!parser.ParseHead(bytes, head)) return 0;
  const auto outbound = ParseOutbound(head.method, parser.target());
  if (!outbound) return 0;
  if (outbound->destination.host.empty() || outbound->destination.port == 0) std::abort();
  if (outbound->tunnel) return 0;
  std::string out;
  AppendOutboundHead(out, head, *outbound);
  size_t scanned = 0;
  if (FindHeadEnd(out, scanned) != out.size()) std::abort();
  RequestHead again;
  RequestParser second;
  if (!second.ParseHead(out, again)) std::abort();
  if (again.method != head.method || again.host != Authority(outbound->destination)) std::abort();
  if (again.has_body != head.has_body || again.content_length != head.content_length) std::abort();
  return 0;
}
