// Requests as the workloads' tests make them.
#pragma once

#include <hybridserve/function.h>

#include <string>

namespace functions {

inline hs::Response AskByQuery(const std::string& query) {
  hs::Request request;
  request.query = query;
  return Handle(request);
}

inline hs::Response AskByJson(const std::string& json) {
  hs::Request request;
  request.method = "POST";
  request.headers = {{"content-type", "application/json"}};
  request.body = json;
  return Handle(request);
}

}  // namespace functions
