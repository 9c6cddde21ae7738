#include <gtest/gtest.h>
#include <hybridserve/function.h>

namespace {

hs::Response Ask(const std::string& query) {
  hs::Request request;
  request.query = query;
  return Handle(request);
}

TEST(ChameleonTest, RendersTheTableOfFunctionBench) {
  const hs::Response response = Ask("num_of_rows=2&num_of_cols=2");
  const std::string row =
      "<tr>\n"
      "<td><span class=\"column-1\">1</span></td>\n"
      "<td><span class=\"column-2\">2</span></td>\n"
      "</tr>\n";
  EXPECT_EQ(response.body,
            "<table xmlns=\"http://www.w3.org/1999/xhtml\">\n" + row + row + "</table>\n");
  EXPECT_EQ(response.headers.at(0).value, "text/html; charset=utf-8");
}

TEST(ChameleonTest, AnEmptyTableIsATable) {
  const std::string empty = "<table xmlns=\"http://www.w3.org/1999/xhtml\">\n</table>\n";
  EXPECT_EQ(Ask("num_of_rows=0").body, empty);
  EXPECT_EQ(Ask("num_of_rows=1&num_of_cols=0").body.find("<td>"), std::string::npos);
}

TEST(ChameleonTest, SizesMayComeInAJsonBody) {
  hs::Request request;
  request.method = "POST";
  request.headers = {{"content-type", "application/json"}};
  request.body = R"({"num_of_rows": 3, "num_of_cols": "4"})";
  EXPECT_EQ(Handle(request).body, Ask("num_of_rows=3&num_of_cols=4").body);
  EXPECT_EQ(Ask("").body, Ask("num_of_rows=100&num_of_cols=20").body);
}

TEST(ChameleonTest, RefusesWhatIsNoSize) {
  for (const char* query : {"num_of_rows=-1", "num_of_rows=2001", "num_of_cols=201",
                            "num_of_cols=x", "num_of_rows="}) {
    EXPECT_EQ(Ask(query).status, 400) << query;
  }
}

}  // namespace
