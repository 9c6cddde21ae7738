#include "container/agent/docker/stream_demux.h"

#include <gtest/gtest.h>

namespace hybridserve {
namespace {

using namespace std::string_literals;

TEST(StreamDemux, BothStreamsComeInTheirOrder) {
  StreamDemux demux;
  std::string out;
  ASSERT_TRUE(demux.Take("\1\0\0\0\0\0\0\3out\2\0\0\0\0\0\0\3err"s, out));
  EXPECT_EQ(out, "outerr");
}

TEST(StreamDemux, AFrameMayComeInPieces) {
  StreamDemux demux;
  std::string out;
  for (const char c : "\1\0\0\0\0\0\0\3out\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\1!"s) {
    ASSERT_TRUE(demux.Take({&c, 1}, out));
  }
  EXPECT_EQ(out, "out!");
}

TEST(StreamDemux, WhatIsNoFrameIsRefused) {
  for (const std::string& bad : {"hello, world"s, "\3\0\0\0\0\0\0\1a"s, "\1\0\1\0\0\0\0\1a"s}) {
    StreamDemux demux;
    std::string out;
    EXPECT_EQ(demux.Take(bad, out).error().code, Code::kCorrupt);
    EXPECT_EQ(out, "");
  }
}

}  // namespace
}  // namespace hybridserve
