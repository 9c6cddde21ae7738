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

TEST(GrowingBytesTest, HoldsWhatWasAppendedWhileItGrows) {
  GrowingBytes bytes;
  std::string want;
  EXPECT_EQ(bytes.view(), "");
  for (int i = 0; i < 40; ++i) {
    const std::string piece(64 * 1024 + static_cast<size_t>(i), static_cast<char>('a' + i % 26));
    want += piece;
    ASSERT_TRUE(bytes.Append(piece));
  }
  EXPECT_EQ(bytes.size(), want.size());
  EXPECT_TRUE(bytes.view() == want);
}

TEST(GrowingBytesTest, WhatIsDroppedLeavesTheRestAndGrowsAgain) {
  GrowingBytes bytes;
  ASSERT_TRUE(bytes.Append(std::string(600000, 'a')));
  ASSERT_TRUE(bytes.Append(std::string(600000, 'b')));
  bytes.DropLast(600000);
  EXPECT_TRUE(bytes.view() == std::string(600000, 'a'));
  ASSERT_TRUE(bytes.Append("c"));
  EXPECT_TRUE(bytes.view() == std::string(600000, 'a') + "c");
  bytes.DropLast(600001);
  EXPECT_TRUE(bytes.empty());
}

TEST(GrowingBytesTest, WhatHasNoRoomLeavesTheRestAsItIs) {
  GrowingBytes bytes;
  ASSERT_TRUE(bytes.Append("abc"));
  // Nobody has so much address space; nothing is read of it.
  EXPECT_FALSE(bytes.Append({bytes.view().data(), size_t{1} << 60}));
  EXPECT_EQ(bytes.view(), "abc");
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
