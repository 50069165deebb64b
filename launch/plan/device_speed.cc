#include "launch/plan/device_speed.h"

#include <algorithm>

namespace routewright {
namespace {

constexpr double kTera = 1e12, kGiga = 1e9;

// NVIDIA's datasheets of the SXM boards: dense bf16 tensor cores, f32 without them, and one
// direction of NVLink (half of what is sold).
struct Datasheet {
  const char* key;
  const char* name;
  double bf16_flop_per_s, f32_flop_per_s, link_bytes_per_s;
};
constexpr Datasheet kDatasheets[] = {{"h100", "H100", 989.4 * kTera, 67.0 * kTera, 450 * kGiga},
                                     {"h200", "H200", 989.4 * kTera, 67.0 * kTera, 450 * kGiga},
                                     {"a100", "A100", 312.0 * kTera, 19.5 * kTera, 300 * kGiga}};

}  // namespace

DeviceSpeed FindDeviceSpeed(std::string_view name, bool is_bf16, double ceiling_flop_per_s) {
  DeviceSpeed speed;
  const bool is_given = ceiling_flop_per_s > 0.0;
  if (is_given) speed.origin = DeviceSpeed::Origin::kGiven;
  for (const Datasheet& sheet : kDatasheets) {
    if (name != sheet.key) continue;
    speed.name = sheet.name;
    speed.peak_flop_per_s = is_bf16 ? sheet.bf16_flop_per_s : sheet.f32_flop_per_s;
    speed.flop_per_s = is_given ? ceiling_flop_per_s : kAssumedShareOfPeak * speed.peak_flop_per_s;
    speed.f32_flop_per_s = speed.flop_per_s * (sheet.f32_flop_per_s / speed.peak_flop_per_s);
    speed.bytes_per_s_in_host = kAssumedShareOfLink * sheet.link_bytes_per_s;
    speed.bytes_per_s_of_hosts = kAssumedBytesPerSBetweenHosts;
    return speed;
  }
  speed.name = "CPU";
  speed.peak_flop_per_s = speed.flop_per_s = speed.f32_flop_per_s = ceiling_flop_per_s;
  speed.bytes_per_s_in_host = kAssumedBytesPerSBetweenCpuRanks;
  speed.bytes_per_s_of_hosts = kAssumedBytesPerSBetweenHosts;
  return speed;
}

}  // namespace routewright
