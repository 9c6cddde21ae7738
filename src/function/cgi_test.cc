#include "function/cgi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

namespace hybridserve {
namespace {

std::optional<std::string> Find(const EnvironmentList& list, std::string_view name) {
  const auto found =
      std::find_if(list.begin(), list.end(), [name](const auto& v) { return v.first == name; });
  if (found == list.end()) return std::nullopt;
  return found->second;
}

RequestHead Request() {
  RequestHead head;
  head.method = "POST";
  head.path = "/a%20b/c";
  head.query = "x=1&y=%20";
  head.script_name = "/function/hello";
  head.host = "edge.example:8080";
  head.remote_address = "192.0.2.7";
  head.request_id = "r-1";
  head.headers = {{"Content-Type", "text/plain"}, {"X-Custom", "yes"}, {"accept", "*/*"}};
  head.has_body = true;
  return head;
}

TEST(CgiEnvironment, HoldsTheMetaVariablesOfTheRfc) {
  const EnvironmentList list = CgiEnvironment(Request(), 5, {{"MODE", "fast"}});
  const std::pair<std::string, std::string> wanted[] = {
      {"GATEWAY_INTERFACE", "CGI/1.1"},
      {"SERVER_PROTOCOL", "HTTP/1.1"},
      {"SERVER_NAME", "edge.example"},
      {"SERVER_PORT", "8080"},
      {"REQUEST_METHOD", "POST"},
      {"SCRIPT_NAME", "/function/hello"},
      {"PATH_INFO", "/a b/c"},
      {"X_RAW_PATH_INFO", "/a%20b/c"},
      {"QUERY_STRING", "x=1&y=%20"},
      {"REQUEST_URI", "/function/hello/a%20b/c?x=1&y=%20"},
      {"REMOTE_ADDR", "192.0.2.7"},
      {"REMOTE_HOST", "192.0.2.7"},
      {"CONTENT_LENGTH", "5"},
      {"CONTENT_TYPE", "text/plain"},
      {"HTTP_HOST", "edge.example:8080"},
      {"HTTP_X_REQUEST_ID", "r-1"},
      {"HTTP_X_CUSTOM", "yes"},
      {"HTTP_ACCEPT", "*/*"},
      {"MODE", "fast"},
  };
  for (const auto& [name, value] : wanted) EXPECT_EQ(Find(list, name), value) << name;
  EXPECT_EQ(list.size(), std::size(wanted) + 1);  // And SERVER_SOFTWARE.
}

TEST(CgiEnvironment, LeavesOutContentLengthWithoutABody) {
  RequestHead head = Request();
  head.has_body = false;
  head.headers.clear();
  const EnvironmentList list = CgiEnvironment(head, 0, {});
  EXPECT_EQ(Find(list, "CONTENT_LENGTH"), std::nullopt);
  EXPECT_EQ(Find(list, "CONTENT_TYPE"), std::nullopt);
}

TEST(CgiEnvironment, LeavesOutWhatCouldBeMistakenForAnotherVariable) {
  RequestHead head = Request();
  head.headers = {{"Proxy", "http://evil"},
                  {"X_Custom", "forged"},
                  {"X-Request-Id", "forged"},
                  {"Host", "forged"},
                  {"", "empty"},
                  {"X=Y", "odd"},
                  {"X-Zero", std::string("a\0b", 3)}};
  const EnvironmentList list = CgiEnvironment(head, 0, {{"HTTP_PROXY", "x"}, {"PATH_INFO", "x"}});
  EXPECT_EQ(Find(list, "HTTP_PROXY"), std::nullopt);
  EXPECT_EQ(Find(list, "HTTP_X_CUSTOM"), std::nullopt);
  EXPECT_EQ(Find(list, "HTTP_X_ZERO"), std::nullopt);
  EXPECT_EQ(Find(list, "HTTP_X_REQUEST_ID"), "r-1");
  EXPECT_EQ(Find(list, "HTTP_HOST"), "edge.example:8080");
  EXPECT_EQ(Find(list, "PATH_INFO"), "/a b/c");
  EXPECT_EQ(
      std::count_if(list.begin(), list.end(), [](const auto& v) { return v.first == "PATH_INFO"; }),
      1);
}

TEST(CgiEnvironment, PassesAuthorizationToTheFunctionThatChecksIt) {
  RequestHead head = Request();
  head.headers = {{"Authorization", "Bearer t"}};
  EXPECT_EQ(Find(CgiEnvironment(head, 0, {}), "HTTP_AUTHORIZATION"), "Bearer t");
}

TEST(CgiEnvironment, JoinsHeadersOfOneNameHoweverManyThereAre) {
  for (const size_t others : {0u, 100u}) {
    RequestHead head = Request();
    head.headers = {
        {"Accept", "a"}, {"Cookie", "k=1"}, {"ACCEPT", "b"}, {"cookie", "l=2"}, {"accept", "c"}};
    for (size_t i = 0; i < others; ++i) head.headers.push_back({"X-" + std::to_string(i), "v"});
    const EnvironmentList list = CgiEnvironment(head, 0, {});
    EXPECT_EQ(Find(list, "HTTP_ACCEPT"), "a, b, c");
    EXPECT_EQ(Find(list, "HTTP_COOKIE"), "k=1; l=2");
    EXPECT_EQ(std::count_if(list.begin(), list.end(),
                            [](const auto& v) { return v.first.starts_with("HTTP_X_"); }),
              static_cast<int64_t>(others) + 1);
  }
}

struct PathCase {
  std::string name;
  std::string raw;
  std::string decoded;
};
class PathInfoTest : public testing::TestWithParam<PathCase> {};

TEST_P(PathInfoTest, IsDecodedUnlessThatIsImpossible) {
  RequestHead head = Request();
  head.path = GetParam().raw;
  const EnvironmentList list = CgiEnvironment(head, 0, {});
  EXPECT_EQ(Find(list, "PATH_INFO"), GetParam().decoded);
  EXPECT_EQ(Find(list, "X_RAW_PATH_INFO"), GetParam().raw);
}

INSTANTIATE_TEST_SUITE_P(Cgi, PathInfoTest,
                         testing::Values(PathCase{"Plain", "/a", "/a"},
                                         PathCase{"Escaped", "/%41%2f%7E", "/A/~"},
                                         PathCase{"ZeroByte", "/a%00b", "/a%00b"},
                                         PathCase{"CutOff", "/a%4", "/a%4"},
                                         PathCase{"NotHex", "/%zz", "/%zz"}),
                         [](const auto& row) { return row.param.name; });

struct HostCase {
  std::string name;
  std::string host;
  std::string server;
  std::string port;
};
class ServerNameTest : public testing::TestWithParam<HostCase> {};

TEST_P(ServerNameTest, IsTheHostWithoutItsPort) {
  RequestHead head = Request();
  head.host = GetParam().host;
  const EnvironmentList list = CgiEnvironment(head, 0, {});
  EXPECT_EQ(Find(list, "SERVER_NAME"), GetParam().server);
  EXPECT_EQ(Find(list, "SERVER_PORT"), GetParam().port);
}

INSTANTIATE_TEST_SUITE_P(Cgi, ServerNameTest,
                         testing::Values(HostCase{"NameAndPort", "a.b:81", "a.b", "81"},
                                         HostCase{"Name", "a.b", "a.b", "80"},
                                         HostCase{"Ipv6AndPort", "[::1]:81", "[::1]", "81"},
                                         HostCase{"Ipv6", "[::1]", "[::1]", "80"},
                                         HostCase{"None", "", "", "80"}),
                         [](const auto& row) { return row.param.name; });

TEST(AppendCgiVariables, WritesTheSameVariablesAsABlock) {
  std::string block;
  const uint32_t count = AppendCgiVariables(Request(), 5, block);
  std::string wanted;
  const EnvironmentList list = CgiEnvironment(Request(), 5, {});
  for (const auto& [name, value] : list) wanted += name + "=" + value + '\0';
  EXPECT_EQ(block, wanted);
  EXPECT_EQ(count, list.size());
  for (const auto& [name, value] : list) EXPECT_TRUE(IsCgiVariable(name)) << name;
}

struct ResponseCase {
  std::string name;
  std::string bytes;
  int status;
  std::vector<Header> headers;
  std::string body;
};
class CgiResponseTest : public testing::TestWithParam<ResponseCase> {};

TEST_P(CgiResponseTest, IsParsed) {
  const ResponseCase& test = GetParam();
  const auto response = ParseCgiResponse(test.bytes);
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->head.status, test.status);
  EXPECT_EQ(response->head.headers, test.headers);
  EXPECT_EQ(test.bytes.substr(response->body_offset), test.body);
}

INSTANTIATE_TEST_SUITE_P(
    Cgi, CgiResponseTest,
    testing::Values(
        ResponseCase{
            "LinesEndInLf", "Content-Type: a/b\n\nbody", 200, {{"Content-Type", "a/b"}}, "body"},
        ResponseCase{"LinesEndInCrlf",
                     "Content-Type: a/b\r\n\r\nbody",
                     200,
                     {{"Content-Type", "a/b"}},
                     "body"},
        ResponseCase{"EmptyBody", "Content-Type: a/b\n\n", 200, {{"Content-Type", "a/b"}}, ""},
        ResponseCase{"BodyOfEmptyLines", "Status: 200\n\n\n\n", 200, {}, "\n\n"},
        ResponseCase{"StatusWithReason", "Status: 404 Not Found\n\nx", 404, {}, "x"},
        ResponseCase{"StatusInAnyCase", "STATUS: 599\n\n", 599, {}, ""},
        ResponseCase{"LocationIsARedirect", "Location: /x\n\n", 302, {{"Location", "/x"}}, ""},
        ResponseCase{
            "LocationWithStatus", "Location: /x\nStatus: 301\n\n", 301, {{"Location", "/x"}}, ""},
        ResponseCase{"ConnectionHeadersAreDropped",
                     "Connection: close\nContent-Length: 9\nTransfer-Encoding: chunked\n"
                     "Content-Type: a/b\nX-A: 1\nX-A: 2\n\nb",
                     200,
                     {{"Content-Type", "a/b"}, {"X-A", "1"}, {"X-A", "2"}},
                     "b"},
        ResponseCase{"ValuesAreTrimmed",
                     "Content-Type: \t a/b \t\nX-Empty:\n\n",
                     200,
                     {{"Content-Type", "a/b"}, {"X-Empty", ""}},
                     ""},
        ResponseCase{"ColonsInValues",
                     "Status: 200\nX-Url: http://a:1/\n\n",
                     200,
                     {{"X-Url", "http://a:1/"}},
                     ""}),
    [](const auto& row) { return row.param.name; });

struct BadResponseCase {
  std::string name;
  std::string bytes;
  std::string says;
};
class BadCgiResponseTest : public testing::TestWithParam<BadResponseCase> {};

TEST_P(BadCgiResponseTest, IsRefusedWithTheLine) {
  const auto response = ParseCgiResponse(GetParam().bytes);
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::kFunctionFailed);
  EXPECT_NE(response.error().message.find(GetParam().says), std::string::npos)
      << response.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Cgi, BadCgiResponseTest,
    testing::Values(
        BadResponseCase{"Nothing", "", "no response"},
        BadResponseCase{"NoHeaders", "hello world\n", "without a colon: \"hello world\""},
        BadResponseCase{"OnlyABody", "\nbody", "none of Content-Type"},
        BadResponseCase{"NoEmptyLine", "Content-Type: a/b\nbody", "is: \"body\""},
        BadResponseCase{"NeitherTypeNorStatus", "X-A: 1\n\n", "none of Content-Type"},
        BadResponseCase{"StatusOfWords", "Status: OK\n\n", "\"Status: OK\""},
        BadResponseCase{"StatusTooLow", "Status: 100\n\n", "200 to 599"},
        BadResponseCase{"StatusTooHigh", "Status: 600\n\n", "200 to 599"},
        BadResponseCase{"StatusGlued", "Status: 2000\n\n", "200 to 599"},
        BadResponseCase{"SpaceInName", "Content Type: a/b\n\n", "bad header name"},
        BadResponseCase{"FoldedLine", "Content-Type: a/b\n more: x\n\n", "bad header name"},
        BadResponseCase{"EmptyName", ": x\n\n", "bad header name"},
        BadResponseCase{"ControlByte",
                        "X-A: a\x01"
                        "b\n\n",
                        "a\\x01b"},
        BadResponseCase{"BareCr", "X-A: a\rX-B: b\n\n", "\\x0d"},
        BadResponseCase{"LongLineIsCut", "X" + std::string(100, 'a') + "\n", "aaa...\""},
        BadResponseCase{"TooManyLines",
                        [] {
                          std::string bytes;
                          for (int i = 0; i < 300; ++i) bytes += "X-A: 1\n";
                          return bytes + "\n";
                        }(),
                        "more than 256 lines"},
        BadResponseCase{"TooLong", "X-A: " + std::string(70000, 'a') + "\n\n", "first 64 KiB"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace hybridserve
