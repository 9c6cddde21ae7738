#include "admin/secrets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"

namespace hybridserve {
namespace {

using testing::HasSubstr;
using testing::Not;

class SecretsTest : public testing::Test {
 protected:
  std::filesystem::path Write(const std::string& name, const std::string& content) {
    const std::filesystem::path path = folder_.path() / name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  Result<std::string> Read(const std::filesystem::path& path) {
    Manifest manifest;
    manifest.secrets = {{"TOKEN", path}};
    TRY_ASSIGN(auto environment,
               EnvironmentWithSecrets(manifest, folder_.path() / "state", node_files_));
    return environment.at("TOKEN");
  }
  void ExpectRefused(const std::filesystem::path& path, const std::string& words) {
    const Result<std::string> value = Read(path);
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code, Code::kInvalidArgument);
    EXPECT_THAT(value.error().message, HasSubstr("secret TOKEN: the file '" + path.string() + "'"));
    EXPECT_THAT(value.error().message, HasSubstr(words));
  }

  TemporaryFolder folder_;
  const std::vector<NodeFile> node_files_{
      {folder_.path() / "token", "the admin API's token (admin.token_file)"},
      {folder_.path() / "missing", "missing"},
      {folder_.path() / "key", "the gateway's private key (gateway.tls_key)"}};
};

TEST_F(SecretsTest, OneNewlineAtTheEndIsTakenOff) {
  EXPECT_EQ(Read(Write("s", "value")).value(), "value");
  EXPECT_EQ(Read(Write("s", "value\n")).value(), "value");
  EXPECT_EQ(Read(Write("s", "two\nlines\n\n")).value(), "two\nlines\n");
  EXPECT_EQ(Read(Write("s", "")).value(), "");
  EXPECT_EQ(Read(Write("s", std::string(16 * 1024, 'x'))).value().size(), 16u * 1024);
}

TEST_F(SecretsTest, WhatCannotBeASecretIsRefused) {
  ExpectRefused(folder_.path() / "missing", "cannot be read (No such file or directory)");
  ExpectRefused(folder_.path(), "is not a regular file");
  ExpectRefused(Write("zero", std::string("a\0b", 3)), "holds a zero byte");
  ExpectRefused(Write("large", std::string(16 * 1024 + 1, 'x')), "has more than 16KiB");
  ExpectRefused("/dev/zero", "is not a regular file");
  ExpectRefused("/proc/self/maps", "is a file of the kernel");
  ExpectRefused(Write("token", "the admin API's"), "is the admin API's token");
  ExpectRefused(Write("key", "the gateway's"), "is the gateway's private key (gateway.tls_key)");
}

TEST_F(SecretsTest, APipeWithoutAWriterDoesNotHoldTheNodeUp) {
  const std::filesystem::path pipe = folder_.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  ExpectRefused(pipe, "is not a regular file");
}

TEST_F(SecretsTest, TheNodesOwnStateIsNoSecretNotEvenByALink) {
  ASSERT_TRUE(MakeFolder(folder_.path() / "state/server"));
  const std::filesystem::path key = folder_.path() / "state/server/aot.key";
  std::ofstream(key) << "key";
  ExpectRefused(key, "lies in the node's state folder");
  const std::filesystem::path link = folder_.path() / "link";
  std::filesystem::create_symlink(key, link);
  ExpectRefused(link, "lies in the node's state folder");
  EXPECT_TRUE(Read(Write("state-of-things", "fine")));
}

TEST_F(SecretsTest, AFileOfAnotherUserIsRefusedWithTheUsersName) {
  const std::filesystem::path path = Write("private", "secret-canary");
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  if (::access(path.c_str(), R_OK) == 0) GTEST_SKIP() << "root reads every file";
  ExpectRefused(path, "as user ");
}

TEST_F(SecretsTest, AllVariablesTogetherAreBounded) {
  Manifest manifest;
  for (const std::string name : {"A", "B", "C"}) {
    manifest.secrets[name] = Write(name, std::string(12 * 1024, 'x'));
  }
  const auto environment = EnvironmentWithSecrets(manifest, folder_.path() / "state", node_files_);
  ASSERT_FALSE(environment);
  EXPECT_THAT(environment.error().message, HasSubstr("at most 32KiB"));
  EXPECT_THAT(environment.error().message, Not(HasSubstr("xxx")));
}

}  // namespace
}  // namespace hybridserve
