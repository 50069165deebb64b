#include "launch/cli/serve_prometheus.h"

#include <utility>

#include "common/config/config_loader.h"
#include "common/log.h"
#include "common/status_macros.h"

namespace routewright {

absl::StatusOr<std::unique_ptr<PrometheusExporter>> ServePrometheus(
    const RunConfig& config, const PrometheusConfig& prometheus, int port_offset,
    const std::string& name, PrometheusExporter::Labels labels) {
  if (!prometheus.has_listen_address()) return nullptr;
  labels.emplace_back("run", config.run().name());
  RW_ASSIGN_OR_RETURN(auto exporter,
                      PrometheusExporter::Start(prometheus.listen_address(), port_offset,
                                                {.files = &FileSystem::Posix(),
                                                 .folder = RunFolder(config) + "/prometheus",
                                                 .name = name,
                                                 .labels = std::move(labels)}));
  LogInfo("metrics for Prometheus at http://", exporter->address(), "/metrics");
  return exporter;
}

}  // namespace routewright
