#include <gtest/gtest.h>

#include "clip.h"
#include "common/image.h"
#include "common/testing.h"

namespace functions {
namespace {

const std::string kGrey16 = "FRAME\n" + std::string(16, '\x7e');

hs::Response Send(const std::string& clip, const std::string& query = "") {
  hs::Request request;
  request.method = "POST";
  request.query = query;
  request.body = clip;
  return Handle(request);
}

/// The JPEGs of a stream: each begins with FF D8 FF, which no JPEG has inside.
std::vector<Image> Frames(const hs::Response& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  std::vector<Image> frames;
  for (size_t at = 0; at < response.body.size();) {
    const size_t next = std::min(response.body.find("\xff\xd8\xff", at + 1), response.body.size());
    std::string why;
    const auto image =
        DecodeJpeg(std::string_view(response.body).substr(at, next - at), 1 << 24, why);
    EXPECT_TRUE(image) << why;
    frames.push_back(image.value_or(Image()));
    at = next;
  }
  return frames;
}

TEST(ClipTest, ReadsTheLumaOfEveryColourSpace) {
  struct Case {
    std::string word;
    size_t chroma;
  };
  for (const Case& space :
       {Case{"", 4}, {"C420jpeg ", 4}, {"C422 ", 8}, {"C444 ", 12}, {"Cmono ", 0}}) {
    // 2 columns, 3 rows: 420 has 1 x 2 numbers of each chroma, 422 has 1 x 3.
    const size_t chroma = space.word == "C422 " ? 6 : space.chroma;
    const std::string frame = "FRAME\nabcdef" + std::string(chroma, '.');
    const std::string bytes = "YUV4MPEG2 W2 H3 " + space.word + "F25:1\n" + frame + frame;
    std::string why;
    auto clip = ClipReader::Open(bytes, 6, why);
    ASSERT_TRUE(clip) << why;
    EXPECT_EQ(clip->NextLuma(why), "abcdef");
    EXPECT_EQ(clip->NextLuma(why), "abcdef") << space.word;
    EXPECT_FALSE(clip->NextLuma(why));
    EXPECT_EQ(why, "");
  }
}

TEST(ClipTest, SaysWhatIsWrongWithTheFirstLine) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "it does not begin with a line of YUV4MPEG2"},
      {"YUV4MPEG3 W1 H1\n", "it does not begin with a line of YUV4MPEG2"},
      {"YUV4MPEG2 W1 H1", "it does not begin with a line of YUV4MPEG2"},
      {"YUV4MPEG2 W1 " + std::string(2000, ' ') + "H1\n",
       "it does not begin with a line of YUV4MPEG2"},
      {"YUV4MPEG2 W1\n", "its first line has no width (W) or no height (H)"},
      {"YUV4MPEG2 W0 H1\n", "'W0' is no side from 1 to 16384"},
      {"YUV4MPEG2 W1 H18446744073709551617\n",
       "'H18446744073709551617' is no side from 1 to 16384"},
      {"YUV4MPEG2 W9 H9 Cmono\n", "9x9 is over the limit of 80 pixels a frame"},
      {"YUV4MPEG2 W9 H9 C420p10\n",
       "colour space '420p10' is none of 420, 422, 444, mono with 8 bits"},
  };
  for (const auto& [bytes, want] : cases) {
    std::string why;
    EXPECT_FALSE(ClipReader::Open(bytes, 80, why)) << bytes;
    EXPECT_EQ(why, want);
  }
}

TEST(ClipTest, ACutFrameIsAnError) {
  std::string why;
  auto clip = ClipReader::Open("YUV4MPEG2 W2 H2 Cmono\nFRAME\nabc", 99, why);
  ASSERT_TRUE(clip) << why;
  EXPECT_FALSE(clip->NextLuma(why));
  EXPECT_EQ(why, "its last frame has 3 of 4 bytes");
}

TEST(ClipTest, StudioRangeIsSpreadOut) {
  EXPECT_EQ(FullRange(0), 0);
  EXPECT_EQ(FullRange(16), 0);
  EXPECT_EQ(FullRange(126), 128);
  EXPECT_EQ(FullRange(235), 255);
  EXPECT_EQ(FullRange(255), 255);
}

TEST(VideoProcessingTest, AnswersAJpegAFrame) {
  const std::vector<Image> frames = Frames(AskByQuery("frames=3&width=64&height=48"));
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].width, 32);
  EXPECT_EQ(frames[2].height, 24);
  EXPECT_NE(frames[0].pixels, frames[1].pixels);
}

TEST(VideoProcessingTest, AnEvenGreyStaysEven) {
  const std::vector<Image> frames = Frames(Send("YUV4MPEG2 W4 H4 Cmono\n" + kGrey16));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].pixels, std::vector<uint8_t>(2 * 2 * 3, 128));
}

TEST(VideoProcessingTest, TheAnswerIsNoWiderThanTheClip) {
  const std::string clip = "YUV4MPEG2 W4 H4 Cmono\n" + kGrey16;
  EXPECT_EQ(Frames(Send(clip, "columns=3")).at(0).width, 3);
  EXPECT_EQ(Frames(Send(clip, "columns=2000")).at(0).width, 4);
}

TEST(VideoProcessingTest, SizesMayComeAsJson) {
  EXPECT_EQ(AskByJson(R"({"frames": 2, "width": 20, "height": "10", "seed": 3})").body,
            AskByQuery("frames=2&width=20&height=10&seed=3").body);
}

TEST(VideoProcessingTest, RefusesBadSizesAndBadClips) {
  for (const char* query : {"frames=0", "width=0", "height=2049", "quality=0", "columns=-1",
                            "frames=1000&width=1000&height=1000"}) {
    EXPECT_EQ(AskByQuery(query).status, 400) << query;
  }
  EXPECT_EQ(Send("no clip").body,
            "cannot read the clip: it does not begin with a line of YUV4MPEG2\n");
  EXPECT_EQ(Send("YUV4MPEG2 W4 H4 Cmono\n").body, "cannot read the clip: it has no frame\n");
  EXPECT_EQ(Send("YUV4MPEG2 W4 H4 Cmono\n" + kGrey16 + "FRAME\n").status, 422);
}

TEST(VideoProcessingTest, RefusesClipsOfTooManyFrames) {
  std::string clip = "YUV4MPEG2 W1 H1 Cmono\n";
  for (int i = 0; i < 1001; ++i) clip += "FRAME\nx";
  EXPECT_EQ(Send(clip).body, "cannot read the clip: it has more than 1000 frames\n");
}

}  // namespace
}  // namespace functions
