// RuntimeHosts: the RuntimeHost of each kind of runtime.
//
// Thread rule: the event loop's thread only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>

#include "base/result.h"
#include "container/agent/runtime_host.h"
#include "function/container_runtimes.h"

namespace hybridserve {

/// Errors: kUnsupported this build has none for `kind`.
Result<std::unique_ptr<RuntimeHost>> MakeRuntimeHost(boost::asio::any_io_executor executor,
                                                     ContainerRuntimeKind kind,
                                                     RuntimeHostOptions options);

}  // namespace hybridserve
