#include "policy/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

#include "common/check.h"

namespace switchyard {
namespace {

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
  SY_CHECK(count >= 0 && count <= kMaxDecomposition) << "decomposition of " << code_point;
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

}  // namespace

std::string NormalizeNfc(std::string_view text) {
  if (IsBelowCombiningMarks(text)) return std::string(text);
  std::vector<int32_t> code_points;
  code_points.reserve(text.size());
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t code_point = -1;
    const utf8proc_ssize_t size =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &code_point);
    SY_CHECK(size > 0) << "not UTF-8 at byte " << at;
    Decompose(code_point, code_points);
    at += static_cast<size_t>(size);
  }
  SortMarks(code_points);
  const utf8proc_ssize_t length = utf8proc_normalize_utf32(
      code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()),
      static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  SY_CHECK(length >= 0) << "composition failed: " << length;
  std::string out;
  out.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    utf8proc_uint8_t encoded[4];
    const utf8proc_ssize_t size = utf8proc_encode_char(code_points[i], encoded);
    out.append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(size));
  }
  return out;
}

}  // namespace switchyard
