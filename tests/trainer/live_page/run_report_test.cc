#include "trainer/live_page/run_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "common/config/config_loader.h"
#include "tests/common/temp_folder.h"
#include "tests/trainer/live_page/made_up_run.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RunReportTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(temp_ / name) << text;
  }
  void WriteConfig() { Write("config.resolved.yaml", ConfigToYaml(MadeUpConfig(temp_.path()))); }
  RunReport Make() {
    const std::string folder = temp_.path();
    auto report = MakeRunReport(FileSystem::Posix(), {&folder, 1});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *std::move(report) : RunReport();
  }
  // What the page's script will read.
  static nlohmann::json DataOf(const RunReport& report) {
    const size_t begin = report.html.find('{', report.html.find("id=\"data\""));
    const size_t end = report.html.find("</script>", begin);
    return nlohmann::json::parse(report.html.substr(begin, end - begin));
  }

  TempFolder temp_;
};

TEST_F(RunReportTest, HoldsTheRunsMetricsAndFetchesNothing) {
  WriteConfig();
  Write("metrics.jsonl",
        "{\"step\":0,\"episode/em\":0.25,\"evaluation/em\":0.5}\n"
        "{\"step\":1,\"episode/em\":0.1}\n");
  Write("learner.json", R"({"state":"finished","step":2,"message":""})");
  Write("environment.json", R"({"host":"node7"})");
  const RunReport report = Make();
  EXPECT_THAT(report.problems, IsEmpty());
  const auto data = DataOf(report);
  EXPECT_EQ(data["run"], "made-up");
  EXPECT_EQ(data["curves"]["steps"]["metrics"]["episode/em"].dump(), "[0.25,0.1]");
  EXPECT_EQ(data["curves"]["evaluations"]["steps"].dump(), "[0]");
  EXPECT_EQ(data["environment"]["host"], "node7");
  EXPECT_EQ(data["state"]["state"], "finished");
  EXPECT_THAT(report.html, HasSubstr("default-src 'none'"));
  EXPECT_THAT(report.html, Not(HasSubstr("{{")));
  EXPECT_THAT(report.html, Not(HasSubstr("src=\"")));
}

TEST_F(RunReportTest, HostileTextStaysInsideTheData) {
  WriteConfig();
  nlohmann::json row = {{"step", 0}, {absl::StrCat("pool/share:", kHostile), 1.0}};
  Write("metrics.jsonl", row.dump() + "\n");
  Write("learner.json",
        nlohmann::json({{"state", "failed"}, {"step", 1}, {"message", kHostile}}).dump());
  const RunReport report = Make();
  EXPECT_EQ(DataOf(report)["state"]["message"], kHostile);
  EXPECT_THAT(report.html, Not(HasSubstr("<img src=x")));
}

TEST_F(RunReportTest, DamagedLinesAreLeftOutAndNamed) {
  WriteConfig();
  Write("metrics.jsonl",
        "{\"step\":0,\"a\":1}\n{\"step\":1,\"a\n{\"step\":2,\"a\":\"x\"}\n[]\n"
        "{\"step\":3,\"a\":4}\n{\"step\":3,\"a\":5}\n{\"step\":4,\"a\":6");
  const RunReport report = Make();
  EXPECT_THAT(report.problems,
              ElementsAre(HasSubstr("4 damaged lines are left out (line 2, 3, 4, 7)"),
                          HasSubstr("1 step is there more than once")));
  EXPECT_EQ(DataOf(report)["curves"]["steps"]["metrics"]["a"].dump(), "[1.0,5.0]");
  EXPECT_EQ(DataOf(report)["problems"].size(), 2u);
}

TEST_F(RunReportTest, ARunWithoutStepsHasAReport) {
  WriteConfig();
  EXPECT_EQ(DataOf(Make())["curves"]["steps"]["steps"].size(), 0u);
}

TEST_F(RunReportTest, AnEvaluationThatIsNoneIsLeftOutByName) {
  WriteConfig();
  for (const char* text : {"{\"trained\":{\"em\":1}}", "{\"trained\":7}", "[1]", "{\"trai", ""}) {
    Write("report.json", text);
    const RunReport report = Make();
    EXPECT_THAT(report.problems, ElementsAre(HasSubstr("report.json"))) << text;
    EXPECT_TRUE(DataOf(report)["evaluation"].is_null());
  }
  const char* kArm = R"({"num_questions":2,"em":0.5,"f1":0.5,"cost_usd_per_1k":1,
      "em_interval":[0,1],"f1_interval":[0,1],"cost_usd_per_1k_interval":[1,1]$0})";
  for (const char* rest :
       {R"(,"trained_minus":{"em":0.1})", R"(,"trained_minus":7)", R"(,"share":{"A":"x"})",
        R"(,"by_source":{"s":{"em":1}})", R"(,"by_source":[])", R"(,"share":3)"}) {
    Write("report.json", absl::StrCat("{\"trained\":", absl::Substitute(kArm, rest), "}"));
    EXPECT_THAT(Make().problems, ElementsAre(HasSubstr("its row 'trained'"))) << rest;
  }
  Write("report.json",
        absl::StrCat("{\"trained\":", absl::Substitute(kArm, R"(,"share":{"A":1})"), "}"));
  const RunReport report = Make();
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_EQ(DataOf(report)["evaluation"]["trained"]["em"], 0.5);
}

TEST_F(RunReportTest, AConfigOfAnotherVersionIsShownAsItIs) {
  Write("config.resolved.yaml", "run: {name: old}\nno_such_key: 1\n");
  const RunReport report = Make();
  EXPECT_THAT(report.problems, ElementsAre(HasSubstr("of another program version")));
  EXPECT_THAT(DataOf(report)["config"].get<std::string>(), HasSubstr("no_such_key"));
}

// Two seeds of one setting, one of another, and a run whose config nobody can read.
TEST_F(RunReportTest, RunsThatDifferInTheirSeedAloneAreOneGroup) {
  std::vector<std::string> folders;
  const auto add = [&](const std::string& name, uint64_t seed, int steps) {
    folders.push_back(temp_ / name);
    std::filesystem::create_directory(folders.back());
    RunConfig config = MadeUpConfig(temp_.path());
    config.mutable_run()->set_name(name);
    config.mutable_run()->set_seed(seed);
    config.mutable_trainer()->set_steps(steps);
    Write(name + "/config.resolved.yaml", ConfigToYaml(config));
    Write(name + "/metrics.jsonl", absl::StrCat("{\"step\":0,\"episode/em\":0.", seed, "}\n"));
  };
  add("plain-1", 1, 6);
  add("longer", 1, 9);
  add("plain-2", 2, 6);
  add("old", 3, 6);
  Write("old/config.resolved.yaml", "no_such_key: 1\n");
  Write("longer/metrics.jsonl", "{");
  const auto report = MakeRunReport(FileSystem::Posix(), folders);
  ASSERT_TRUE(report.ok()) << report.status();
  const auto data = DataOf(*report);
  EXPECT_EQ(data["groups"].dump(),
            R"([{"differs":[],"name":"plain","runs":[0,2]},)"
            R"({"differs":["trainer.steps: 6 -> 9"],"name":"longer","runs":[1]},)"
            R"({"differs":["its settings cannot be read"],"name":"old","runs":[3]}])");
  EXPECT_EQ(data["runs"].size(), 4u);
  EXPECT_EQ(data["runs"][2]["curves"]["steps"]["metrics"]["episode/em"].dump(), "[0.2]");
  EXPECT_THAT(report->problems, ElementsAre(HasSubstr("longer: metrics.jsonl: 1 damaged"),
                                            HasSubstr("old: config.resolved.yaml is of another")));
  EXPECT_THAT(report->html, Not(HasSubstr("{{")));
}

TEST_F(RunReportTest, NoTwoGroupsHaveOneName) {
  std::vector<std::string> folders;
  for (const char* name : {"a/x1", "b/x1", "c/\xc3\xa4", "d/\xc3\xb6"}) {
    folders.push_back(temp_ / name);
    std::filesystem::create_directories(folders.back());
    RunConfig config = MadeUpConfig(temp_.path());
    config.mutable_run()->set_name(name + 2);
    config.mutable_trainer()->set_steps(name[0] == 'a' ? 5 : name[0] == 'b' ? 6 : 7);
    Write(std::string(name) + "/config.resolved.yaml", ConfigToYaml(config));
  }
  const auto groups = DataOf(*MakeRunReport(FileSystem::Posix(), folders))["groups"];
  EXPECT_EQ(groups[0]["name"], "x1");
  EXPECT_EQ(groups[1]["name"], "x1 (2)");
  EXPECT_EQ(groups[2]["name"], "\xc3\xa4 and others");  // nothing in common
}

TEST_F(RunReportTest, AFolderThatIsNoRunsIsRefused) {
  const std::string folders[] = {temp_.path(), temp_ / "nothing"};
  WriteConfig();
  const auto report = MakeRunReport(FileSystem::Posix(), folders);
  EXPECT_EQ(report.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(report.status().message()), HasSubstr("is not the folder of a run"));
}

}  // namespace
}  // namespace routewright
