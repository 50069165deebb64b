#include "common/prometheus/prometheus_exporter.h"

#include <httplib.h>
#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/network_address.h"
#include "common/serving_thread.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

MetricFamily ProcessMetric(const char* name, const char* help, MetricType type, double value) {
  MetricFamily family{name, help, type, {ClientMetric()}};
  family.metric[0].counter.value = family.metric[0].gauge.value = value;
  return family;
}

// Under the names that Prometheus' own client libraries use.
void AppendProcessMetrics(double start_s, std::vector<MetricFamily>& families) {
  double total_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> total_pages >> resident_pages;
  timespec cpu = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  families.push_back(ProcessMetric("process_resident_memory_bytes", "Resident memory.",
                                   MetricType::Gauge,
                                   resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE))));
  families.push_back(ProcessMetric("process_cpu_seconds_total", "CPU time, user and system.",
                                   MetricType::Counter,
                                   static_cast<double>(cpu.tv_sec) + cpu.tv_nsec * 1e-9));
  families.push_back(ProcessMetric("process_start_time_seconds",
                                   "When this process began to serve metrics, since 1970.",
                                   MetricType::Gauge, start_s));
}

std::string FileName(std::string name) {
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') c = '_';
  }
  return name + ".json";
}

std::string TargetsJson(const std::string& address, const PrometheusExporter::Labels& labels) {
  nlohmann::ordered_json group;
  group["targets"] = {address};
  group["labels"] = nlohmann::ordered_json::object();
  for (const auto& [label, value] : labels) group["labels"][label] = value;
  return nlohmann::ordered_json::array({group}).dump(
             -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace

class PrometheusExporter::Metrics {
 public:
  void Change(const std::string& name, const std::string& help, const Labels& labels,
              MetricType type, double value) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    Family& family = families_[name];
    if (family.help.empty()) family = {help, type, {}};
    double& number = family.values[labels];
    number = type == MetricType::Counter ? number + value : value;
  }

  std::vector<MetricFamily> Collect() const ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<MetricFamily> result;
    AppendProcessMetrics(start_s_, result);
    absl::MutexLock lock(&mutex_);
    for (const auto& [name, family] : families_) {
      MetricFamily copy{name, family.help, family.type, {}};
      for (const auto& [labels, value] : family.values) {
        ClientMetric& metric = copy.metric.emplace_back();
        for (const auto& [label, text] : labels) metric.label.push_back({label, text});
        metric.counter.value = metric.gauge.value = value;
      }
      result.push_back(std::move(copy));
    }
    return result;
  }

 private:
  struct Family {
    std::string help;
    MetricType type = MetricType::Gauge;
    std::map<Labels, double> values;
  };

  const double start_s_ = absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
  mutable absl::Mutex mutex_;
  std::map<std::string, Family> families_ ABSL_GUARDED_BY(mutex_);
};

class PrometheusExporter::Server {
 public:
  explicit Server(const Metrics* metrics) {
    http_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };  // the server owns it
    http_.set_keep_alive_max_count(1);  // an idle connection would keep a thread
    // Without the library's SO_REUSEPORT, with which two processes would share a port.
    http_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    http_.Get("/metrics", [metrics](const auto&, auto& response) {
      response.set_content(prometheus::TextSerializer().Serialize(metrics->Collect()),
                           "text/plain; version=0.0.4; charset=utf-8");
    });
  }
  ~Server() { http_.stop(); }

  // The port in use, or ≤ 0 if there is none to be had.
  int Listen(const std::string& host, int port) {
    if (port == 0) {
      port = http_.bind_to_any_port(host);
    } else if (!http_.bind_to_port(host, port)) {
      return 0;
    }
    if (port <= 0) return port;
    return thread_.Start(http_) ? port : 0;
  }

 private:
  static constexpr size_t kThreads = 2;
  httplib::Server http_;
  ServingThread thread_;  // last: dies first
};

PrometheusExporter::PrometheusExporter()
    : metrics_(std::make_unique<Metrics>()), server_(std::make_unique<Server>(metrics_.get())) {}

PrometheusExporter::~PrometheusExporter() {
  if (!announcement_path_.empty()) files_->RemoveAll(announcement_path_).IgnoreError();
}

absl::StatusOr<std::unique_ptr<PrometheusExporter>> PrometheusExporter::Start(
    const std::string& address, int port_offset, Announcement announcement) {
  const size_t colon = std::min(address.rfind(':'), address.size());
  const std::string host = address.substr(0, colon);
  int port = 0;
  if (colon == address.size() || !absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    return absl::InvalidArgumentError(absl::StrCat("'", address, "' is not host:port"));
  }
  if (port != 0) port += port_offset;
  std::unique_ptr<PrometheusExporter> exporter(new PrometheusExporter());
  const int port_in_use = exporter->server_->Listen(WithoutBrackets(host), port);
  if (port_in_use <= 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve Prometheus' metrics at ", host, ":", port,
                     ": the address is in use or not of this host (port 0 picks a free one)"));
  }
  exporter->address_ = absl::StrCat(ReachableHost(host), ":", port_in_use);
  FileSystem& files = *announcement.files;
  const std::string path = absl::StrCat(announcement.folder, "/", FileName(announcement.name));
  RW_RETURN_IF_ERROR(files.CreateFolders(announcement.folder));
  RW_RETURN_IF_ERROR(
      WriteFileAtomically(files, path, TargetsJson(exporter->address_, announcement.labels)));
  exporter->files_ = &files;
  exporter->announcement_path_ = path;
  return exporter;
}

void PrometheusExporter::SetGauge(const std::string& name, const std::string& help,
                                  const Labels& labels, double value) {
  metrics_->Change(name, help, labels, MetricType::Gauge, value);
}

void PrometheusExporter::Count(const std::string& name, const std::string& help,
                               const Labels& labels, double increment) {
  metrics_->Change(name, help, labels, MetricType::Counter, increment);
}

std::string EnumLabel(const std::string& enum_name, std::string_view prefix) {
  return absl::AsciiStrToLower(enum_name.substr(prefix.size()));
}

}  // namespace routewright
