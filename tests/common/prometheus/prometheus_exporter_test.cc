#include "common/prometheus/prometheus_exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using testing::HasSubstr;

class PrometheusExporterTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<PrometheusExporter>> Start(const std::string& address,
                                                            int port_offset = 0) {
    return PrometheusExporter::Start(address, port_offset,
                                     {.files = &FileSystem::Posix(),
                                      .folder = temp_ / "prometheus",
                                      .name = "worker-host:7",
                                      .labels = {{"role", "worker"}}});
  }
  static std::string Scrape(const PrometheusExporter& exporter) {
    auto answer = httplib::Client("http://" + exporter.address()).Get("/metrics");
    return answer ? answer->body : "";
  }
  static int PortOf(const PrometheusExporter& exporter) {
    return std::stoi(exporter.address().substr(exporter.address().rfind(':') + 1));
  }

  const TempFolder temp_;
};

TEST_F(PrometheusExporterTest, ServesGaugesCountersAndProcessMetrics) {
  const auto exporter = Start("127.0.0.1:0").value();
  exporter->SetGauge("routewright_step", "Steps.", {}, 3);
  exporter->SetGauge("routewright_step", "Steps.", {}, 4);
  const PrometheusExporter::Labels labels = {{"model", "a\"b\\c\nd"}};
  exporter->Count("routewright_calls_total", "Calls.", labels, 2);
  exporter->Count("routewright_calls_total", "Calls.", labels, 0.5);
  const std::string text = Scrape(*exporter);
  EXPECT_THAT(text, HasSubstr("# HELP routewright_step Steps.\n# TYPE routewright_step gauge\n"
                              "routewright_step 4\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE routewright_calls_total counter\n"
                              "routewright_calls_total{model=\"a\\\"b\\\\c\\nd\"} 2.5\n"));
  EXPECT_THAT(text, HasSubstr("\nprocess_resident_memory_bytes "));
}

TEST_F(PrometheusExporterTest, AnnouncesItsAddressUntilItEnds) {
  auto exporter = Start("127.0.0.1:0").value();
  const std::string path = temp_ / "prometheus/worker-host_7.json";
  EXPECT_EQ(FileSystem::Posix().Read(path).value(),
            absl::StrCat("[{\"targets\":[\"", exporter->address(),
                         "\"],\"labels\":{\"role\":\"worker\"}}]\n"));
  exporter.reset();
  EXPECT_FALSE(FileSystem::Posix().Exists(path));
}

TEST_F(PrometheusExporterTest, APortThatIsTakenIsRefusedByName) {
  const auto exporter = Start("127.0.0.1:0").value();
  const auto other = Start(exporter->address());
  EXPECT_TRUE(absl::IsUnavailable(other.status())) << other.status();
  EXPECT_THAT(std::string(other.status().message()), HasSubstr(exporter->address()));
  EXPECT_TRUE(absl::IsInvalidArgument(Start("localhost").status()));
}

TEST_F(PrometheusExporterTest, TheRanksOfAHostHavePortsOneAfterTheOther) {
  auto exporter = Start("127.0.0.1:0").value();
  const int port = PortOf(*exporter);
  exporter.reset();
  const auto same = Start(absl::StrCat("127.0.0.1:", port - 1), /*port_offset=*/1).value();
  EXPECT_EQ(PortOf(*same), port);
}

TEST_F(PrometheusExporterTest, IsScrapedWhileThreadsCount) {
  const auto exporter = Start("127.0.0.1:0").value();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int k = 0; k < 1000; ++k) exporter->Count("n_total", "N.", {}, 1);
      });
    }
    for (int i = 0; i < 10; ++i) EXPECT_THAT(Scrape(*exporter), HasSubstr("process_"));
  }
  EXPECT_THAT(Scrape(*exporter), HasSubstr("\nn_total 4000\n"));
}

}  // namespace
}  // namespace routewright
