// Fetch: HTTP requests that a function makes itself, the same in both builds.
//
//   hs::FetchResult answer = hs::Fetch({.url = "http://api.example.com/v1/state"});
//   if (!answer.error.empty()) return hs::Response::Text(answer.error + "\n", 502);
//
// A function reaches only the hosts that [network] allow of its manifest names, by the node's
// forward proxy: the Wasm build over the descriptor that it was given, the native build over the
// proxy in HTTP_PROXY (without that variable, outside a node, there is no network either).
//
// No TLS: an https URL is an error. No redirect is followed; a 3xx is an answer as any other.
//
// Thread rule: native: any thread, each call has a connection of its own. Wasm: the guest's one
// thread; calls share its one connection, one after the other.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "hybridserve/function.h"

namespace hs {

struct FetchRequest {
  std::string url;  ///< "http://HOST[:PORT]/PATH?QUERY", ASCII; what follows '#' is left out.
  std::string method = "GET";
  std::vector<Header> headers;  ///< Without Host, Content-Length and Connection, which are Fetch's.
  std::string body;
  size_t max_body_bytes = 16u << 20;  ///< Of the answer; a larger one is an error.
};

struct FetchResult {
  int status = 0;               ///< 200..599; 0 with an error.
  std::vector<Header> headers;  ///< Names in lower case; repeated ones stay apart.
  std::string body;
  /// Empty with an answer, else a sentence: no network, no valid URL, a connection that broke, an
  /// answer that is too large or no HTTP. What the node's proxy itself refuses (a host that is not
  /// allowed, one that cannot be reached) is an error with its status and message, too.
  std::string error;

  /// The value of the first header of this name, in any case of `name`; empty without one.
  [[nodiscard]] std::string_view HeaderValue(std::string_view name) const;
};

/// Sends the request and waits for the whole answer; run_timeout bounds it, as everything.
FetchResult Fetch(const FetchRequest& request);

}  // namespace hs
