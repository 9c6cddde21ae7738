#include "gateway/target.h"

#include <gtest/gtest.h>

namespace hybridserve {
namespace {

struct TargetCase {
  std::string name;
  std::string target;
  std::string want;  // "path ?query @authority", or "error".
};
class TargetTest : public testing::TestWithParam<TargetCase> {};

TEST_P(TargetTest, IsSplitAsTheTableSays) {
  const auto got = ParseTarget(GetParam().target);
  const std::string text = got ? std::string(got->path) + " ?" + std::string(got->query) + " @" +
                                     std::string(got->authority)
                               : "error";
  EXPECT_EQ(text, GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Gateway, TargetTest,
    testing::Values(TargetCase{"Root", "/", "/ ? @"}, TargetCase{"Query", "/a?b?c", "/a ?b?c @"},
                    TargetCase{"Encoded", "/%2e%2E/", "/%2e%2E/ ? @"},
                    TargetCase{"Dots", "/a/../b", "/a/../b ? @"}, TargetCase{"Star", "*", "* ? @"},
                    TargetCase{"Absolute", "http://h:1/p?q", "/p ?q @h:1"},
                    TargetCase{"AbsoluteUpperCase", "HTTP://h/p", "/p ? @h"},
                    TargetCase{"AbsoluteBare", "https://h", "/ ? @h"},
                    TargetCase{"AbsoluteQueryOnly", "http://h?q", "/ ?q @h"},
                    TargetCase{"AbsoluteWithoutHost", "http:///p", "error"},
                    TargetCase{"OtherScheme", "ftp://h/p", "error"},
                    TargetCase{"Authority", "h:443", "error"}, TargetCase{"Empty", "", "error"},
                    TargetCase{"Fragment", "/a#b", "error"}, TargetCase{"Space", "/a b", "error"},
                    TargetCase{"Control", "/a\x7f", "error"}),
    [](const auto& row) { return row.param.name; });

struct PathCase {
  std::string name;
  std::string path;
  std::string want;  // "name script_name path", "none" or "error".
};
class FunctionPathTest : public testing::TestWithParam<PathCase> {};

TEST_P(FunctionPathTest, IsSplitAsTheTableSays) {
  const auto got = ParseFunctionPath(GetParam().path);
  std::string text = "error";
  if (got) text = "none";
  if (got && *got) {
    text = std::string((*got)->name) + " " + std::string((*got)->script_name) + " " +
           std::string((*got)->path);
  }
  EXPECT_EQ(text, GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Gateway, FunctionPathTest,
    testing::Values(PathCase{"Bare", "/function/a", "a /function/a /"},
                    PathCase{"Slash", "/function/a/", "a /function/a /"},
                    PathCase{"Deep", "/function/a-b/c/d", "a-b /function/a-b /c/d"},
                    PathCase{"DoubleSlash", "/function/a//b", "a /function/a //b"},
                    PathCase{"Other", "/functions/a", "none"},
                    PathCase{"NoSlash", "/function", "none"},
                    PathCase{"Empty", "/function/", "error"},
                    PathCase{"EmptyBeforeSlash", "/function//a", "error"},
                    PathCase{"UpperCase", "/function/A", "error"},
                    PathCase{"Encoded", "/function/a%62", "error"},
                    PathCase{"Dots", "/function/../a", "error"},
                    PathCase{"Long", "/function/" + std::string(300, 'a'), "error"}),
    [](const auto& row) { return row.param.name; });

struct HostCase {
  std::string name;
  std::string value;
  std::string want;
};
class HostTest : public testing::TestWithParam<HostCase> {};

TEST_P(HostTest, IsReadAsTheTableSays) {
  std::string host = "what was there before";
  const auto got = ParseHost(GetParam().value, host);
  EXPECT_EQ(got ? host : "error", GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(
    Gateway, HostTest,
    testing::Values(
        HostCase{"Name", "a.example", "a.example"}, HostCase{"UpperCase", "A.Example", "a.example"},
        HostCase{"Port", "a:80", "a"}, HostCase{"EmptyPort", "a:", "a"}, HostCase{"Empty", "", ""},
        HostCase{"Ipv4", "127.0.0.1:1", "127.0.0.1"}, HostCase{"Ipv6", "[::1]:80", "[::1]"},
        HostCase{"BareIpv6", "::1", "error"}, HostCase{"OpenBracket", "[::1", "error"},
        HostCase{"AfterBracket", "[::1]x", "error"}, HostCase{"EmptyBrackets", "[]", "error"},
        HostCase{"BadPort", "a:b", "error"}, HostCase{"LongPort", "a:123456", "error"},
        HostCase{"User", "u@a", "error"}, HostCase{"Slash", "a/b", "error"},
        HostCase{"Space", "a b", "error"}, HostCase{"Comma", "a,b", "error"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hybridserve
