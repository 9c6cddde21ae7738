#include <gtest/gtest.h>
#include <hybridserve/function.h>

#include "common/image.h"

namespace functions {
namespace {

/// Red rises to the right, green downwards; blue is one bright column, so that mirroring shows.
Image Gradient(int width, int height) {
  Image image(width, height, 3);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      uint8_t* pixel = image.At(x, y);
      pixel[0] = static_cast<uint8_t>(x * 255 / width);
      pixel[1] = static_cast<uint8_t>(y * 255 / height);
      pixel[2] = x == 1 ? 255 : 0;
    }
  }
  return image;
}

hs::Response Process(const std::string& query, const Image& image) {
  hs::Request request;
  request.method = "POST";
  request.query = query;
  request.body = EncodeJpeg(image, 95);
  return Handle(request);
}

Image Answer(const hs::Response& response) {
  EXPECT_EQ(response.status, 200) << response.body;
  std::string why;
  std::optional<Image> image = DecodeJpeg(response.body, 1u << 24, why);
  EXPECT_TRUE(image) << why;
  return image.value_or(Image());
}

TEST(ImageTest, FlippingTwiceChangesNothing) {
  Image image = Gradient(7, 5);
  EXPECT_NE(Flip(image).pixels, image.pixels);
  EXPECT_EQ(Flip(Flip(image)).pixels, image.pixels);
}

TEST(ImageTest, RotationIsCounterClockwise) {
  Image image = Gradient(7, 5);
  Image turned = Rotate(image, 90);
  EXPECT_EQ(turned.width, 5);
  EXPECT_EQ(turned.height, 7);
  // What was the right upper corner is the left upper one now.
  EXPECT_TRUE(std::equal(turned.At(0, 0), turned.At(0, 0) + 3, image.At(6, 0)));
  EXPECT_EQ(Rotate(turned, 270).pixels, image.pixels);
  EXPECT_EQ(Rotate(turned, 90).pixels, Rotate(image, 180).pixels);
}

TEST(ImageTest, BlurKeepsAnEvenAreaAndSmoothsAnEdge) {
  Image even(9, 9, 1);
  std::fill(even.pixels.begin(), even.pixels.end(), 77);
  EXPECT_EQ(Blur(even, 15).pixels, even.pixels);
  Image point(9, 9, 1);
  *point.At(4, 4) = 255;
  Image blurred = Blur(point, 1);  // Weights 1 2 1 both ways, over 16.
  EXPECT_EQ(*blurred.At(4, 4), 64);
  EXPECT_EQ(*blurred.At(5, 4), 32);
  EXPECT_EQ(*blurred.At(5, 5), 16);
  EXPECT_EQ(*blurred.At(6, 4), 0);
}

TEST(ImageTest, GreyIsTheLumaOfTheColours) {
  Image image(3, 1, 3);
  image.At(0, 0)[0] = image.At(1, 0)[1] = image.At(2, 0)[2] = 255;
  EXPECT_EQ(Grayscale(image).pixels, (std::vector<uint8_t>{76, 150, 29}));
}

TEST(ImageProcessingTest, DoesEverythingByDefault) {
  Image answer = Answer(Process("", Gradient(64, 32)));
  EXPECT_EQ(answer.width, 16);  // Rotated, then half as wide.
  EXPECT_EQ(answer.height, 32);
}

TEST(ImageProcessingTest, TheQueryChooses) {
  Image answer = Answer(Process("ops=resize&width=10", Gradient(40, 20)));
  EXPECT_EQ(answer.width, 10);
  EXPECT_EQ(answer.height, 5);
  EXPECT_EQ(Answer(Process("ops=rotate&angle=180", Gradient(40, 20))).width, 40);
}

TEST(ImageProcessingTest, TheSameRequestGivesTheSameBytes) {
  EXPECT_EQ(Process("", Gradient(64, 32)).body, Process("", Gradient(64, 32)).body);
}

TEST(ImageProcessingTest, RefusesAWrongQueryByNamingIt) {
  Image image = Gradient(8, 8);
  for (const char* query : {"ops=sharpen", "ops=", "ops=flip,", "angle=45", "radius=16", "width=0",
                            "quality=101", "quality=x"}) {
    hs::Response response = Process(query, image);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_TRUE(response.body.starts_with(std::string(query).substr(0, 3))) << response.body;
  }
}

TEST(ImageProcessingTest, RefusesWhatIsNoImage) {
  hs::Request request;
  EXPECT_EQ(Handle(request).status, 400);
  request.body = "not a photograph";
  EXPECT_EQ(Handle(request).status, 422);
  request.body = EncodeJpeg(Gradient(64, 64), 90);
  request.body.resize(request.body.size() / 4);
  EXPECT_EQ(Handle(request).status, 422);
}

TEST(ImageProcessingTest, RefusesImagesTooLargeToHold) {
  std::string why;
  EXPECT_FALSE(DecodeJpeg(EncodeJpeg(Gradient(64, 64), 90), 64 * 63, why));
  EXPECT_EQ(why, "64x64 is over the limit of 4032 pixels");
  EXPECT_EQ(Process("ops=resize&width=8192", Gradient(8, 8)).status, 400);
}

}  // namespace
}  // namespace functions
