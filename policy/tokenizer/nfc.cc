#include "policy/tokenizer/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "common/check.h"

namespace routewright {
namespace {

// What Unicode 10 to 16 gave a combining class, a decomposition or a part in one: whole blocks that
// are newer than Unicode 9, and characters that were added to older blocks.
struct Range {
  int32_t first;
  int32_t last;
};
constexpr Range kNewerThanUnicode9[] = {
    {0x7fd, 0x7fd},     {0x870, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
    {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},
    {0x1abf, 0x1aff},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x105c0, 0x105ff},
    {0x10d00, 0x10d8f}, {0x10e80, 0x10fcf}, {0x11070, 0x11070}, {0x1133b, 0x1133b},
    {0x11380, 0x113ff}, {0x1145e, 0x1145e}, {0x11800, 0x1184f}, {0x11900, 0x1195f},
    {0x119a0, 0x11aaf}, {0x11d00, 0x11daf}, {0x11f00, 0x11f5f}, {0x16100, 0x1613f},
    {0x16d40, 0x16d7f}, {0x16ff0, 0x16ff1}, {0x1e030, 0x1e08f}, {0x1e100, 0x1e14f},
    {0x1e290, 0x1e2ff}, {0x1e4d0, 0x1e4ff}, {0x1e5d0, 0x1e5ff}};

bool IsNewerThanUnicode9(int32_t code_point) {
  for (const Range& range : kNewerThanUnicode9) {
    if (code_point <= range.last) return code_point >= range.first;
  }
  return false;
}

// Below U+0300 nothing composes or reorders: such text is in NFC as it is.
bool IsBelowCombiningMarks(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0xcc; });
}

// Appends the canonical decomposition of one code point.
void Decompose(int32_t code_point, std::vector<int32_t>& out) {
  constexpr int kMaxDecomposition = 8;  // canonical decompositions have at most 4 code points
  int32_t buffer[kMaxDecomposition];
  int boundary_class = 0;
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(code_point, buffer, kMaxDecomposition,
                              static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE), &boundary_class);
  RW_CHECK(count >= 0 && count <= kMaxDecomposition) << "decomposition of " << code_point;
  out.insert(out.end(), buffer, buffer + count);
}

int CombiningClass(int32_t code_point) {
  return utf8proc_get_property(code_point)->combining_class;
}

// Canonical ordering: each run of marks (combining class > 0) sorted by class, keeping ties.
// utf8proc's own ordering is quadratic in the length of a run.
void SortMarks(std::vector<int32_t>& code_points) {
  auto is_starter = [](int32_t c) { return CombiningClass(c) == 0; };
  for (auto begin = code_points.begin(); begin != code_points.end();) {
    if (is_starter(*begin)) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, code_points.end(), is_starter);
    std::stable_sort(begin, end,
                     [](int32_t a, int32_t b) { return CombiningClass(a) < CombiningClass(b); });
    begin = end;
  }
}

// Normalizes what has gathered in `code_points`, appends it as UTF-8 and starts anew.
void Flush(std::vector<int32_t>& code_points, std::string& out) {
  SortMarks(code_points);
  const utf8proc_ssize_t length = utf8proc_normalize_utf32(
      code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()),
      static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  RW_CHECK(length >= 0) << "composition failed: " << length;
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    utf8proc_uint8_t encoded[4];
    const utf8proc_ssize_t size = utf8proc_encode_char(code_points[i], encoded);
    out.append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(size));
  }
  code_points.clear();
}

}  // namespace

std::string NormalizeNfc(std::string_view text) {
  if (IsBelowCombiningMarks(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  std::vector<int32_t> code_points;
  code_points.reserve(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t code_point = -1;
    const utf8proc_ssize_t size =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    RW_CHECK(size > 0) << "not UTF-8 at byte " << at;
    if (IsNewerThanUnicode9(code_point)) {
      Flush(code_points, out);
      out.append(text.substr(at, static_cast<size_t>(size)));
    } else {
      Decompose(code_point, code_points);
    }
    at += static_cast<size_t>(size);
  }
  Flush(code_points, out);
  return out;
}

}  // namespace routewright
