#include "common/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "common/crc32c_detail.h"
#include "common/random.h"

namespace routewright {
namespace {

std::string Bytes(size_t count, uint64_t key) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(RandomBits(key, i));
  return bytes;
}

// Known answers of RFC 3720, B.4, and the check value of the CRC catalogue.
TEST(Crc32cTest, EqualsKnownAnswers) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  std::string rising(32, '\0');
  for (int i = 0; i < 32; ++i) rising[i] = static_cast<char>(i);
  EXPECT_EQ(Crc32c(rising), 0x46DD794Eu);
}

TEST(Crc32cTest, PortableEqualsKnownAnswers) {
  EXPECT_EQ(crc32c_detail::ExtendPortable(0, "123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c_detail::ExtendPortable(0, std::string(32, '\0')), 0x8A9136AAu);
}

TEST(Crc32cTest, HardwareEqualsPortableAtEverySizeAndAlignment) {
  if (!crc32c_detail::HasHardware()) GTEST_SKIP() << "no crc32 instruction here";
  const std::string bytes = Bytes(300, 1);
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t size = 0; size + begin <= bytes.size(); ++size) {
      const std::string_view part = std::string_view(bytes).substr(begin, size);
      ASSERT_EQ(crc32c_detail::ExtendHardware(7, part), crc32c_detail::ExtendPortable(7, part))
          << begin << " " << size;
    }
  }
}

TEST(Crc32cTest, HardwareEqualsPortableWhereItSumsSeveralPartsAtOnce) {
  if (!crc32c_detail::HasHardware()) GTEST_SKIP() << "no crc32 instruction here";
  const std::string bytes = Bytes(20'000, 4);
  for (const size_t begin : {0, 1, 7}) {
    for (const size_t size : {3071, 3072, 3073, 3079, 3080, 6143, 6144, 6145, 9216, 19'993}) {
      const std::string_view part = std::string_view(bytes).substr(begin, size);
      EXPECT_EQ(crc32c_detail::ExtendHardware(7, part), crc32c_detail::ExtendPortable(7, part))
          << begin << " " << size;
    }
  }
}

TEST(Crc32cTest, ExtendingPartByPartEqualsTheWhole) {
  const std::string bytes = Bytes(100, 2);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::string_view view = bytes;
    EXPECT_EQ(ExtendCrc32c(Crc32c(view.substr(0, cut)), view.substr(cut)), Crc32c(view));
  }
}

TEST(Crc32cTest, EveryFlippedBitChangesIt) {
  std::string bytes = Bytes(64, 3);
  const uint32_t whole = Crc32c(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    EXPECT_NE(Crc32c(bytes), whole);
    bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
  }
}

}  // namespace
}  // namespace routewright
