// How fast a device multiplies and its links carry, for planning: datasheet numbers, and what share
// of them is assumed to be reached. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace routewright {

// Assumed, not measured: what training reaches of a GPU's dense peak, and collectives of a link.
inline constexpr double kAssumedShareOfPeak = 0.40;
inline constexpr double kAssumedShareOfLink = 0.80;
// Assumed between hosts, for each rank and each way: a 400 Gbit/s network (InfiniBand NDR).
inline constexpr double kAssumedBytesPerSBetweenHosts = 50e9;
// Assumed between the ranks of a host without GPUs: MPI copies through shared memory.
inline constexpr double kAssumedBytesPerSBetweenCpuRanks = 5e9;

// Of the device of one rank. Products are made in the compute type, but for the head's, which
// kernels/token_logprob makes in f32; TF32 is never used.
struct DeviceSpeed {
  std::string name;                 // "H100"
  double peak_flop_per_s = 0;       // MFU's denominator: datasheet, dense; CPU: the ceiling
  double flop_per_s = 0;            // the ceiling: reached in products of the compute type
  double f32_flop_per_s = 0;        // … of f32
  double bytes_per_s_in_host = 0;   // of a rank to others of its host, each way
  double bytes_per_s_of_hosts = 0;  // … to other hosts
  enum class Origin { kAssumed, kGiven, kMeasuredNow };
  Origin origin = Origin::kAssumed;  // of the ceiling
  bool is_link_given = false;        // between hosts; else assumed
};

// "h100", "h200", "a100" (SXM) with the assumed shares; anything else is a CPU, which has no
// datasheet: its ceiling must be given.
//   is_bf16        the compute type: bf16 or f32
//   ceiling_flop_per_s  > 0: measured for a rank's device; f32 keeps its datasheet's proportion to
//   it
DeviceSpeed FindDeviceSpeed(std::string_view name, bool is_bf16, double ceiling_flop_per_s);

}  // namespace routewright
