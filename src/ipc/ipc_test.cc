#include <gtest/gtest.h>

#include <array>

#include "base/file.h"
#include "ipc/seqpacket.h"
#include "ipc/wire.h"

namespace hybridserve::ipc {
namespace {

TEST(Wire, WhatWasPutComesBack) {
  Writer writer;
  writer.Put<uint8_t>(7).Put<int64_t>(-5).PutString("abc").PutString("");
  Reader reader(writer.bytes());
  EXPECT_EQ(reader.Get<uint8_t>(), 7);
  EXPECT_EQ(reader.Get<int64_t>(), -5);
  EXPECT_EQ(reader.GetString(), "abc");
  EXPECT_EQ(reader.GetString(), "");
  EXPECT_TRUE(reader.Done());
}

TEST(Wire, EveryTruncationFails) {
  Writer writer;
  writer.Put<uint32_t>(1).PutString("abcdef");
  for (size_t size = 0; size < writer.bytes().size(); ++size) {
    Reader reader(std::string_view(writer.bytes()).substr(0, size));
    (void)reader.Get<uint32_t>();
    (void)reader.GetString();
    EXPECT_FALSE(reader.Done()) << size;
  }
}

TEST(Wire, TrailingBytesAndOversizedStringsFail) {
  Writer writer;
  writer.PutString("abcdef").Put<uint8_t>(1);
  Reader trailing(writer.bytes());
  EXPECT_EQ(trailing.GetString(), "abcdef");
  EXPECT_FALSE(trailing.Done());
  Reader oversized(writer.bytes());
  EXPECT_EQ(oversized.GetString(5), "");
  EXPECT_TRUE(oversized.failed());
}

TEST(Seqpacket, CarriesBytesInPartsAndDescriptors) {
  auto pair = MakePair();
  ASSERT_TRUE(pair);
  auto memfd = SealedMemfd("test", "hello");
  ASSERT_TRUE(memfd);
  const std::array<std::string_view, 2> parts{"ab", "cd"};
  const int fd = memfd->get();
  ASSERT_TRUE(Send(pair->first.get(), parts, {&fd, 1}, Wait::kBlock));
  std::string buffer(kMaxDatagramBytes, '\0');
  auto received = Receive(pair->second.get(), buffer, Wait::kBlock);
  ASSERT_TRUE(received);
  EXPECT_EQ(std::string_view(buffer).substr(0, received->size), "abcd");
  ASSERT_EQ(received->fds.size(), 1u);
  char text[5];
  EXPECT_EQ(::pread(received->fds[0].get(), text, 5, 0), 5);
}

TEST(Seqpacket, CutOffDatagramIsAnErrorAndAClosedPeerIsNot) {
  auto pair = MakePair();
  ASSERT_TRUE(pair);
  ASSERT_TRUE(Send(pair->first.get(), "abcdef", {}, Wait::kBlock));
  char small[3];
  EXPECT_EQ(Receive(pair->second.get(), small, Wait::kBlock).error().code, Code::kCorrupt);
  EXPECT_EQ(Receive(pair->second.get(), small, Wait::kDont).error().code, Code::kUnavailable);
  pair->first.Reset();
  EXPECT_EQ(Receive(pair->second.get(), small, Wait::kBlock)->size, 0u);
}

}  // namespace
}  // namespace hybridserve::ipc
