#include "launch/doctor/checks.h"

#include <algorithm>

#include "launch/doctor/machine_checks.h"
#include "launch/doctor/run_checks.h"

namespace routewright {
namespace {

using Check = Findings (*)(const RunConfig& config, const DoctorOptions& options);

struct Row {
  bool is_for_ranks_only;  // made also on a host that has ranks alone
  Check check;
};

// Without models there is nobody to call.
bool CallsPool(const RunConfig& config, const DoctorOptions& options) {
  return options.may_call_pool && config.pool().models_size() > 0;
}

constexpr Row kChecks[] = {
    {true, [](const RunConfig& config, const DoctorOptions&) { return CheckPolicy(config); }},
    {true, [](const RunConfig& config, const DoctorOptions&) { return CheckData(config); }},
    {false, [](const RunConfig& config, const DoctorOptions&) { return CheckEndpoints(config); }},
    {false, [](const RunConfig& config, const DoctorOptions&) { return CheckLivePage(config); }},
    {false,
     [](const RunConfig& config, const DoctorOptions& options) {
       return CallsPool(config, options) ? ProbePool(config) : Findings();
     }},
    {true, [](const RunConfig&, const DoctorOptions&) { return CheckLauncher(); }},
    {true,
     [](const RunConfig& config, const DoctorOptions& options) {
       return CheckDevices(config, std::min(options.ranks, options.ranks_per_host));
     }},
    {true,
     [](const RunConfig& config, const DoctorOptions& options) {
       return CheckNetwork(config, options.is_ranks_only);
     }},
    {true, [](const RunConfig& config, const DoctorOptions&) { return CheckDisk(config); }},
    {true,
     [](const RunConfig& config, const DoctorOptions& options) {
       return CheckMemory(config, options.ranks, options.ranks_per_host);
     }},
};

}  // namespace

void RunChecks(const RunConfig& config, const DoctorOptions& options,
               const std::function<void(Findings)>& on_findings) {
  for (const Row& row : kChecks) {
    if (options.is_ranks_only && !row.is_for_ranks_only) continue;
    on_findings(row.check(config, options));
  }
}

}  // namespace routewright
