// Serves a process' metrics to Prometheus as its config says, and announces
// where in the run's folder.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/prometheus/prometheus_exporter.h"
#include "proto/config.pb.h"

namespace routewright {

// <run>/prometheus/<name>.json holds the address, `labels` and the run's name. nullptr: the config
// names no address. Fails: as PrometheusExporter::Start does.
absl::StatusOr<std::unique_ptr<PrometheusExporter>> ServePrometheus(
    const RunConfig& config, const PrometheusConfig& prometheus, int port_offset,
    const std::string& name, PrometheusExporter::Labels labels);

}  // namespace routewright
