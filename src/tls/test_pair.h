// A certificate and its key, for tests.
//
// Thread rule: any thread.
#pragma once

#include <string>

namespace hybridserve {

struct TestPair {
  std::string certificate;  ///< PEM.
  std::string key;          ///< PEM.
};

/// A self-signed certificate for one hour, and its key.
TestPair MakeTestPair(long serial);

}  // namespace hybridserve
