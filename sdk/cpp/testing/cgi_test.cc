// The CGI side: environment and stdin in, head and body out.
#include "cgi.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace hs::internal {
namespace {

/// A descriptor from which `content` is read.
int InputOf(std::string_view content) {
  int fd = memfd_create("input", MFD_CLOEXEC);
  EXPECT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  lseek(fd, 0, SEEK_SET);
  return fd;
}

std::optional<Request> Read(std::vector<const char*> environment, std::string_view input) {
  environment.push_back(nullptr);
  int fd = InputOf(input);
  std::optional<Request> request = ReadCgiRequest(environment.data(), fd);
  close(fd);
  return request;
}

TEST(CgiTest, TheEnvironmentBecomesARequest) {
  std::optional<Request> request =
      Read({"REQUEST_METHOD=PUT", "PATH_INFO=/a%20b", "QUERY_STRING=x=1&y", "CONTENT_TYPE=text/x",
            "HTTP_X_REQUEST_ID=7", "HTTP_ACCEPT=*/*", "CONTENT_LENGTH=4", "HOME=/", "NOEQUALS"},
           "bodyMORE");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->method, "PUT");
  EXPECT_EQ(request->path, "/a%20b");
  EXPECT_EQ(request->query, "x=1&y");
  EXPECT_EQ(request->body, "body");
  EXPECT_EQ(
      request->headers,
      (std::vector<Header>{{"content-type", "text/x"}, {"x-request-id", "7"}, {"accept", "*/*"}}));
}

TEST(CgiTest, TheRawPathWinsOverTheDecodedOne) {
  for (const auto& environment :
       {std::vector<const char*>{"PATH_INFO=/a b", "X_RAW_PATH_INFO=/a%20b"},
        std::vector<const char*>{"X_RAW_PATH_INFO=/a%20b", "PATH_INFO=/a b"}}) {
    EXPECT_EQ(Read(environment, "")->path, "/a%20b");
  }
}

TEST(CgiTest, WithoutALengthNothingIsRead) {
  std::optional<Request> request = Read({"REQUEST_METHOD=POST"}, "ignored");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->body, "");
  EXPECT_EQ(request->path, "/");
}

TEST(CgiTest, AShortBodyOrAWrongLengthIsNoRequest) {
  EXPECT_FALSE(Read({"CONTENT_LENGTH=10"}, "short"));
  EXPECT_FALSE(Read({"CONTENT_LENGTH=x"}, ""));
  EXPECT_FALSE(Read({"CONTENT_LENGTH=-1"}, ""));
  EXPECT_FALSE(Read({"CONTENT_LENGTH=18446744073709551615"}, "huge"));
}

TEST(CgiTest, AnAnswerIsAHeadAndItsBody) {
  int fd = memfd_create("output", MFD_CLOEXEC);
  EXPECT_TRUE(WriteCgiResponse(Response::Json("{}", 201), fd));
  std::string written(1000, '\0');
  ssize_t size = pread(fd, written.data(), written.size(), 0);
  close(fd);
  ASSERT_GT(size, 0);
  EXPECT_EQ(written.substr(0, static_cast<size_t>(size)),
            "Status: 201 Created\r\nContent-Type: application/json\r\n\r\n{}");
}

TEST(CgiTest, AClosedOutputIsAFailure) {
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_FALSE(WriteCgiResponse(Response::Text("x"), fd));
  close(fd);
}

}  // namespace
}  // namespace hs::internal
