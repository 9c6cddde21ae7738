// The author's view: queries, headers, answers.
#include "hybridserve/function.h"

#include <gtest/gtest.h>

#include "message.h"

namespace hs {
namespace {

struct ParameterCase {
  std::string name;
  std::string query;
  std::optional<std::string> want;  ///< Of parameter "n".
};

class ParameterTest : public testing::TestWithParam<ParameterCase> {};

TEST_P(ParameterTest, IsFoundAndDecoded) {
  Request request;
  request.query = GetParam().query;
  EXPECT_EQ(request.Parameter("n"), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(Query, ParameterTest,
                         testing::Values(ParameterCase{"NoneInAnEmptyQuery", "", std::nullopt},
                                         ParameterCase{"Alone", "n=5", "5"},
                                         ParameterCase{"AmongOthers", "m=1&n=5&o=2", "5"},
                                         ParameterCase{"TheFirstOfTwo", "n=1&n=2", "1"},
                                         ParameterCase{"FlagIsEmpty", "n", ""},
                                         ParameterCase{"EmptyValue", "n=&m=1", ""},
                                         ParameterCase{"NotAPrefixOfAnother", "nn=3", std::nullopt},
                                         ParameterCase{"PlusIsASpace", "n=a+b", "a b"},
                                         ParameterCase{"PercentIsDecoded", "n=%C3%b6%26%3D", "ö&="},
                                         ParameterCase{"NameIsDecodedToo", "%6e=7", "7"},
                                         ParameterCase{"BrokenEscapeStays", "n=%4", "%4"},
                                         ParameterCase{"NoHexStays", "n=%zz1", "%zz1"},
                                         ParameterCase{"EqualsInTheValue", "n=a=b", "a=b"},
                                         ParameterCase{"EmptyPairs", "&&n=1&&", "1"}),
                         [](const auto& tested) { return tested.param.name; });

TEST(RequestTest, IntegersOutsideTheirRangeAreNothing) {
  Request request;
  request.query = "a=5&b=5x&c=-3&d=99999999999999999999&e=";
  EXPECT_EQ(request.IntegerOr("a", 1, 0, 10), 5);
  EXPECT_EQ(request.IntegerOr("missing", 1, 0, 10), 1);
  EXPECT_EQ(request.IntegerOr("a", 1, 6, 10), std::nullopt);
  EXPECT_EQ(request.IntegerOr("b", 1, 0, 10), std::nullopt);
  EXPECT_EQ(request.IntegerOr("c", 1, -5, 10), -3);
  EXPECT_EQ(request.IntegerOr("d", 1, 0, 10), std::nullopt);
  EXPECT_EQ(request.IntegerOr("e", 1, 0, 10), std::nullopt);
}

TEST(RequestTest, HeadersAreFoundInAnyCase) {
  Request request;
  request.headers = {{"x-one", "1"}};
  EXPECT_EQ(request.HeaderValue("X-One"), "1");
  EXPECT_EQ(request.HeaderValue("x-two"), "");
}

TEST(MessageTest, RepeatedHeadersAreJoinedAndFramingIsLeftOut) {
  std::vector<Header> headers;
  internal::AddHeader(headers, "X-A", "1");
  internal::AddHeader(headers, "x-a", "2");
  internal::AddHeader(headers, "Cookie", "a=1");
  internal::AddHeader(headers, "cookie", "b=2");
  internal::AddHeader(headers, "Content-Length", "5");
  internal::AddHeader(headers, "Connection", "close");
  internal::AddHeader(headers, "X_A", "3");
  internal::AddHeader(headers, "Proxy", "evil");
  EXPECT_EQ(headers, (std::vector<Header>{{"x-a", "1, 2"}, {"cookie", "a=1; b=2"}}));
}

TEST(MessageTest, AnAnswerCannotSmuggleHeaders) {
  Response response{200, {}, ""};
  response.headers = {{"X-Good", "yes"},         {"X-Bad", "a\r\nSet-Cookie: x"},
                      {"Bad Name", "x"},         {"", "x"},
                      {"Content-Length", "999"}, {"Transfer-Encoding", "chunked"},
                      {"Status", "500"},         {"Content-Type", "text/html"}};
  EXPECT_EQ(internal::HeaderLines(response), "X-Good: yes\r\nContent-Type: text/html\r\n");
}

TEST(MessageTest, AnAnswerWithoutATypeIsPlainText) {
  EXPECT_EQ(internal::HeaderLines(Response{}), "Content-Type: text/plain; charset=utf-8\r\n");
}

TEST(MessageTest, AStatusOutsideHttpIs500) {
  EXPECT_EQ(internal::FinalStatus({.status = 404}), 404);
  for (int status : {0, -1, 100, 199, 600, 100000}) {
    EXPECT_EQ(internal::FinalStatus({.status = status}), 500) << status;
  }
}

}  // namespace
}  // namespace hs
