#include "policy/formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#include "common/file_system.h"
#include "policy/formats/float_bits.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SafetensorsTest : public testing::Test {
 protected:
  std::string path_ = testing::TempDir() + "safetensors_test.safetensors";

  void WriteBytes(const std::string& bytes) { std::ofstream(path_, std::ios::binary) << bytes; }

  // A file with this header and `num_data_bytes` bytes behind it.
  void WriteFile(const std::string& header, size_t num_data_bytes) {
    const uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    WriteBytes(bytes + header + std::string(num_data_bytes, '\1'));
  }

  std::string ErrorOf() {
    const auto file = SafetensorsFile::Open(path_);
    if (file.ok()) return "opened";
    EXPECT_EQ(file.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(file.status().message()), HasSubstr(path_));
    return std::string(file.status().message());
  }

  std::string ErrorOf(const std::string& header, size_t num_data_bytes) {
    WriteFile(header, num_data_bytes);
    return ErrorOf();
  }
};

constexpr const char* kTwoTensors =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})";

TEST_F(SafetensorsTest, ReadsWhatItWroteInF32) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {0.1f}, empty = {};
  {
    auto out = *FileSystem::Posix().OpenForWrite(path_);
    const std::vector<SafetensorsEntry> entries = {
        {"z", {2, 3}, a}, {"a", {}, b}, {"n", {0, 5}, empty}};
    ASSERT_TRUE(WriteSafetensors(*out, entries, WeightFormat::kF32).ok());
    ASSERT_TRUE(out->Close().ok());
  }
  const auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->metadata().at("format"), "pt");
  const auto z = (*file)->Read(*(*file)->Find("z"));
  ASSERT_TRUE(z.ok());
  EXPECT_THAT(z->shape, ElementsAre(2, 3));
  EXPECT_EQ(z->values, a);
  EXPECT_EQ((*file)->Read(*(*file)->Find("a"))->values, b);
  EXPECT_TRUE((*file)->Read(*(*file)->Find("n"))->values.empty());
  EXPECT_EQ((*file)->Find("q"), nullptr);
}

TEST_F(SafetensorsTest, Bf16KeepsEightBitsAndRoundsToEven) {
  const std::vector<float> values = {1.0f, -2.5f, 1.00390625f, 1.01171875f, 3.0e38f, 1e-40f, NAN};
  {
    auto out = *FileSystem::Posix().OpenForWrite(path_);
    const std::vector<SafetensorsEntry> entries = {{"v", {7}, values}};
    ASSERT_TRUE(WriteSafetensors(*out, entries, WeightFormat::kBf16).ok());
    ASSERT_TRUE(out->Close().ok());
  }
  const auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto read = (*file)->Read((*file)->tensors()[0])->values;
  EXPECT_EQ(read[0], 1.0f);
  EXPECT_EQ(read[1], -2.5f);
  EXPECT_EQ(read[2], 1.0f);       // a tie, to even
  EXPECT_EQ(read[3], 1.015625f);  // a tie, to even
  EXPECT_NEAR(read[4], 3.0e38f, 1e36f);
  EXPECT_NEAR(read[5], 1e-40f, 1e-40f);
  EXPECT_TRUE(std::isnan(read[6]));
}

TEST_F(SafetensorsTest, ReadsF16WithSubnormalsAndInfinity) {
  EXPECT_EQ(FloatFromF16(0x3c00), 1.0f);
  EXPECT_EQ(FloatFromF16(0xc100), -2.5f);
  EXPECT_EQ(FloatFromF16(0x0001), 0x1p-24f);
  EXPECT_EQ(FloatFromF16(0x83ff), -1023 * 0x1p-24f);
  EXPECT_EQ(FloatFromF16(0x7bff), 65504.0f);
  EXPECT_EQ(FloatFromF16(0x7c00), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(FloatFromF16(0x7e00)));
  EXPECT_TRUE(std::signbit(FloatFromF16(0x8000)));
}

// The length comes first, and can look like the mark of a pickle, of gzip or of UTF-16.
TEST_F(SafetensorsTest, AHeaderMayHaveAnyLength) {
  for (const size_t length : {0x0280, 0x0380, 0x0480, 0x0580, 0x8b1f, 0xfeff, 0xfffe}) {
    std::string header = kTwoTensors;
    header.resize(length, ' ');
    EXPECT_EQ(ErrorOf(header, 12), "opened") << length;
  }
}

TEST_F(SafetensorsTest, RefusesFilesThatAreCutShort) {
  WriteFile(kTwoTensors, 12);
  std::ifstream in(path_, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  ASSERT_EQ(ErrorOf(), "opened");
  for (size_t size = 0; size < whole.size(); ++size) {
    WriteBytes(whole.substr(0, size));
    EXPECT_NE(ErrorOf(), "opened") << size;
  }
  WriteBytes(whole.substr(0, whole.size() - 1));
  EXPECT_THAT(ErrorOf(), HasSubstr("tensor b: its bytes end at 12"));
  WriteBytes(whole + "x");
  EXPECT_THAT(ErrorOf(), HasSubstr("1 bytes at the end belong to no tensor"));
}

TEST_F(SafetensorsTest, RefusesAHeaderLengthThatIsHuge) {
  for (const uint64_t length :
       {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 40, uint64_t{33} << 20}) {
    std::string bytes(160, ' ');
    std::memcpy(bytes.data(), &length, 8);
    WriteBytes(bytes);
    EXPECT_THAT(ErrorOf(), HasSubstr("the header claims"));
  }
}

TEST_F(SafetensorsTest, RefusesOverlapsHolesAndRangesOutside) {
  EXPECT_THAT(
      ErrorOf(
          R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
          12),
      HasSubstr("tensor b: its bytes overlap"));
  EXPECT_THAT(
      ErrorOf(
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
          12),
      HasSubstr("tensor b: its bytes lie behind a hole"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8),
              HasSubstr("behind a hole"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", 8),
              HasSubstr("[begin, end]"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 8),
              HasSubstr("[begin, end]"));
  EXPECT_THAT(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})", 8),
      HasSubstr("[begin, end]"));
}

TEST_F(SafetensorsTest, RefusesShapesThatOverflowOrDisagreeWithTheBytes) {
  EXPECT_THAT(
      ErrorOf(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
      HasSubstr("tensor a: its shape overflows"));
  EXPECT_THAT(
      ErrorOf(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0),
      HasSubstr("tensor a: its shape overflows"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8),
              HasSubstr("ask for 12 bytes"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8),
              HasSubstr("list of sizes"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})", 8),
              HasSubstr("list of sizes"));
}

TEST_F(SafetensorsTest, RefusesHeadersThatAreNotWhatTheyMustBe) {
  EXPECT_THAT(ErrorOf("[]", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf("{", 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf(std::string(100000, '['), 0), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf(R"({"a":1})", 0), HasSubstr("tensor a: its entry needs"));
  EXPECT_THAT(ErrorOf(R"({"a":{"dtype":"F31","shape":[],"data_offsets":[0,4]}})", 4),
              HasSubstr("unknown dtype"));
  EXPECT_THAT(
      ErrorOf(
          R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
          4),
      HasSubstr("tensor a: named twice"));
}

// A flipped bit in the header must never crash, and whatever still opens must lie within the file.
TEST_F(SafetensorsTest, AnyFlippedHeaderBitIsRefusedOrHarmless) {
  WriteFile(kTwoTensors, 12);
  std::ifstream in(path_, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  int refused = 0;
  for (size_t bit = 0; bit < 8 * (whole.size() - 12); ++bit) {
    std::string bytes = whole;
    bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    WriteBytes(bytes);
    const auto file = SafetensorsFile::Open(path_);
    if (!file.ok()) {
      ++refused;
      continue;
    }
    size_t num_bytes = 0;
    for (const SafetensorsTensor& tensor : (*file)->tensors()) num_bytes += tensor.bytes.size();
    EXPECT_EQ(num_bytes, 12u);
  }
  EXPECT_GT(refused, 500);
}

TEST_F(SafetensorsTest, ReportsAMissingFileAndAnUnreadableDtype) {
  EXPECT_EQ(SafetensorsFile::Open(path_ + ".none").status().code(), absl::StatusCode::kNotFound);
  WriteFile(R"({"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8);
  const auto file = SafetensorsFile::Open(path_);
  ASSERT_TRUE(file.ok());
  const auto tensor = (*file)->Read((*file)->tensors()[0]);
  EXPECT_THAT(std::string(tensor.status().message()), HasSubstr("tensor a is I64"));
}

}  // namespace
}  // namespace routewright
