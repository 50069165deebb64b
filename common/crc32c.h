// CRC-32C (Castagnoli), as in iSCSI and LevelDB. Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace routewright {

// CRC of `data` following bytes whose CRC is `crc` (0 at the start).
uint32_t ExtendCrc32c(uint32_t crc, std::string_view data);
inline uint32_t Crc32c(std::string_view data) { return ExtendCrc32c(0, data); }

}  // namespace routewright
