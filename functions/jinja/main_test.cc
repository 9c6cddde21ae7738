#include <gtest/gtest.h>
#include <hybridserve/function.h>

namespace {

hs::Response Ask(const std::string& query) {
  hs::Request request;
  request.query = query;
  return Handle(request);
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(JinjaTest, APageWithoutNumbersSaysSo) {
  EXPECT_EQ(Ask("random_len=0&username=edge").body,
            "<!DOCTYPE html>\n<html>\n"
            "<head><title>Randomly generated data for edge</title></head>\n<body>\n"
            "<p>Welcome, edge!</p>\n<p>There are no numbers.</p>\n</body>\n</html>\n");
}

TEST(JinjaTest, EveryNumberIsAnItem) {
  const std::string page = Ask("random_len=500").body;
  EXPECT_EQ(Count(page, "<li id=\"n"), 500u);
  EXPECT_NE(page.find("<p>500 numbers, all of them below 1000000&hellip;</p>"), std::string::npos);
}

// About one in ten is 900000 or above: the condition holds for exactly those.
TEST(JinjaTest, LargeNumbersAreStrong) {
  const std::string page = Ask("random_len=2000&seed=7").body;
  const size_t strong = Count(page, "<strong>");
  EXPECT_EQ(strong, Count(page, "<strong>9"));
  EXPECT_GT(strong, 100u);
  EXPECT_LT(strong, 300u);
}

TEST(JinjaTest, WhatTheClientSendsIsEscaped) {
  const std::string page = Ask("random_len=0&username=%3Cb%3E%26%22%27").body;
  EXPECT_NE(page.find("Welcome, &lt;b&gt;&amp;&#34;&#39;!"), std::string::npos) << page;
  EXPECT_EQ(page.find("<b>"), std::string::npos);
}

TEST(JinjaTest, AnotherSeedIsAnotherPage) {
  EXPECT_EQ(Ask("seed=5").body, Ask("seed=5&random_len=1000").body);
  EXPECT_NE(Ask("seed=5").body, Ask("seed=6").body);
}

TEST(JinjaTest, RefusesWhatItCannotTake) {
  for (const std::string& query : {std::string("random_len=-1"), std::string("random_len=50001"),
                                   std::string("seed=x"), "username=" + std::string(201, 'a')}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
}

}  // namespace
