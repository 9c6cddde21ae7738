// Result: how every module boundary reports failure.
//
// A function that can fail because of the outside world returns Result<T>: a value, or one Error
// that names what failed, with which value, and what to do. Exceptions never cross a module
// boundary; a third party's throw is caught where the call is made. An assert marks our own bug.
//
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace hybridserve {

/// What kind of failure it is. Each maps once to an HTTP status and once to an exit code.
enum class Code : uint8_t {
  kInvalidArgument,  ///< The caller's input is wrong. 400, exit 2.
  kUnauthorized,     ///< No or wrong credentials. 401, exit 4.
  kForbidden,        ///< Understood and not allowed. 403, exit 4.
  kNotFound,         ///< No such function, revision, file. 404, exit 3.
  kConflict,         ///< State forbids it now (a port or folder in use). 409, exit 5.
  kTooLarge,         ///< A body, header or image over its limit. 413, exit 2.
  kUnsupported,      ///< This machine or build cannot do it. 501, exit 6.
  kFunctionFailed,   ///< The guest trapped, exited non-zero or answered nonsense. 502, exit 7.
  kBackendDied,      ///< The executor or container that ran the request died. 502, exit 7.
  kQueueFull,        ///< The function's queue is full. 429 with Retry-After, exit 8.
  kUnavailable,      ///< The node cannot serve it now. 503 with Retry-After, exit 8.
  kTimeout,          ///< A queue, start or run timeout passed. 504, exit 9.
  kCancelled,        ///< The client went away. 499 in logs, never sent, exit 130.
  kCorrupt,          ///< Stored data fails its check. 500, exit 10.
  kInternal,         ///< A system call failed, or our own bug. 500, exit 1.
};

/// One failure. `message` is a sentence for a person: what failed, the value, what to do.
struct Error {
  Code code = Code::kInternal;
  std::string message;
};

template <typename T = void>
using Result = tl::expected<T, Error>;

/// Makes the failed side of a Result: `return Fail(Code::kNotFound, "no function 'a'")`.
inline tl::unexpected<Error> Fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

/// The same failure, with what the caller was doing put in front: "deploy a: cannot read ...".
inline tl::unexpected<Error> Wrap(Error error, std::string_view doing) {
  error.message.insert(0, std::string(doing) + ": ");
  return tl::unexpected<Error>(std::move(error));
}

/// "open /a/b: No such file or directory" for the current errno; ENOENT becomes kNotFound,
/// EADDRINUSE and EEXIST kConflict, EACCES and EPERM kForbidden, ENOSPC and EDQUOT kUnavailable
/// ("the disk is full"), the rest kInternal.
tl::unexpected<Error> FailErrno(std::string_view what);
tl::unexpected<Error> FailErrno(std::string_view what, int error_number);

/// The HTTP status that answers a failure of this kind.
int HttpStatus(Code code);
/// The exit code with which a command ends after a failure of this kind; never 0.
int ExitCode(Code code);
/// "not_found": the word that logs, metrics and JSON errors carry.
std::string_view CodeName(Code code);

}  // namespace hybridserve

#define HS_CONCAT_INNER(a, b) a##b
#define HS_CONCAT(a, b) HS_CONCAT_INNER(a, b)

/// TRY(expr): returns the error of a Result<void> (or discards the value of a Result<T>).
#define TRY(expr)                                                                \
  do {                                                                           \
    auto hs_try_result = (expr);                                                 \
    if (!hs_try_result) return tl::unexpected(std::move(hs_try_result.error())); \
  } while (0)

/// TRY_ASSIGN(auto x, expr): declares x from a Result<T>, or returns its error.
#define TRY_ASSIGN(decl, expr)                                              \
  auto HS_CONCAT(hs_try_, __LINE__) = (expr);                               \
  if (!HS_CONCAT(hs_try_, __LINE__))                                        \
    return tl::unexpected(std::move(HS_CONCAT(hs_try_, __LINE__).error())); \
  decl = std::move(*HS_CONCAT(hs_try_, __LINE__))

/// The same two inside a coroutine.
#define CO_TRY(expr)                                                                \
  do {                                                                              \
    auto hs_try_result = (expr);                                                    \
    if (!hs_try_result) co_return tl::unexpected(std::move(hs_try_result.error())); \
  } while (0)

#define CO_TRY_ASSIGN(decl, expr)                                              \
  auto HS_CONCAT(hs_try_, __LINE__) = (expr);                                  \
  if (!HS_CONCAT(hs_try_, __LINE__))                                           \
    co_return tl::unexpected(std::move(HS_CONCAT(hs_try_, __LINE__).error())); \
  decl = std::move(*HS_CONCAT(hs_try_, __LINE__))
