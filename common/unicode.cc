#include "common/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace routewright {
namespace {

constexpr int32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2, kCapitalDottedI = 0x130,
                  kDotAbove = 0x307;

struct Interval {
  int32_t first, last;
};

// Lower or upper case without being of category Ll, Lu or Lt: Other_Lowercase and
// Other_Uppercase of PropList.txt.
constexpr Interval kOtherCased[] = {
    {0xAA, 0xAA},       {0xBA, 0xBA},       {0x2B0, 0x2B8},     {0x2C0, 0x2C1},
    {0x2E0, 0x2E4},     {0x345, 0x345},     {0x37A, 0x37A},     {0x1D2C, 0x1D6A},
    {0x1D78, 0x1D78},   {0x1D9B, 0x1DBF},   {0x2071, 0x2071},   {0x207F, 0x207F},
    {0x2090, 0x209C},   {0x2160, 0x217F},   {0x24B6, 0x24E9},   {0x2C7C, 0x2C7D},
    {0xA69C, 0xA69D},   {0xA770, 0xA770},   {0xA7F8, 0xA7F9},   {0xAB5C, 0xAB5F},
    {0x10780, 0x10780}, {0x10783, 0x10785}, {0x10787, 0x107B0}, {0x107B2, 0x107BA},
    {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};

// Case_Ignorable by their word break property (MidLetter, MidNumLet,
// Single_Quote), not by their category.
constexpr int32_t kMidWord[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,
                                0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};

// The nearest code point from `at` on, going by `step`, that isn't case-ignorable, is
// cased. `at` may lie outside.
bool MeetsCased(const std::vector<CodePoint>& text, ptrdiff_t at, ptrdiff_t step) {
  for (; at >= 0 && at < static_cast<ptrdiff_t>(text.size()); at += step) {
    const int32_t c = text[static_cast<size_t>(at)].value;
    if (!IsCaseIgnorable(c)) return IsCased(c);
  }
  return false;
}

}  // namespace

CodePoint FirstCodePoint(std::string_view text) {
  utf8proc_int32_t value = kNoCodePoint;
  const utf8proc_ssize_t num_bytes =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &value);
  if (num_bytes <= 0) return {kNoCodePoint, 1};
  return {value, static_cast<size_t>(num_bytes)};
}

void AppendCodePoint(std::string& out, int32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const utf8proc_ssize_t num_bytes = utf8proc_encode_char(code_point, bytes);
  out.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(num_bytes));
}

bool IsSpace(int32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

bool IsWord(int32_t c) {
  if (c == '_') return true;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return true;
    default:
      return false;
  }
}

bool IsCased(int32_t c) {
  const utf8proc_category_t category = utf8proc_category(c);
  if (category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LU ||
      category == UTF8PROC_CATEGORY_LT) {
    return true;
  }
  return std::any_of(std::begin(kOtherCased), std::end(kOtherCased), [c](const Interval& interval) {
    return interval.first <= c && c <= interval.last;
  });
}

bool IsCaseIgnorable(int32_t c) {
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return std::binary_search(std::begin(kMidWord), std::end(kMidWord), c);
  }
}

std::string LowerCaseFull(std::string_view text) {
  std::vector<CodePoint> points;
  for (size_t at = 0; at < text.size(); at += points.back().num_bytes) {
    points.push_back(FirstCodePoint(text.substr(at)));
  }
  std::string out;
  out.reserve(text.size());
  size_t at = 0;  // of the code point's first byte
  for (size_t i = 0; i < points.size(); at += points[i].num_bytes, ++i) {
    const int32_t c = points[i].value;
    const auto place = static_cast<ptrdiff_t>(i);
    if (c == kNoCodePoint) {
      out.push_back(text[at]);
    } else if (c == kCapitalDottedI) {
      out.push_back('i');
      AppendCodePoint(out, kDotAbove);
    } else if (c == kCapitalSigma && MeetsCased(points, place - 1, -1) &&
               !MeetsCased(points, place + 1, 1)) {
      AppendCodePoint(out, kFinalSigma);
    } else {
      AppendCodePoint(out, utf8proc_tolower(c));
    }
  }
  return out;
}

}  // namespace routewright
