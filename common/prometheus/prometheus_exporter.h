// The door to Prometheus: a process' metrics as Prometheus text at http://<address>/metrics, and
// a file that tells a Prometheus where that is (file_sd_configs). Names follow Prometheus'
// conventions: base units at the end (_seconds, _bytes, _usd), _total on what only grows; every
// name has a help text. Process metrics (process_resident_memory_bytes,
// process_cpu_seconds_total, …) are added.
//
// Thread-safe. Three threads of its own: one listens, two answer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/file_system.h"

namespace routewright {

class PrometheusExporter {
 public:
  using Labels = std::vector<std::pair<std::string, std::string>>;
  // Where the metrics are announced: <folder>/<name>.json holds
  // [{"targets":["host:port"],"labels":{…}}] until the exporter ends.
  struct Announcement {
    FileSystem* files = nullptr;  // must outlive the exporter
    std::string folder;
    std::string name;  // characters that a file name should not have become _
    Labels labels;
  };

  // Listens at `address`, host:port; port 0 picks one, else `port_offset` is added to it. Fails:
  // kUnavailable if the address can't be had, or as the file does.
  static absl::StatusOr<std::unique_ptr<PrometheusExporter>> Start(const std::string& address,
                                                                   int port_offset,
                                                                   Announcement announcement);
  ~PrometheusExporter();

  const std::string& address() const { return address_; }  // host:port in use

  // `help` is taken from a name's first use.
  void SetGauge(const std::string& name, const std::string& help, const Labels& labels,
                double value);
  // Adds to a metric that only grows, from 0 when the process starts.
  void Count(const std::string& name, const std::string& help, const Labels& labels,
             double increment);

 private:
  class Metrics;
  class Server;
  PrometheusExporter();

  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Server> server_;  // reads the metrics; dies first
  std::string address_;
  FileSystem* files_ = nullptr;
  std::string announcement_path_;
};

// An enum value's name as a label: "CALL_OUTCOME_TIMED_OUT" without "CALL_OUTCOME_" is "timed_out".
std::string EnumLabel(const std::string& enum_name, std::string_view prefix);

}  // namespace routewright
