// Unicode below the level of text: code points, their classes, and full lower-casing, each as
// Python's str has it, because the published scores were computed there. Bytes that are not UTF-8
// pass through as kNoCodePoint. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace routewright {

inline constexpr int32_t kNoCodePoint = -1;

struct CodePoint {
  int32_t value;     // kNoCodePoint where the bytes are not UTF-8
  size_t num_bytes;  // 1 where they are not
};

// The code point at the start of `text`, which is not empty.
CodePoint FirstCodePoint(std::string_view text);
void AppendCodePoint(std::string& out, int32_t code_point);

// White space: str.isspace. Every class is false for kNoCodePoint.
bool IsSpace(int32_t code_point);
// A word's character: letters, numbers of any category, and _. Combining marks are none.
bool IsWord(int32_t code_point);
// The properties Cased and Case_Ignorable of Unicode's chapter 3.13, which decide the final sigma.
bool IsCased(int32_t code_point);
bool IsCaseIgnorable(int32_t code_point);

// Lower case by Unicode's full mapping in the root locale: İ becomes i̇ (two code points), and
// Σ at the end of a word ς.
std::string LowerCaseFull(std::string_view text);

}  // namespace routewright
