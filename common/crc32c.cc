#include "common/crc32c.h"

#include <array>
#include <cstring>

#include "common/check.h"
#include "common/crc32c_detail.h"

namespace routewright {
namespace crc32c_detail {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // Castagnoli, bits reversed
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (int i = 1; i < 8; ++i) {
      const uint32_t previous = tables[i - 1][byte];
      tables[i][byte] = (previous >> 8) ^ tables[0][previous & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

uint32_t ExtendPortable(uint32_t crc, std::string_view data) {
  crc = ~crc;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  size_t left = data.size();
  for (; left >= 8; left -= 8, bytes += 8) {
    const uint32_t low =
        crc ^ (bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24);
    crc = kTables[7][low & 0xff] ^ kTables[6][(low >> 8) & 0xff] ^ kTables[5][(low >> 16) & 0xff] ^
          kTables[4][low >> 24] ^ kTables[3][bytes[4]] ^ kTables[2][bytes[5]] ^
          kTables[1][bytes[6]] ^ kTables[0][bytes[7]];
  }
  for (; left > 0; --left, ++bytes) crc = (crc >> 8) ^ kTables[0][(crc ^ *bytes) & 0xff];
  return ~crc;
}

#if defined(__x86_64__)

bool HasHardware() { return __builtin_cpu_supports("sse4.2"); }

namespace {

// The instruction takes three cycles and can start each cycle: three parts of so many bytes each
// are summed at once, and joined afterwards (Gopal et al., Intel 2011).
constexpr size_t kPartBytes = 1024;
constexpr size_t kCacheLineBytes = 64;

// [k][b]: what the state b << 8k becomes when kPartBytes zeros follow. The
// state is linear in its bits.
using SkipTables = std::array<std::array<uint32_t, 256>, 4>;

constexpr SkipTables MakeSkipTables() {
  SkipTables tables{};
  for (int bit = 0; bit < 32; ++bit) {
    uint32_t crc = uint32_t{1} << bit;
    for (size_t i = 0; i < kPartBytes; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xff];
    for (size_t byte = 0; byte < 256; ++byte) {
      if (byte >> (bit % 8) & 1) tables[bit / 8][byte] ^= crc;
    }
  }
  return tables;
}

constexpr SkipTables kSkip = MakeSkipTables();

uint32_t SkipPart(uint32_t crc) {
  return kSkip[0][crc & 0xff] ^ kSkip[1][(crc >> 8) & 0xff] ^ kSkip[2][(crc >> 16) & 0xff] ^
         kSkip[3][crc >> 24];
}

__attribute__((target("sse4.2"))) uint64_t ExtendWord(uint64_t state, const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return __builtin_ia32_crc32di(state, word);
}

}  // namespace

__attribute__((target("sse4.2"))) uint32_t ExtendHardware(uint32_t crc, std::string_view data) {
  uint64_t state = static_cast<uint32_t>(~crc);
  const char* bytes = data.data();
  size_t left = data.size();
  for (; left >= 3 * kPartBytes; left -= 3 * kPartBytes, bytes += 3 * kPartBytes) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < kPartBytes; i += 8) {
      if (i % kCacheLineBytes == 0) {  // of the next three parts; past the end it is no fault
        for (int part = 3; part < 6; ++part) __builtin_prefetch(bytes + part * kPartBytes + i);
      }
      state = ExtendWord(state, bytes + i);
      second = ExtendWord(second, bytes + kPartBytes + i);
      third = ExtendWord(third, bytes + 2 * kPartBytes + i);
    }
    const uint32_t both = SkipPart(static_cast<uint32_t>(state)) ^ static_cast<uint32_t>(second);
    state = SkipPart(both) ^ static_cast<uint32_t>(third);
  }
  for (; left >= 8; left -= 8, bytes += 8) state = ExtendWord(state, bytes);
  auto narrow = static_cast<uint32_t>(state);
  for (; left > 0; --left, ++bytes) {
    narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(*bytes));
  }
  return ~narrow;
}

#else

bool HasHardware() { return false; }

uint32_t ExtendHardware(uint32_t, std::string_view) {
  RW_CHECK(false) << "this machine has no crc32 instruction";
  return 0;
}

#endif

}  // namespace crc32c_detail

uint32_t ExtendCrc32c(uint32_t crc, std::string_view data) {
  static const auto extend =
      crc32c_detail::HasHardware() ? crc32c_detail::ExtendHardware : crc32c_detail::ExtendPortable;
  return extend(crc, data);
}

}  // namespace routewright
