// The commands against a node that answers as the test says.
#include "cli/commands.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/digest.h"
#include "base/file.h"
#include "cli/testing/console.h"
#include "cli/testing/fake_node.h"
#include "function/keys.h"

namespace hybridserve::cli {
namespace {

namespace fs = std::filesystem;

class CommandsTest : public testing::Test {
 protected:
  CommandsTest() { console_.session().options.state_folder = node_.state_folder(); }

  Session& session() { return console_.session(); }

  /// A function's folder with this manifest and these files.
  fs::path MakeFunction(const std::string& manifest,
                        const std::map<std::string, std::string>& files = {}) {
    const fs::path folder = folder_.path() / "function";
    for (const auto& [name, content] : files) {
      fs::create_directories((folder / name).parent_path());
      std::ofstream(folder / name) << content;
    }
    fs::create_directories(folder);
    std::ofstream(folder / "function.toml") << manifest;
    return folder;
  }

  void ExpectFailure(const Outcome& outcome, Code code, const std::string& part) {
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, code);
    EXPECT_NE(outcome.error().message.find(part), std::string::npos) << outcome.error().message;
  }

  TemporaryFolder folder_;
  FakeNode node_;
  Console console_;
};

constexpr const char* kWasmManifest = "name = \"hello\"\n[wasm]\nmodule = \"hello.wasm\"\n";

TEST_F(CommandsTest, ListShowsATable) {
  node_.Answer("GET /v1/functions", 200,
               R"({"functions":[{"name":"a","revision":3,"builds":["wasm","container"],
               "policy":"paper","state":"ready","status":{"wasm_loaded":true}},
               {"name":"bb","revision":12,"builds":["wasm"],"policy":"wasm-only","state":"failed"}]})");
  EXPECT_EQ(RunList(session()), 0);
  EXPECT_EQ(console_.Out(),
            "NAME  REVISION  BUILDS           POLICY     STATE             DEPLOYED\n"
            "a            3  wasm, container  paper      wasm code loaded\n"
            "bb          12  wasm             wasm-only  failed\n");
}

TEST_F(CommandsTest, AnEmptyListSaysHowToGoOn) {
  node_.Answer("GET /v1/functions", 200, R"({"functions":[]})");
  EXPECT_EQ(RunList(session()), 0);
  EXPECT_EQ(console_.Out(), "");
  EXPECT_NE(console_.Err().find("hybridserve new"), std::string::npos);
}

TEST_F(CommandsTest, JsonIsTheNodesOwnAnswer) {
  const std::string answer = R"({"functions":[{"name":"a","future":[1,2]}]})";
  node_.Answer("GET /v1/functions", 200, answer);
  session().options.output = CommonOptions::Output::kJson;
  EXPECT_EQ(RunList(session()), 0);
  EXPECT_EQ(Json::parse(console_.Out()), Json::parse(answer));
}

TEST_F(CommandsTest, DescribeShowsLimitsAndRevisions) {
  const std::string digest(64, 'a');
  node_.Answer("GET /v1/functions/hello", 200,
               R"({"name":"hello","description":"says hello","revision":2,"policy":"paper",
               "state":"failed","failure":"the secret /x cannot be read",
               "deployed":"2026-01-02T03:04:05Z","status":{},"module":{"digest":")" +
                   digest +
                   R"(","bytes":2048},"image":null,
               "manifest":{"name":"hello","wasm":{"module":"m.wasm"},"limits":{"memory":1048576},
               "environment":{"MODE":"quiet"}},
               "revisions":[{"revision":1,"created":"2026-01-01T00:00:00Z","current":false,
               "module":")" +
                   digest + R"(","image":null},
               {"revision":2,"created":"2026-01-01T00:00:00Z","current":true,"module":null,
               "image":null}]})");
  ASSERT_EQ(RunDescribe({"hello"}, session()), 0);
  const std::string out = console_.Out();
  for (const char* part :
       {"says hello", "the secret /x cannot be read", "aaaaaaaaaaaa  2.0 KiB", "image         none",
        "memory        1MiB", "environment   MODE", "current\n"}) {
    EXPECT_NE(out.find(part), std::string::npos) << part << "\n" << out;
  }
  EXPECT_EQ(out.find("quiet"), std::string::npos) << "values are not shown";
}

TEST_F(CommandsTest, ANodesErrorKeepsItsCodeAndSentence) {
  node_.Answer("GET /v1/functions/ghost", 404,
               R"({"error":{"code":"not_found","message":"no function 'ghost'"}})");
  ExpectFailure(RunDescribe({"ghost"}, session()), Code::kNotFound, "no function 'ghost'");
}

TEST_F(CommandsTest, ANodesErrorCannotDriveTheTerminal) {
  node_.Answer("GET /v1/functions/ghost", 404,
               R"({"error":{"code":"not_found","message":"a\u001b[2Jb"}})");
  ExpectFailure(RunDescribe({"ghost"}, session()), Code::kNotFound, "a\\x1b[2Jb");
}

TEST_F(CommandsTest, WithoutANodeTheSentenceSaysHowToStartOne) {
  session().options.state_folder = folder_.path();
  ExpectFailure(RunList(session()), Code::kUnavailable, "hybridserve serve");
  fs::create_directory(folder_.path() / "server");
  std::ofstream(folder_.path() / "server/admin.sock") << "";  // Left behind, no listener.
  ExpectFailure(RunList(session()), Code::kUnavailable, "hybridserve serve");
}

TEST_F(CommandsTest, AStateFolderTooLongForASocketIsNamed) {
  session().options.state_folder = "/tmp/" + std::string(120, 'x');
  ExpectFailure(RunList(session()), Code::kInvalidArgument, "107 bytes");
}

TEST_F(CommandsTest, WhatIsNoHybridServeNodeIsNamedAsSuch) {
  node_.Answer("GET /v1/functions", 200, "<html>hello</html>");
  ExpectFailure(RunList(session()), Code::kInternal, "is it the admin API");
  node_.AnswerRaw("GET /v1/functions", "SSH-2.0-OpenSSH\r\n");
  ExpectFailure(RunList(session()), Code::kInternal, "no whole answer");
  node_.AnswerRaw("GET /v1/functions", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}");
  ExpectFailure(RunList(session()), Code::kInternal, "ended early");
}

TEST_F(CommandsTest, ANodeElsewhereGetsTheToken) {
  const fs::path token = folder_.path() / "token";
  std::ofstream(token) << "secret-token\n";
  session().options.node = "http://" + node_.address();
  session().options.token_file = token;
  node_.Answer("GET /v1/functions", 200, R"({"functions":[]})");
  EXPECT_EQ(RunList(session()), 0);
  EXPECT_NE(node_.Requests().at(0).head.find("Authorization: Bearer secret-token\r\n"),
            std::string::npos);
}

TEST_F(CommandsTest, AWrongNodeAddressIsRefused) {
  for (const char* node : {"ftp://h:1", "http://", "https://", "http://h:0", "https://h:99999"}) {
    session().options.node = node;
    ExpectFailure(RunList(session()), Code::kInvalidArgument, node);
  }
}

TEST_F(CommandsTest, ATokenGoesToANodeElsewhereOverTlsOnly) {
  session().options.node = "http://10.0.0.7:9090";
  ExpectFailure(RunList(session()), Code::kInvalidArgument, "write https://10.0.0.7:9090");
}

TEST_F(CommandsTest, InvokeSendsTheKeyOfAFile) {
  node_.Answer("GET /function/hello", 200, "ok");
  const fs::path key = folder_.path() / "key";
  std::ofstream(key) << "key-1\n";
  InvokeOptions options;
  options.name = "hello";
  options.gateway = node_.address();
  options.key_file = key;
  EXPECT_EQ(RunInvoke(options, session()), 0);
  EXPECT_NE(node_.Requests().at(0).head.find("Authorization: Bearer key-1\r\n"), std::string::npos);
}

TEST_F(CommandsTest, TokenAddsTheHashToTheFileAndPrintsTheTokenOnce) {
  const fs::path file = folder_.path() / "tokens";
  std::ofstream(file) << "# who may deploy";
  EXPECT_EQ(RunToken({file, "ci"}, session()), 0);
  const std::string out = console_.Out();
  ASSERT_EQ(out.size(), 65u);
  const std::string token = out.substr(0, 64);
  EXPECT_EQ(ReadFile(file).value(), "# who may deploy\n" + KeyLine("ci", token));
  ExpectFailure(RunToken({file, "ci"}, session()), Code::kInvalidArgument, "two keys of the name");
  EXPECT_EQ(ReadFile(file).value(), "# who may deploy\n" + KeyLine("ci", token));
}

TEST_F(CommandsTest, TokenWithoutAFilePrintsItsLine) {
  EXPECT_EQ(RunToken({}, session()), 0);
  const std::string token = console_.Out().substr(0, 64);
  EXPECT_NE(console_.Err().find("\n" + KeyLine("", token)), std::string::npos);
}

TEST_F(CommandsTest, RemoveNamesWhatItRemoved) {
  node_.Answer("DELETE /v1/functions/a", 204, "");
  node_.Answer("DELETE /v1/functions/b", 204, "");
  EXPECT_EQ(RunRemove({{"a", "b"}}, session()), 0);
  EXPECT_EQ(console_.Out(), "removed a\nremoved b\n");
}

TEST_F(CommandsTest, ANameThatIsNoneNeverReachesTheNode) {
  ExpectFailure(RunRemove({{"../node"}}, session()), Code::kInvalidArgument, "../node");
  ExpectFailure(RunDescribe({std::string(300, 'a')}, session()), Code::kInvalidArgument, "300");
  EXPECT_TRUE(node_.Requests().empty());
}

TEST_F(CommandsTest, RollbackNamesTheRevision) {
  node_.Answer("POST /v1/functions/hello/rollback", 200, R"({"event":"done","revision":4})");
  EXPECT_EQ(RunRollback({"hello", 4}, session()), 0);
  EXPECT_EQ(RunRollback({"hello", std::nullopt}, session()), 0);
  EXPECT_EQ(console_.Out(), "hello is at revision 4\nhello is at revision 4\n");
  EXPECT_EQ(node_.Requests().at(0).body, R"({"to":4})");
  EXPECT_EQ(node_.Requests().at(1).body, "{}");
}

TEST_F(CommandsTest, LogsAreShownLineByLine) {
  const std::string lines =
      "{\"time\":\"T1\",\"source\":\"wasm\",\"text\":\"one\"}\n"
      "{\"time\":\"T2\",\"source\":\"container\",\"text\":\"t\\u001bwo\"}\n";
  std::string chunks;  // Of one byte: they cut lines apart.
  for (const char c : lines) chunks += std::string("1\r\n") + c + "\r\n";
  node_.AnswerRaw("GET /v1/functions/hello/logs?tail=2&follow=1",
                  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n");
  EXPECT_EQ(RunLogs({"hello", true, 2}, session()), 0);
  EXPECT_EQ(console_.Out(), "T1  wasm       one\nT2  container  t\\x1bwo\n");
}

TEST_F(CommandsTest, DeployUploadsOnlyWhatTheNodeLacks) {
  const std::string module = "the module";
  const std::string image = "the image";
  const std::string module_digest = Sha256(module).value;
  const std::string image_digest = Sha256(image).value;
  const fs::path folder =
      MakeFunction(std::string(kWasmManifest) + "[container]\nimage = \"i.tar\"\n",
                   {{"hello.wasm", module}, {"i.tar", image}});
  node_.Answer("HEAD /v1/blobs/" + module_digest, 200, "");
  node_.Answer("HEAD /v1/blobs/" + image_digest, 404, "");
  node_.Answer("PUT /v1/blobs", 201, R"({"digest":")" + image_digest + R"(","bytes":9})");
  node_.Answer("POST /v1/functions", 200,
               R"({"event":"progress","step":"compile","message":"compiling the module"}
{"event":"done","name":"hello","revision":7,"changed":true}
)");
  node_.Answer("GET /v1/node", 200, R"({"gateway":"127.0.0.1:8080"})");
  ASSERT_EQ(RunDeploy({folder}, session()), 0);

  std::vector<std::string> asked;
  Json request;
  for (const auto& made : node_.Requests()) {
    asked.push_back(made.method);
    if (made.method == "PUT") {
      EXPECT_EQ(made.body, image);
    }
    if (made.method == "POST") request = Json::parse(made.body);
  }
  EXPECT_EQ(asked, (std::vector<std::string>{"HEAD", "HEAD", "PUT", "POST", "GET"}));
  EXPECT_EQ(request["module"], module_digest);
  EXPECT_EQ(request["image"], image_digest);
  EXPECT_EQ(request["manifest"]["name"], "hello");
  EXPECT_EQ(console_.Err(), "uploading the image\ncompiling the module\n");
  EXPECT_TRUE(console_.Out().starts_with("deployed hello, revision 7 (wasm and container), in "));
  EXPECT_TRUE(console_.Out().ends_with("\n  http://127.0.0.1:8080/function/hello\n"));
}

TEST_F(CommandsTest, DeployOfWhatIsThereSaysSo) {
  const std::string digest = Sha256("m").value;
  node_.Answer("HEAD /v1/blobs/" + digest, 200, "");
  node_.Answer("POST /v1/functions", 200, R"({"event":"done","revision":7,"changed":false})");
  node_.Answer("GET /v1/node", 200, "{}");
  ASSERT_EQ(RunDeploy({MakeFunction(kWasmManifest, {{"hello.wasm", "m"}})}, session()), 0);
  EXPECT_EQ(console_.Out(), "hello is at revision 7 already; nothing changed\n");
}

TEST_F(CommandsTest, DeployFailsAsTheNodeSays) {
  const fs::path folder = MakeFunction(kWasmManifest, {{"hello.wasm", "m"}});
  node_.Answer("HEAD /v1/blobs/" + Sha256("m").value, 200, "");
  node_.Answer("POST /v1/functions", 200,
               R"({"event":"error","error":{"code":"unsupported","message":"no such import"}})");
  ExpectFailure(RunDeploy({folder}, session()), Code::kUnsupported, "no such import");
  node_.Answer("POST /v1/functions", 400,
               R"({"error":{"code":"invalid_argument","message":"bad manifest"}})");
  ExpectFailure(RunDeploy({folder}, session()), Code::kInvalidArgument, "bad manifest");
  node_.Answer("POST /v1/functions", 200, R"({"event":"progress","message":"x"})");
  ExpectFailure(RunDeploy({folder}, session()), Code::kInternal, "without saying");
}

TEST_F(CommandsTest, AnUploadThatTheNodeCutsShortShowsTheNodesReason) {
  const std::string large(8u << 20, 'x');
  const fs::path folder = MakeFunction(kWasmManifest, {{"hello.wasm", large}});
  node_.Answer("HEAD /v1/blobs/" + Sha256(large).value, 404, "");
  node_.Answer("PUT /v1/blobs", 413,
               R"({"error":{"code":"too_large","message":"a blob may have 1 MiB"}})");
  ExpectFailure(RunDeploy({folder}, session()), Code::kTooLarge, "a blob may have 1 MiB");
}

TEST_F(CommandsTest, DeployWithoutABuildSaysHowToMakeIt) {
  ExpectFailure(RunDeploy({MakeFunction(kWasmManifest)}, session()), Code::kNotFound,
                "hello.wasm; run `hybridserve build");
  ExpectFailure(RunDeploy({folder_.path() / "nowhere"}, session()), Code::kNotFound, "nowhere");
  EXPECT_TRUE(node_.Requests().empty());
}

TEST_F(CommandsTest, DeployPacksALayoutFolder) {
  const fs::path folder = MakeFunction("name = \"hello\"\n[container]\nimage = \"layout\"\n",
                                       {{"layout/oci-layout", "{}"}});
  const Outcome outcome = RunDeploy({folder}, session());
  ExpectFailure(outcome, Code::kInvalidArgument, "index.json");
}

class InvokeTest : public CommandsTest {
 protected:
  InvokeTest() { node_.Answer("GET /v1/node", 200, R"({"gateway":")" + node_.address() + R"("})"); }
  FakeNode::Request Last() { return node_.Requests().back(); }
};

TEST_F(InvokeTest, SendsDataAndPrintsTheBody) {
  node_.Answer("POST /function/hello/a?b=1", 200, "answer");
  InvokeOptions options;
  options.name = "hello";
  options.path = "a?b=1";
  options.data = "edge";
  options.headers = {"X-A:  1", "X-A: 2"};
  options.route = "wasm";
  ASSERT_EQ(RunInvoke(options, session()), 0);
  EXPECT_EQ(console_.Out(), "answer");
  EXPECT_EQ(console_.Err(), "");
  EXPECT_EQ(Last().body, "edge");
  for (const char* header : {"X-A: 1\r\n", "X-A: 2\r\n", "HybridServe-Route: wasm-only\r\n"}) {
    EXPECT_NE(Last().head.find(header), std::string::npos) << header;
  }
}

TEST_F(InvokeTest, WithoutDataItGets) {
  node_.Answer("GET /function/hello", 200, "x");
  EXPECT_EQ(RunInvoke({.name = "hello"}, session()), 0);
}

TEST_F(InvokeTest, EmptyDataIsData) {
  node_.Answer("POST /function/hello", 200, "x");
  EXPECT_EQ(RunInvoke({.name = "hello", .data = ""}, session()), 0);
}

TEST_F(InvokeTest, ReadsDataFromAFile) {
  const fs::path file = folder_.path() / "data";
  const std::string content("\0\1\2", 3);
  std::ofstream(file) << content;
  node_.Answer("POST /function/hello", 200, "");
  ASSERT_EQ(RunInvoke({.name = "hello", .data = "@" + file.string()}, session()), 0);
  EXPECT_EQ(Last().body, content);
  ExpectFailure(RunInvoke({.name = "hello", .data = "@/nowhere"}, session()), Code::kNotFound,
                "/nowhere");
}

TEST_F(InvokeTest, VerboseShowsWhereItRan) {
  node_.Answer("GET /function/hello", 200, "x",
               "HybridServe-Backend: wasm\r\nHybridServe-Start: cold\r\n"
               "HybridServe-Reason: no-warm-container\r\nX-Request-Id: 5f\r\n"
               "Server-Timing: queue;dur=0.004, start;dur=0.094, run;dur=0.061\r\n");
  ASSERT_EQ(RunInvoke({.name = "hello", .verbose = true}, session()), 0);
  const std::string err = console_.Err();
  EXPECT_TRUE(
      err.starts_with("HTTP 200, wasm, cold start (no-warm-container)\n"
                      "queue 0.004 ms, start 0.094 ms, run 0.061 ms, total "))
      << err;
  EXPECT_TRUE(err.ends_with("request 5f\n"));
}

TEST_F(InvokeTest, JsonHoldsTheTimings) {
  node_.Answer("GET /function/hello", 200, "x", "Server-Timing: run;dur=0.5\r\n");
  session().options.output = CommonOptions::Output::kJson;
  ASSERT_EQ(RunInvoke({.name = "hello"}, session()), 0);
  const Json shown = Json::parse(console_.Out());
  EXPECT_EQ(shown["status"], 200);
  EXPECT_EQ(shown["body"], "x");
  EXPECT_EQ(shown["timing_ms"]["run"], 0.5);
}

TEST_F(InvokeTest, AFailureHasTheExitStatusOfItsKind) {
  const std::pair<int, int> cases[] = {{404, 3}, {429, 8}, {502, 7}, {503, 8},
                                       {504, 9}, {413, 2}, {500, 1}, {418, 1}};
  for (const auto& [status, want] : cases) {
    node_.Answer("GET /function/hello", status, "why\n");
    EXPECT_EQ(RunInvoke({.name = "hello"}, session()), want) << status;
  }
  EXPECT_TRUE(console_.Out().starts_with("why\nwhy\n"));
  EXPECT_TRUE(console_.Err().starts_with("HTTP 404\nHTTP 429\n"));
}

TEST_F(InvokeTest, AnAnswerThatIsNoTextIsBase64InJson) {
  node_.Answer("GET /function/hello", 200, "\xff\xd8\xff");
  session().options.output = CommonOptions::Output::kJson;
  EXPECT_EQ(RunInvoke({.name = "hello"}, session()), 0);
  const Json answer = Json::parse(console_.Out());
  EXPECT_EQ(answer.at("body_base64"), "/9j/");
  EXPECT_FALSE(answer.contains("body"));
}

TEST_F(InvokeTest, TheNodesReasonGoesToStandardError) {
  node_.Answer("GET /function/hello", 502,
               R"({"error":{"code":"function_failed","message":"the function trapped"}})");
  EXPECT_EQ(RunInvoke({.name = "hello"}, session()), 7);
  EXPECT_EQ(console_.Out(), "");
  EXPECT_EQ(console_.Err(), "hybridserve: the function trapped (HTTP 502)\n");
}

TEST_F(InvokeTest, WhatCannotBeSentIsRefused) {
  const auto refused = [&](InvokeOptions options, const std::string& part) {
    options.name = options.name.empty() ? "hello" : options.name;
    ExpectFailure(RunInvoke(options, session()), Code::kInvalidArgument, part);
  };
  refused({.headers = {"no colon"}}, "no colon");
  refused({.headers = {"A: b\r\nC: d"}}, "A: b\\x0d\\x0aC: d");
  refused({.path = "/a b"}, "/a b");
  refused({.method = "GET /x"}, "GET /x");
  refused({.route = "docker"}, "docker");
  refused({.name = "a/b"}, "slash");
  refused({.gateway = "ftp://x"}, "ftp://x");
  EXPECT_TRUE(node_.Requests().empty());
}

TEST_F(CommandsTest, VersionWorksWithoutANode) {
  session().options.state_folder = folder_.path();
  EXPECT_EQ(RunVersion(session()), 0);
  EXPECT_NE(console_.Out().find("none running"), std::string::npos);
}

}  // namespace
}  // namespace hybridserve::cli
