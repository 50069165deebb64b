#include "common/crc32c.h"

#include <array>
#include <cstring>

#include "common/check.h"
#include "common/crc32c_detail.h"

namespace switchyard {
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

__attribute__((target("sse4.2"))) uint32_t ExtendHardware(uint32_t crc, std::string_view data) {
  uint64_t state = static_cast<uint32_t>(~crc);
  const char* bytes = data.data();
  size_t left = data.size();
  for (; left >= 8; left -= 8, bytes += 8) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof(word));
    state = __builtin_ia32_crc32di(state, word);
  }
  auto narrow = static_cast<uint32_t>(state);
  for (; left > 0; --left, ++bytes) {
    narrow = __builtin_ia32_crc32qi(narrow, static_cast<unsigned char>(*bytes));
  }
  return ~narrow;
}

#else

bool HasHardware() { return false; }

uint32_t ExtendHardware(uint32_t, std::string_view) {
  SY_CHECK(false) << "this machine has no crc32 instruction";
  return 0;
}

#endif

}  // namespace crc32c_detail

uint32_t ExtendCrc32c(uint32_t crc, std::string_view data) {
  static const auto extend =
      crc32c_detail::HasHardware() ? crc32c_detail::ExtendHardware : crc32c_detail::ExtendPortable;
  return extend(crc, data);
}

}  // namespace switchyard
