// The two ways to compute CRC-32C that crc32c.cc chooses between at run time. For it
// and its test only. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace routewright::crc32c_detail {

// Eight tables of 256 entries, eight bytes a turn (slicing-by-8, Kounavis and
// Berry 2005). Any machine.
uint32_t ExtendPortable(uint32_t crc, std::string_view data);

// Whether this machine has the crc32 instruction (SSE4.2).
bool HasHardware();
// Uses it, on three parts of the bytes at once. Must not be called unless HasHardware().
uint32_t ExtendHardware(uint32_t crc, std::string_view data);

}  // namespace routewright::crc32c_detail
