#include "policy/tokenizer/byte_alphabet.h"

#include <array>

namespace routewright {
namespace {

constexpr int kNumBytes = 256;
constexpr int kNumCodes =
    512;  // the alphabet's code points lie below; each is 1 or 2 bytes of UTF-8

struct Alphabet {
  std::array<std::string, kNumBytes> spelling;
  std::array<int, kNumCodes> byte_of_code;  // -1: not of the alphabet
};

// Printable bytes of Latin-1 stand for themselves; the others count up from U+0100.
bool StandsForItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

std::string EncodeCode(int code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | (code >> 6)), static_cast<char>(0x80 | (code & 0x3f))};
}

const Alphabet& TheAlphabet() {
  static const Alphabet* const alphabet = [] {
    auto* made = new Alphabet;
    made->byte_of_code.fill(-1);
    int next_code = kNumBytes;
    for (int byte = 0; byte < kNumBytes; ++byte) {
      const int code = StandsForItself(byte) ? byte : next_code++;
      made->spelling[byte] = EncodeCode(code);
      made->byte_of_code[code] = byte;
    }
    return made;
  }();
  return *alphabet;
}

}  // namespace

std::string_view SpellByte(uint8_t byte) { return TheAlphabet().spelling[byte]; }

std::optional<std::string> BytesOfSpelling(std::string_view spelling) {
  const Alphabet& alphabet = TheAlphabet();
  std::string bytes;
  bytes.reserve(spelling.size());
  for (size_t at = 0; at < spelling.size(); ++at) {
    int code = static_cast<uint8_t>(spelling[at]);
    if (code >= 0x80) {
      const bool is_two_bytes = code >= 0xc2 && code <= 0xc7 && at + 1 < spelling.size();
      if (!is_two_bytes) return std::nullopt;
      const int tail = static_cast<uint8_t>(spelling[++at]);
      if ((tail & 0xc0) != 0x80) return std::nullopt;
      code = ((code & 0x1f) << 6) | (tail & 0x3f);
    }
    const int byte = alphabet.byte_of_code[code];
    if (byte < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte));
  }
  return bytes;
}

}  // namespace routewright
