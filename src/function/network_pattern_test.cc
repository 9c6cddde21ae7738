#include "function/network_pattern.h"

#include <gmock/gmock.h>

namespace hybridserve {
namespace {

using testing::HasSubstr;

NetworkPattern Node(std::string_view text) {
  Result<NetworkPattern> pattern = ParseNetworkPattern(text, NetworkScope::kNode);
  EXPECT_TRUE(pattern) << text;
  return pattern.value_or(NetworkPattern{});
}

bool Matches(std::string_view pattern, std::string_view destination) {
  const Result<Destination> parsed = ParseDestination(destination, 80);
  EXPECT_TRUE(parsed) << destination;
  return parsed && Node(pattern).Matches(*parsed);
}

TEST(NetworkPatternTest, AHostWithoutAPortIsPort80Alone) {
  EXPECT_TRUE(Matches("api.example.com", "api.example.com"));
  EXPECT_TRUE(Matches("api.example.com", "API.Example.com.:80"));
  EXPECT_FALSE(Matches("api.example.com", "api.example.com:443"));
  EXPECT_FALSE(Matches("api.example.com", "example.com"));
  EXPECT_FALSE(Matches("example.com", "evil-example.com"));
}

TEST(NetworkPatternTest, AStarForAPortIsAnyPort) {
  EXPECT_TRUE(Matches("127.0.0.1:*", "127.0.0.1:8000"));
  EXPECT_FALSE(Matches("127.0.0.1:*", "127.0.0.2:8000"));
}

TEST(NetworkPatternTest, AStarBeforeANameIsEveryNameBelowIt) {
  EXPECT_TRUE(Matches("*.example.org:8080", "a.example.org:8080"));
  EXPECT_TRUE(Matches("*.example.org:8080", "a.b.example.org:8080"));
  EXPECT_FALSE(Matches("*.example.org:8080", "example.org:8080"));
  EXPECT_FALSE(Matches("*.example.org:8080", "evilexample.org:8080"));
  EXPECT_FALSE(Matches("*.example.org:8080", "a.example.org"));
}

TEST(NetworkPatternTest, AddressesAreComparedInTheirStandardForm) {
  EXPECT_TRUE(Matches("[::1]:80", "[0:0:0:0:0:0:0:1]"));
  EXPECT_TRUE(IsAddress("127.0.0.1"));
  EXPECT_TRUE(IsAddress("::1"));
  for (const char* other : {"127.1", "0x7f000001", "2130706433", "localhost", "1.2.3.4.5"}) {
    EXPECT_FALSE(IsAddress(other)) << other;
  }
}

TEST(NetworkPatternTest, AStarAloneIsEveryNameAndNoAddress) {
  EXPECT_TRUE(Matches("*", "a.example.org:8443"));
  EXPECT_FALSE(Matches("*", "localhost"));
  EXPECT_FALSE(Matches("*", "169.254.169.254"));
  const Result<NetworkPattern> manifest = ParseNetworkPattern("*", NetworkScope::kManifest);
  ASSERT_FALSE(manifest);
  EXPECT_THAT(manifest.error().message, HasSubstr("name the hosts"));
}

TEST(NetworkPatternTest, WhatIsNoPatternIsRefusedWithItsText) {
  for (const char* bad : {"", ":80", "a b", "a:0", "a:65536", "a:x", "a:", "http://a", "a/b", "[::1",
                          "[::1]80", "[x]:1", "u@a", "*.", "*.127.0.0.1", "a..b", "*a.b", "a.*"}) {
    const Result<NetworkPattern> pattern = ParseNetworkPattern(bad, NetworkScope::kNode);
    ASSERT_FALSE(pattern) << bad;
    EXPECT_EQ(pattern.error().code, Code::kInvalidArgument);
    EXPECT_THAT(pattern.error().message, HasSubstr(bad));
  }
}

TEST(NetworkPatternTest, UserInformationIsNoDestination) {
  EXPECT_FALSE(ParseDestination("a@b", 80));
  EXPECT_FALSE(ParseDestination("b:80@c", 80));
}

struct CoverCase {
  const char* allowed;
  const char* wanted;
  bool covered;
};

class CoverTest : public testing::TestWithParam<CoverCase> {};

TEST_P(CoverTest, TheNodeCoversWhatIsNoWider) {
  const CoverCase& one = GetParam();
  EXPECT_EQ(FirstNotCovered({one.wanted}, {one.allowed}).has_value(), !one.covered)
      << one.allowed << " and " << one.wanted;
}

INSTANTIATE_TEST_SUITE_P(
    Patterns, CoverTest,
    testing::Values(CoverCase{"a.b", "a.b", true}, CoverCase{"a.b", "a.b:80", true},
                    CoverCase{"a.b", "a.b:*", false}, CoverCase{"a.b:*", "a.b:99", true},
                    CoverCase{"a.b:*", "a.b:*", true}, CoverCase{"*.b:*", "a.b:1", true},
                    CoverCase{"*.b:*", "*.a.b:1", true}, CoverCase{"*.b", "*.b", true},
                    CoverCase{"*.a.b", "*.b", false}, CoverCase{"a.b", "*.b", false},
                    CoverCase{"*.b", "b", false}, CoverCase{"*", "*.b:*", true},
                    CoverCase{"*", "a.b:443", true}, CoverCase{"*", "10.0.0.1:80", false},
                    CoverCase{"*", "localhost:*", false},
                    CoverCase{"127.0.0.1:*", "127.0.0.1:8000", true}));

TEST(NetworkPatternTest, NothingAllowedCoversNothing) {
  EXPECT_EQ(FirstNotCovered({"a.b"}, {}), "a.b");
  EXPECT_EQ(FirstNotCovered({"a.b", "c.d"}, {"a.b"}), "c.d");
  EXPECT_EQ(FirstNotCovered({}, {}), std::nullopt);
}

}  // namespace
}  // namespace hybridserve
