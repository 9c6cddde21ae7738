// Parameters: the sizes of a workload, from the request's query or from its JSON body.
//
//   Parameters parameters(request);
//   const long long n = parameters.Integer("n", 1000, 1, 10'000'000);
//   if (!parameters.ok()) return parameters.BadRequest();
//
// A name is looked for in the query first, then in the body if its Content-Type is application/json
// and it is an object (RFC 8259). Whole numbers may also come as JSON strings ("100"), as some
// clients write them. What is wrong is remembered, the first thing only, and asked for once.
//
// Thread rule: a plain value; the request outlives it.
#pragma once

#include <hybridserve/function.h>

#include <map>
#include <string>
#include <string_view>

namespace functions {

/// Whether the request's body is JSON by its Content-Type, and so no data.
bool IsJson(const hs::Request& request);

class Parameters {
 public:
  explicit Parameters(const hs::Request& request);

  /// A whole number within [lowest, highest]; `otherwise` when it was not sent or is wrong.
  long long Integer(std::string_view name, long long otherwise, long long lowest,
                    long long highest);
  /// Text of at most `longest` bytes; `otherwise` when it was not sent or is too long.
  std::string Text(std::string_view name, std::string_view otherwise, size_t longest);

  [[nodiscard]] bool ok() const { return wrong_.empty(); }
  /// "n: give a whole number from 1 to 10000000"; empty when nothing is wrong.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }
  /// 400 with what is wrong.
  [[nodiscard]] hs::Response BadRequest() const;

 private:
  [[nodiscard]] std::optional<std::string> Find(std::string_view name) const;
  void Wrong(std::string_view name, const std::string& advice);

  const hs::Request& request_;
  std::map<std::string, std::string, std::less<>> body_;  // Numbers as their text.
  std::string wrong_;
};

}  // namespace functions
