// AdminApi: the endpoints of docs/openapi.yaml, over one request on a connection.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "admin/admin_server.h"
#include "admin/connection.h"

namespace hybridserve {

class AdminApi {
 public:
  AdminApi(boost::asio::any_io_executor executor, AdminParts parts, uint64_t max_blob_bytes);
  ~AdminApi();

  /// Answers the request that `connection` has read the head of, whatever becomes of it.
  boost::asio::awaitable<void> Handle(AdminConnection& connection);

  /// Ends the log streams that are being followed; new ones end at once.
  void EndStreams();

  /// What an endpoint is given: the connection, and what stands in its path's {place}.
  using Endpoint = Awaitable<> (AdminApi::*)(AdminConnection& connection, std::string place);

 private:
  struct LogStream;

  Awaitable<> Dispatch(AdminConnection& connection);
  Awaitable<> GetNode(AdminConnection& connection, std::string place);
  Awaitable<> PutBlob(AdminConnection& connection, std::string place);
  Awaitable<> GetBlob(AdminConnection& connection, std::string digest);
  Awaitable<> ListFunctions(AdminConnection& connection, std::string place);
  Awaitable<> PostFunction(AdminConnection& connection, std::string place);
  Awaitable<> GetFunction(AdminConnection& connection, std::string name);
  Awaitable<> DeleteFunction(AdminConnection& connection, std::string name);
  Awaitable<> PostRollback(AdminConnection& connection, std::string name);
  Awaitable<> GetLogs(AdminConnection& connection, std::string name);
  Awaitable<> FollowLogs(AdminConnection& connection, FunctionName name, std::string first_lines);
  Awaitable<> GetMetrics(AdminConnection& connection, std::string place);

  friend struct AdminRouteTable;

  boost::asio::any_io_executor executor_;
  AdminParts parts_;
  uint64_t max_blob_bytes_;
  std::list<LogStream*> streams_;  // Each on its coroutine's frame.
  bool ended_ = false;
};

}  // namespace hybridserve
