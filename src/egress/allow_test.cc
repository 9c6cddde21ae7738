#include "egress/allow.h"

#include <gmock/gmock.h>

namespace hybridserve {
namespace {

using boost::asio::ip::make_address;
using testing::HasSubstr;

TEST(AllowTest, ManifestAndNodeMustBothAllow) {
  const Allow allow({"a.example.com", "127.0.0.1:*"}, {"*.example.com:*"});
  EXPECT_TRUE(allow.Check({"a.example.com", 80}));
  const Result<> other = allow.Check({"b.example.com", 80});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::kForbidden);
  EXPECT_THAT(other.error().message, HasSubstr("'b.example.com:80'; add it to [network] allow of"));
  const Result<> loopback = allow.Check({"127.0.0.1", 8000});
  ASSERT_FALSE(loopback);
  EXPECT_THAT(loopback.error().message, HasSubstr("'127.0.0.1:8000'; add it to [network] allowed"));
}

TEST(AllowTest, NothingIsAllowedByDefault) {
  EXPECT_FALSE(Allow({}, {"*"}).Check({"a.b", 80}));
  EXPECT_FALSE(Allow({"a.b"}, {}).Check({"a.b", 80}));
  EXPECT_FALSE(Allow().Check({"a.b", 80}));
}

TEST(AllowTest, ANameThatResolvesToAnInsideAddressIsNotConnectedTo) {
  for (const char* inside : {"127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fe80::1"}) {
    EXPECT_FALSE(Allow::MayConnect({"rebound.example.com", 80}, make_address(inside))) << inside;
  }
  EXPECT_TRUE(Allow::MayConnect({"a.example.com", 80}, make_address("1.1.1.1")));
}

TEST(AllowTest, AnAddressThatIsNamedItselfMayBeInside) {
  EXPECT_TRUE(Allow::MayConnect({"127.0.0.1", 80}, make_address("127.0.0.1")));
  EXPECT_TRUE(Allow::MayConnect({"localhost", 80}, make_address("::1")));
  EXPECT_FALSE(Allow::MayConnect({"localhost", 80}, make_address("10.0.0.1")));
}

}  // namespace
}  // namespace hybridserve
