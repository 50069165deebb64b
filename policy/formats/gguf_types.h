// How GGUF stores numbers (ggml_type): blocks of elements, some of them
// quantised. Pure; any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace routewright {

// `block_elements` elements are stored in `block_bytes` bytes.
struct GgufType {
  uint32_t type;
  const char* name;
  int64_t block_elements;
  int64_t block_bytes;
};

// nullptr: not a type of GGUF.
const GgufType* FindGgufType(uint32_t type);
// "Q8_0"; "unknown" for what is no type of GGUF.
const char* GgufTypeName(uint32_t type);
// Whether FloatsFromGguf takes it: F32, F16, BF16, Q8_0, Q4_1.
bool CanReadGgufType(uint32_t type);
// Every element as f32. `bytes` holds whole blocks, as many as `out` fills.
void FloatsFromGguf(uint32_t type, std::string_view bytes, std::span<float> out);

}  // namespace routewright
