#include "router/body.h"

#include <gtest/gtest.h>

#include "router/fake.h"

namespace hybridserve {
namespace {

class CollectBodyTest : public testing::Test {
 protected:
  Result<std::string> Collect(MemoryExchange& exchange) {
    CollectedBody body(budget_);
    Result<> collected = Await(loop_, CollectBody(exchange, body));
    if (!collected) return tl::unexpected(collected.error());
    return std::string(body.bytes);
  }

  boost::asio::io_context loop_;
  BodyBudget budget_{10};
};

TEST_F(CollectBodyTest, ARequestWithoutABodyHasAnEmptyOne) {
  MemoryExchange exchange;
  EXPECT_EQ(Collect(exchange), "");
}

TEST_F(CollectBodyTest, PiecesAreJoined) {
  MemoryExchange announced({"abc", "de"}, true);
  MemoryExchange chunked({"abc", "de"}, false);
  EXPECT_EQ(Collect(announced), "abcde");
  EXPECT_EQ(Collect(chunked), "abcde");
}

TEST_F(CollectBodyTest, ABodyOfOnePieceIsAViewAndTakesNothingFromTheBudget) {
  MemoryExchange exchange({"0123456789"}, true);
  CollectedBody body(budget_);
  ASSERT_TRUE(Await(loop_, CollectBody(exchange, body)));
  EXPECT_EQ(body.bytes, "0123456789");
  EXPECT_TRUE(body.storage.empty());
  EXPECT_EQ(budget_.used_bytes(), 0u);
}

TEST_F(CollectBodyTest, MoreThanTheWholeBudgetIsTooLarge) {
  MemoryExchange exchange({"0123456789", "0"}, true);
  EXPECT_EQ(Collect(exchange).error().code, Code::kTooLarge);
}

TEST_F(CollectBodyTest, AUsedUpBudgetIsUnavailableUntilABodyIsGone) {
  {
    MemoryExchange first({"01234567"}, false);
    CollectedBody held(budget_);
    ASSERT_TRUE(Await(loop_, CollectBody(first, held)));
    EXPECT_EQ(budget_.used_bytes(), 8u);
    MemoryExchange second({"012"}, false);
    EXPECT_EQ(Collect(second).error().code, Code::kUnavailable);
  }
  EXPECT_EQ(budget_.used_bytes(), 0u);
  MemoryExchange third({"012"}, false);
  EXPECT_EQ(Collect(third), "012");
}

TEST_F(CollectBodyTest, ErrorsOfTheExchangeComeThrough) {
  MemoryExchange exchange({"0123"}, false);
  exchange.LimitBody(3);
  EXPECT_EQ(Collect(exchange).error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace hybridserve
