#include <gtest/gtest.h>
#include <hybridserve/function.h>

namespace {

TEST(HelloTest, GreetsTheWorldOrWhomeverIsNamed) {
  EXPECT_EQ(Handle({}).body, "Hello, world!\n");
  hs::Request request;
  request.query = "name=J%C3%B6rg";
  EXPECT_EQ(Handle(request).body, "Hello, Jörg!\n");
}

}  // namespace
