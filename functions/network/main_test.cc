#include <gmock/gmock.h>
#include <hybridserve/function.h>

#include <cstdlib>

namespace {

hs::Response Ask(const std::string& query) {
  hs::Request request;
  request.query = query;
  return Handle(request);
}

TEST(NetworkTest, RefusesWhatIsNoLink) {
  for (const std::string& query : {std::string(), std::string("link="), std::string("link=file:///x"),
                                   std::string("link=https://a.b/"),
                                   "link=http://a.b/" + std::string(3000, 'x')}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
}

TEST(NetworkTest, NamesTheLinkAndWhatFailed) {
  ::setenv("HTTP_PROXY", "http://127.0.0.1:1", 1);
  hs::Response response = Ask("link=http%3A%2F%2Fa.b%2Fc");
  ::unsetenv("HTTP_PROXY");
  EXPECT_EQ(response.status, 502);
  EXPECT_THAT(response.body, testing::StartsWith("http://a.b/c: cannot connect to the proxy"));
}

}  // namespace
