#include <gtest/gtest.h>
#include <hybridserve/function.h>

#include <nlohmann/json.hpp>

#include "document.h"

namespace {

hs::Response Ask(const std::string& query) {
  hs::Request request;
  request.query = query;
  return Handle(request);
}

hs::Response Send(const std::string& document) {
  hs::Request request;
  request.method = "POST";
  request.headers = {{"content-type", "text/plain"}};
  request.body = document;
  return Handle(request);
}

// FNV-1a of Python's json.dumps(json.loads(document), indent=4).
TEST(JsonDumpsLoadsTest, WritesWhatPythonWrites) {
  EXPECT_EQ(Send(R"({"a":[1,2.5,-3e2,true,null],"b":{"c":"d\u00e4\n"}})").body, 
            R"({"bytes_read":50,"values":9,"bytes_written":126,"checksum":"7e2ae4f3d1d01c61"})" "\n");
  EXPECT_EQ(Send(" [ ] ").body, 
            R"({"bytes_read":5,"values":1,"bytes_written":2,"checksum":"09612b07b5ecb5a5"})" "\n");
}

TEST(JsonDumpsLoadsTest, MakesADocumentOfSoManyRecords) {
  const auto document = nlohmann::json::parse(MakeDocument(5, 3));
  ASSERT_EQ(document.size(), 5u);
  EXPECT_EQ(document[4]["index"], 4);
  EXPECT_EQ(document[4]["tags"].size(), 7u);
  EXPECT_TRUE(document[4]["latitude"].is_number_float());
  EXPECT_NE(MakeDocument(5, 3), MakeDocument(5, 4));
  EXPECT_EQ(Ask("n=0").body, Send("[]").body);
  EXPECT_EQ(Ask("n=5&seed=3").body, Send(MakeDocument(5, 3)).body);
  EXPECT_EQ(Ask("").body, Ask("n=1000&seed=1").body);
}

TEST(JsonDumpsLoadsTest, KnowsHowDeepADocumentIs) {
  EXPECT_EQ(DepthOf("7"), 0u);
  EXPECT_EQ(DepthOf(R"([[1],{"]]":"[[[\"[["}])"), 2u);
  EXPECT_EQ(DepthOf("]]][[["), 3u);
}

TEST(JsonDumpsLoadsTest, RefusesWhatIsDeepOrLong) {
  const std::string deep = std::string(32, '[') + std::string(32, ']');
  EXPECT_EQ(Send(deep).status, 200);
  EXPECT_EQ(Send("[" + deep + "]").status, 413);
  EXPECT_EQ(Send(std::string(524288, ' ')).status, 400);
  EXPECT_EQ(Send(std::string(524289, ' ')).status, 413);
}

TEST(JsonDumpsLoadsTest, RefusesWhatIsNoJson) {
  for (const char* document : {"{", "[1,]", "nul", "\"\xff\"", "[1] 2"}) {
    EXPECT_EQ(Send(document).status, 400) << document;
  }
  for (const char* query : {"n=-1", "n=20001", "seed=x"}) EXPECT_EQ(Ask(query).status, 400) << query;
}

}  // namespace
