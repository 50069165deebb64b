#include "policy/formats/gguf_types.h"

#include <bit>
#include <cstring>

#include "common/check.h"
#include "policy/formats/float_bits.h"

namespace routewright {
namespace {

static_assert(std::endian::native == std::endian::little, "weight files are read in place");

constexpr uint32_t kF32 = 0, kF16 = 1, kQ4_1 = 3, kQ8_0 = 8, kBf16 = 30;
constexpr GgufType kTypes[] = {
    {kF32, "F32", 1, 4},      {kF16, "F16", 1, 2},      {2, "Q4_0", 32, 18},
    {kQ4_1, "Q4_1", 32, 20},  {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},
    {kQ8_0, "Q8_0", 32, 34},  {9, "Q8_1", 32, 36},      {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},  {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},  {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},   {kBf16, "BF16", 1, 2}};

template <typename T>
T Load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// f16 scale, 32 × i8: scale · q.
void DequantizeQ8(const char* block, float* out) {
  const float scale = FloatFromF16(Load<uint16_t>(block));
  for (int i = 0; i < 32; ++i)
    out[i] = scale * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

// f16 scale, f16 minimum, 16 bytes of two 4-bit numbers (low half: elements
// 0…15): scale · q + minimum.
void DequantizeQ4(const char* block, float* out) {
  const float scale = FloatFromF16(Load<uint16_t>(block));
  const float minimum = FloatFromF16(Load<uint16_t>(block + 2));
  for (int i = 0; i < 16; ++i) {
    const uint8_t pair = static_cast<uint8_t>(block[4 + i]);
    out[i] = scale * static_cast<float>(pair & 15) + minimum;
    out[i + 16] = scale * static_cast<float>(pair >> 4) + minimum;
  }
}

}  // namespace

const GgufType* FindGgufType(uint32_t type) {
  for (const GgufType& info : kTypes) {
    if (info.type == type) return &info;
  }
  return nullptr;
}

const char* GgufTypeName(uint32_t type) {
  const GgufType* info = FindGgufType(type);
  return info == nullptr ? "unknown" : info->name;
}

bool CanReadGgufType(uint32_t type) {
  return type == kF32 || type == kF16 || type == kBf16 || type == kQ8_0 || type == kQ4_1;
}

void FloatsFromGguf(uint32_t type, std::string_view bytes, std::span<float> out) {
  RW_CHECK(CanReadGgufType(type)) << GgufTypeName(type);
  const GgufType& info = *FindGgufType(type);
  for (size_t i = 0; i < out.size(); i += static_cast<size_t>(info.block_elements)) {
    const char* block = bytes.data() + i / info.block_elements * info.block_bytes;
    switch (type) {
      case kF32:
        out[i] = Load<float>(block);
        break;
      case kF16:
        out[i] = FloatFromF16(Load<uint16_t>(block));
        break;
      case kBf16:
        out[i] = FloatFromBf16(Load<uint16_t>(block));
        break;
      case kQ8_0:
        DequantizeQ8(block, &out[i]);
        break;
      default:
        DequantizeQ4(block, &out[i]);
    }
  }
}

}  // namespace routewright
