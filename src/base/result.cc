#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace hybridserve {

namespace {
struct Row {
  std::string_view name;
  int http;
  int exit;
};

Row RowOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return {"invalid_argument", 400, 2};
    case Code::kUnauthorized:
      return {"unauthorized", 401, 4};
    case Code::kForbidden:
      return {"forbidden", 403, 4};
    case Code::kNotFound:
      return {"not_found", 404, 3};
    case Code::kConflict:
      return {"conflict", 409, 5};
    case Code::kTooLarge:
      return {"too_large", 413, 2};
    case Code::kUnsupported:
      return {"unsupported", 501, 6};
    case Code::kFunctionFailed:
      return {"function_failed", 502, 7};
    case Code::kBackendDied:
      return {"backend_died", 502, 7};
    case Code::kQueueFull:
      return {"queue_full", 429, 8};
    case Code::kUnavailable:
      return {"unavailable", 503, 8};
    case Code::kTimeout:
      return {"timeout", 504, 9};
    case Code::kCancelled:
      return {"cancelled", 499, 130};
    case Code::kCorrupt:
      return {"corrupt", 500, 10};
    case Code::kInternal:
      return {"internal", 500, 1};
  }
  return {"internal", 500, 1};
}
}  // namespace

int HttpStatus(Code code) { return RowOf(code).http; }
int ExitCode(Code code) { return RowOf(code).exit; }
std::string_view CodeName(Code code) { return RowOf(code).name; }

tl::unexpected<Error> FailErrno(std::string_view what) { return FailErrno(what, errno); }

tl::unexpected<Error> FailErrno(std::string_view what, int error_number) {
  Code code = Code::kInternal;
  switch (error_number) {
    case ENOENT:
      code = Code::kNotFound;
      break;
    case ENOSPC:
    case EDQUOT:
      return Fail(Code::kUnavailable, std::string(what) + ": the disk is full");
    case EADDRINUSE:
    case EEXIST:
      code = Code::kConflict;
      break;
    case EACCES:
    case EPERM:
      code = Code::kForbidden;
      break;
    default:
      break;
  }
  return Fail(code, std::string(what) + ": " + std::generic_category().message(error_number));
}

}  // namespace hybridserve
