#include "launch/plan/step_time_text.h"

#include <cmath>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "launch/plan/planned_shards.h"
#include "launch/plan/step_time.h"

namespace routewright {
namespace {

// Three significant digits.
std::string Rounded(double value) {
  if (value <= 0.0 || !std::isfinite(value)) return absl::StrCat(value);
  const double unit = std::pow(10.0, std::floor(std::log10(value)) - 2.0);
  return absl::StrFormat("%.10g", std::round(value / unit) * unit);
}

// "10.6 PFLOP", "524k tokens".
std::string Scaled(double value, const char* unit, bool is_prefix_apart = false) {
  static constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T", "P", "E", "Z"};
  size_t place = 0;
  for (; value >= 999.5 && place + 1 < std::size(kPrefixes); ++place) value /= 1000.0;
  return is_prefix_apart ? absl::StrCat(Rounded(value), kPrefixes[place], " ", unit)
                         : absl::StrCat(Rounded(value), " ", kPrefixes[place], unit);
}
std::string Tokens(double tokens, const char* unit) { return Scaled(tokens, unit, true); }

std::string DescribeCeiling(const DeviceSpeed& speed, bool is_bf16) {
  const std::string rate = Scaled(speed.flop_per_s, "FLOP/s a rank");
  std::string text;
  switch (speed.origin) {
    case DeviceSpeed::Origin::kAssumed:
      text = absl::StrFormat("%s (%s of the %s's datasheet) assumed", rate,
                             Rounded(kAssumedShareOfPeak), speed.name);
      break;
    case DeviceSpeed::Origin::kGiven:
      text = rate + " as given";
      break;
    case DeviceSpeed::Origin::kMeasuredNow:
      text = rate + " measured here and now, in products alone: the rest takes longer";
      break;
  }
  if (is_bf16) absl::StrAppend(&text, ", ", Scaled(speed.f32_flop_per_s, "FLOP/s"), " in f32");
  return text;
}

std::string DescribeLinks(const PlanInput& input, const DeviceSpeed& speed) {
  std::string text = absl::StrFormat("; %s between ranks of a host assumed",
                                     Scaled(speed.bytes_per_s_in_host, "B/s"));
  if (input.ranks > input.ranks_per_host) {
    absl::StrAppendFormat(&text, ", %s between hosts %s", Scaled(speed.bytes_per_s_of_hosts, "B/s"),
                          speed.is_link_given ? "as given" : "assumed");
  }
  return text;
}

}  // namespace

std::string SecondsText(double seconds) {
  return seconds < 1.0 ? Rounded(seconds * 1e3) + " ms" : Rounded(seconds) + " s";
}

std::string DescribeStepTime(const PlanInput& input, int64_t sequence_tokens,
                             const DeviceSpeed& speed) {
  const StepTime time = PlanStepTime(input, sequence_tokens, speed);
  const bool is_bf16 = input.bytes_per_element == 2;
  std::string text = absl::StrFormat(
      "# time of a step's update, planned, its episodes not counted: at most %d x %d tokens = %s\n",
      time.episodes, sequence_tokens, Tokens(time.tokens, "tokens"));
  const auto line = [&](const char* name, double seconds, const std::string& what) {
    absl::StrAppendFormat(&text, "#   %-17s %12s  %s\n", name, SecondsText(seconds), what);
  };
  std::string arithmetic = Scaled(time.all_flops, "FLOP over all ranks");
  if (is_bf16) {
    absl::StrAppend(&arithmetic, ", ", Scaled(time.head_flops, "FLOP"),
                    " of it the head's, in f32");
  }
  line("arithmetic", time.arithmetic_s, arithmetic);
  if (time.traffic_bytes > 0.0) {
    line("communication", time.communication_s,
         absl::StrFormat("%s a rank, which waits for %s of it", Scaled(time.traffic_bytes, "B"),
                         SecondsText(time.seconds - time.arithmetic_s)));
  }
  line("together", time.seconds,
       absl::StrFormat("%s, MFU %s %%: %s of forward and backward against %s a rank",
                       Tokens(time.tokens_per_s, "tokens/s"), Rounded(100.0 * time.mfu),
                       Scaled(time.model_flops, "FLOP"), Scaled(speed.peak_flop_per_s, "FLOP/s")));
  absl::StrAppend(&text, "#   with ", DescribeCeiling(speed, is_bf16),
                  input.ranks > 1 ? DescribeLinks(input, speed) : "",
                  PlannedOffload(input) == ShardingConfig::OFFLOAD_NONE
                      ? ""
                      : "; copies to and from the host are not counted",
                  "\n");
  return text;
}

}  // namespace routewright
