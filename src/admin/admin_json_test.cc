#include "admin/admin_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "admin/admin_server.h"
#include "base/file.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;

const std::string kDigest(64, 'a');

TEST(AdminJson, ADeployNamesManifestModuleAndImage) {
  const Result<DeployRequest> request = ParseDeployRequest(
      R"({"manifest":{"name":"a","wasm":{"module":"a.wasm"}},"module":")" + kDigest + R"("})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->manifest.name.value, "a");
  EXPECT_EQ(request->module.value, kDigest);
  EXPECT_EQ(request->image.value, "");
}

TEST(AdminJson, BadRequestsAreNamed) {
  struct Case {
    std::string body;
    std::string words;
  };
  const std::string good = R"("manifest":{"name":"a","wasm":{"module":"a"}})";
  const std::vector<Case> cases = {
      {"", "is not JSON"},
      {"[]", "is not a JSON object"},
      {"{}", "needs manifest"},
      {R"({"manifest":"text"})", "needs manifest"},
      {"{" + good + R"(,"modul":"x"})", "unknown key 'modul' in the request; known are manifest"},
      {"{" + good + R"(,"module":"x"})", "module is not a SHA-256 digest"},
      {"{" + good + R"(,"image":7})", "image is not a SHA-256 digest"},
      {R"({"manifest":{"name":"a/b","wasm":{"module":"a"}}})", "has a slash"},
      {R"({"manifest":{"name":"a","wasm":{"module":"a"},"limits":{"memroy":1}}})",
       "did you mean 'memory'?"},
      {R"({"manifest":)" + std::string(100000, '['), "is not JSON"},
  };
  for (const Case& row : cases) {
    const Result<DeployRequest> request = ParseDeployRequest(row.body);
    ASSERT_FALSE(request) << row.words;
    EXPECT_EQ(request.error().code, Code::kInvalidArgument);
    EXPECT_THAT(request.error().message, HasSubstr(row.words));
  }
}

TEST(AdminJson, ARollbackMayNameItsRevision) {
  EXPECT_EQ(ParseRollbackRequest("").value(), std::nullopt);
  EXPECT_EQ(ParseRollbackRequest("{}").value(), std::nullopt);
  EXPECT_EQ(ParseRollbackRequest(R"({"to":7})").value(), RevisionId{7});
  for (const std::string bad : {R"({"to":0})", R"({"to":"7"})", R"({"to":1.5})", R"({"ot":1})",
                                R"({"to":99999999999999999999})", "[]", "x"}) {
    EXPECT_FALSE(ParseRollbackRequest(bad)) << bad;
  }
}

TEST(AdminJson, TimesAreUtcWithMilliseconds) {
  const std::chrono::system_clock::time_point time{std::chrono::milliseconds(1767323045067)};
  EXPECT_EQ(FormatTime(time), "2026-01-02T03:04:05.067Z");
}

TEST(AdminJson, EventsAreOneLineEach) {
  EXPECT_EQ(ProgressEventJson("compile", "compiling"),
            "{\"event\":\"progress\",\"step\":\"compile\",\"message\":\"compiling\"}\n");
  DeployOutcome outcome{FunctionName{"a"}, RevisionId{3}, true};
  EXPECT_EQ(DoneEventJson(outcome),
            "{\"event\":\"done\",\"name\":\"a\",\"revision\":3,\"changed\":true}\n");
  EXPECT_EQ(ErrorEventJson({Code::kConflict, "a\nb"}),
            "{\"event\":\"error\",\"error\":{\"code\":\"conflict\",\"message\":\"a\\nb\"}}\n");
}

// "GET /v1/node" for every operation of the document.
std::set<std::string> DocumentedRoutes(const std::string& document) {
  std::set<std::string> routes;
  std::istringstream lines(document.substr(document.find("\npaths:\n") + 8));
  std::string line;
  std::string path;
  while (std::getline(lines, line)) {
    if (!line.empty() && line[0] != ' ') break;  // The next top-level key.
    if (line.starts_with("  /")) path = line.substr(2, line.find(':') - 2);
    for (const std::string method : {"get", "head", "put", "post", "delete", "patch"}) {
      if (line != "    " + method + ":") continue;
      std::string upper = method;
      for (char& c : upper) c = static_cast<char>(c - 'a' + 'A');
      routes.insert(upper + " " + path);
    }
  }
  return routes;
}

TEST(AdminJson, EveryRouteIsDocumentedAndEveryDocumentedRouteIsServed) {
  const Result<std::string> document = ReadFile(HS_SOURCE_FOLDER "/docs/openapi.yaml");
  ASSERT_TRUE(document) << document.error().message;
  std::set<std::string> served;
  for (const AdminRoute& route : AdminRoutes()) {
    served.insert(std::string(route.method) + " " + std::string(route.path));
  }
  EXPECT_EQ(DocumentedRoutes(*document), served);
}

// The keys under `required:` of a schema, which stand on one line or on its continuation.
std::set<std::string> RequiredKeys(const std::string& document, const std::string& schema) {
  const size_t start = document.find("\n    " + schema + ":\n");
  const size_t open = document.find("required: [", start) + 11;
  std::string list = document.substr(open, document.find(']', open) - open);
  std::set<std::string> keys;
  std::istringstream words(list);
  std::string word;
  while (words >> word) keys.insert(word.substr(0, word.find(',')));
  return keys;
}

std::set<std::string> KeysOf(const nlohmann::json& json) {
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  return keys;
}

TEST(AdminJson, AnswersHaveTheDocumentedKeysAndNoOthers) {
  const std::string document = ReadFile(HS_SOURCE_FOLDER "/docs/openapi.yaml").value();
  const auto node = nlohmann::json::parse(NodeJson(NodeInfo{}, 3));
  EXPECT_EQ(KeysOf(node), RequiredKeys(document, "Node"));
  const auto list =
      nlohmann::json::parse(FunctionListJson({FunctionSummary{}}, PolicyKind::kWasmOnly));
  const auto& summary = list["functions"][0];
  EXPECT_EQ(KeysOf(summary), RequiredKeys(document, "FunctionSummary"));
  EXPECT_EQ(KeysOf(summary["status"]), RequiredKeys(document, "Status"));
  EXPECT_EQ(summary["policy"], "wasm-only") << "the node's, where the function has none";
  FunctionDescription description;
  description.manifest = "{\"name\":\"a\"}";
  description.module.value = kDigest;
  std::set<std::string> whole = RequiredKeys(document, "FunctionSummary");
  whole.merge(RequiredKeys(document, "Function"));
  const auto function = nlohmann::json::parse(FunctionJson(description, PolicyKind::kPaper));
  EXPECT_EQ(KeysOf(function), whole);
  EXPECT_TRUE(function["image"].is_null());
  EXPECT_EQ(KeysOf(function["module"]), RequiredKeys(document, "Blob"));
  LogLine line;
  line.text = "bad \xff byte";
  EXPECT_EQ(KeysOf(nlohmann::json::parse(LogLineJson(line))), RequiredKeys(document, "LogLine"));
}

}  // namespace
}  // namespace hybridserve
