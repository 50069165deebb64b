// Arms run over a scripted policy and a pool in which Atlas is right about geo and Sage about all.
#include "rollout_workers/evaluation/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/rollout_workers/episode/episode_world.h"
#include "tests/rollout_workers/generator/scripted_generator.h"
#include "tests/rollout_workers/pool/fake_pool.h"

namespace routewright {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<std::string> kModels = {"Atlas", "Sage"};

class EvaluationTest : public testing::Test {
 protected:
  EvaluationTest()
      : generator_([this](const RoundRequest& request) { return Write(request); }),
        pool_([this](const PoolRequest& request) { return Answer(request); }),
        runner_(&world_.context, &generator_, &pool_) {
    for (const char* source : {"geo", "geo", "sum"}) {
      Question question = EpisodeWorld::Spec().question();
      question.set_id(absl::StrCat("q", questions_.size()));
      question.set_data_source(source);
      questions_.push_back(question);
    }
    options_.models = kModels;
    options_.max_episodes = 2;
  }

  // Searches with Atlas, then repeats what the last reply said.
  std::string Write(const RoundRequest& request) {
    if (request.round == 0) return "<think>a</think><search>Atlas: q</search>";
    return absl::StrCat("<think>b</think><answer>", replies_[request.episode_id], "</answer>");
  }
  PoolCall Answer(const PoolRequest& request) {
    asked_.insert(request.model);
    const std::string id = EpisodeOf(request.call_id);
    if (failing_calls_ > 0) {
      --failing_calls_;
      return FakePool::Failure(CALL_OUTCOME_UNAVAILABLE);
    }
    const bool is_sum = id.ends_with("2");
    const bool knows = request.model == "Sage" || !is_sum;
    replies_[id] = knows ? "Lima" : "Oslo";
    return FakePool::Reply(replies_[id], request.model == "Sage" ? 8000 : 1000);
  }
  // call_id = episode_id "/" attempt "/" round.
  static std::string EpisodeOf(const std::string& call_id) {
    return call_id.substr(0, call_id.rfind('/', call_id.rfind('/') - 1));
  }

  EpisodeWorld world_;
  std::map<std::string, std::string> replies_;  // by episode id
  std::set<std::string> asked_;
  int failing_calls_ = 0;
  ScriptedGenerator generator_;
  FakePool pool_;
  EpisodeRunner runner_;
  std::vector<Question> questions_;
  EvaluationOptions options_;
};

TEST_F(EvaluationTest, ScoresEveryQuestionOnceInItsPlace) {
  const auto scores = RunArm({.name = "trained"}, questions_, options_, runner_);
  ASSERT_TRUE(scores.ok()) << scores.status();
  ASSERT_EQ(scores->episodes.size(), 3u);
  EXPECT_EQ(scores->episodes[0]->em, 1);
  EXPECT_EQ(scores->episodes[2]->em, 0);
  EXPECT_EQ(scores->episodes[2]->cost_picousd, 1000);
  EXPECT_THAT(scores->episodes[1]->calls, ElementsAre(1, 0));
  EXPECT_EQ(generator_.requests.size(), 6u);
}

TEST_F(EvaluationTest, AForcedArmCallsItsModelWhateverThePolicyNames) {
  const auto scores =
      RunArm({.name = "forced:Sage", .forced_model = "Sage"}, questions_, options_, runner_);
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_THAT(asked_, ElementsAre("Sage"));
  EXPECT_THAT(scores->episodes[2]->calls, ElementsAre(0, 1));
  EXPECT_EQ(scores->episodes[2]->em, 1);
}

TEST_F(EvaluationTest, ARandomArmIsTheSameWheneverItIsRun) {
  const EvaluationArm arm = {.name = "random", .is_random = true};
  const auto first = RunArm(arm, questions_, options_, runner_);
  options_.max_episodes = 1;
  const auto second = RunArm(arm, questions_, options_, runner_);
  ASSERT_TRUE(first.ok() && second.ok());
  for (size_t i = 0; i < questions_.size(); ++i) {
    EXPECT_EQ(first->episodes[i]->calls, second->episodes[i]->calls) << i;
  }
}

TEST_F(EvaluationTest, AnEpisodeWhosePoolFailedIsTriedAgainThenLeftOut) {
  failing_calls_ = 1;
  const auto again = RunArm({.name = "trained"}, questions_, options_, runner_);
  ASSERT_TRUE(again.ok()) << again.status();
  for (const auto& episode : again->episodes) EXPECT_TRUE(episode.has_value());
  failing_calls_ = 1000;
  options_.max_attempts = 2;
  const auto none = RunArm({.name = "trained"}, questions_, options_, runner_);
  ASSERT_TRUE(none.ok()) << none.status();
  for (const auto& episode : none->episodes) EXPECT_FALSE(episode.has_value());
}

TEST_F(EvaluationTest, StopsWhenItIsToldTo) {
  options_.should_go_on = [] { return false; };
  EXPECT_EQ(RunArm({.name = "trained"}, questions_, options_, runner_).status().code(),
            absl::StatusCode::kCancelled);
}

TEST_F(EvaluationTest, ReportsProgressUpToTheLastQuestion) {
  EvaluationProgress last;
  options_.report = [&](const EvaluationProgress& progress) { last = progress; };
  ASSERT_TRUE(RunArm({.name = "trained"}, questions_, options_, runner_).ok());
  EXPECT_EQ(last.num_done, 3);
  EXPECT_EQ(last.num_questions, 3);
  EXPECT_NEAR(last.em, 2.0 / 3, 1e-12);
}

TEST_F(EvaluationTest, TheOracleTakesTheCheapestModelThatIsRight) {
  std::vector<ArmScores> forced;
  for (const std::string& model : kModels) {
    auto scores =
        RunArm({.name = "forced:" + model, .forced_model = model}, questions_, options_, runner_);
    ASSERT_TRUE(scores.ok()) << scores.status();
    forced.push_back(*std::move(scores));
  }
  const ArmScores oracle = OracleOf(forced);
  EXPECT_THAT(oracle.episodes[0]->calls, ElementsAre(1, 0));
  EXPECT_THAT(oracle.episodes[2]->calls, ElementsAre(0, 1));
}

TEST_F(EvaluationTest, TheOracleOfAQuestionThatNobodyGetsRightIsTheCheapestWrongAnswer) {
  std::vector<ArmScores> forced(2);
  forced[0].episodes = {EpisodeScore{0, 0.5, 8000, {1, 0}}};
  forced[1].episodes = {EpisodeScore{0, 0, 1000, {0, 1}}};
  EXPECT_EQ(OracleOf(forced).episodes[0]->cost_picousd, 1000);
}

TEST_F(EvaluationTest, SummariesCountCostsSharesAndSources) {
  ArmScores arm;
  arm.name = "trained";
  arm.episodes = {EpisodeScore{1, 1, 2'000'000, {1, 0}}, std::nullopt,
                  EpisodeScore{0, 0.5, 4'000'000, {1, 2}}};
  questions_[2].set_hops(2);
  const ArmReport report = Summarise(arm, questions_, kModels, /*bootstrap_resamples=*/200);
  EXPECT_EQ(report.all.num_questions, 2);
  EXPECT_EQ(report.all.num_left_out, 1);
  EXPECT_EQ(report.all.em, 0.5);
  EXPECT_EQ(report.all.f1, 0.75);
  EXPECT_EQ(report.all.em_two_hop, std::optional<double>(0));
  EXPECT_NEAR(report.all.cost_usd_per_1k, 0.003, 1e-15);
  EXPECT_EQ(report.all.calls_per_question, 2);
  EXPECT_EQ(report.all.share.at("Atlas"), 0.5);
  EXPECT_NEAR(report.all.share_entropy, std::log(2.0), 1e-12);
  EXPECT_EQ(report.by_source.at("geo").em, 1);
  EXPECT_EQ(report.by_source.at("geo").num_left_out, 1);
  EXPECT_FALSE(report.by_source.at("geo").em_two_hop.has_value());
}

TEST_F(EvaluationTest, IntervalsOfAThousandCoinsCoverTheMeanAsTheBinomialDoes) {
  ArmScores arm;
  std::vector<Question> questions(1000, questions_[0]);
  for (size_t i = 0; i < questions.size(); ++i) {
    arm.episodes.push_back(EpisodeScore{static_cast<double>(i % 4 == 0), 0, 0, {0, 0}});
  }
  const ArmSummary all = Summarise(arm, questions, kModels, 2000).all;
  // 1.96 · √(0.25 · 0.75 / 1000) = 0.0268
  EXPECT_NEAR(all.em_interval.low, 0.25 - 0.0268, 0.004);
  EXPECT_NEAR(all.em_interval.high, 0.25 + 0.0268, 0.004);
}

// Of 1000 questions 600 are right in both arms, 50 in the first alone, 20 in the second alone. Paired, the deviation of the
// difference is √((0.07 − 0.03²) / 1000) = 0.0083; of two independent arms it would be 0.021.
TEST_F(EvaluationTest, TheDifferenceOfTwoArmsIsPairedByQuestion) {
  ArmScores trained, other;
  for (int i = 0; i < 1000; ++i) {
    const bool is_first = i < 650, is_second = i < 600 || i >= 980;
    trained.episodes.push_back(EpisodeScore{double(is_first), 0, 2'000'000, {1, 0}});
    other.episodes.push_back(EpisodeScore{double(is_second), 0, 3'000'000, {1, 0}});
  }
  trained.episodes.push_back(std::nullopt);  // what one of them lacks is in neither
  other.episodes.push_back(EpisodeScore{1, 1, 9'000'000, {1, 0}});
  const auto difference = DifferenceOf(trained, other, 2000);
  ASSERT_TRUE(difference.has_value());
  EXPECT_EQ(difference->num_questions, 1000);
  EXPECT_NEAR(difference->em, 0.03, 1e-12);
  EXPECT_NEAR(difference->em_interval.low, 0.03 - 1.96 * 0.0083, 0.002);
  EXPECT_NEAR(difference->em_interval.high, 0.03 + 1.96 * 0.0083, 0.002);
  EXPECT_NEAR(difference->cost_usd_per_1k, -0.001, 1e-12);
  EXPECT_NEAR(difference->cost_interval.low, -0.001, 1e-12);  // the same of every question
  EXPECT_FALSE(DifferenceOf({"a", {std::nullopt}}, {"b", {EpisodeScore{}}}, 10).has_value());
}

TEST_F(EvaluationTest, TheTableShowsTheGapToTheOracleAndWhatWasLeftOut) {
  EvaluationReport report;
  report.models = kModels;
  report.num_questions = 2;
  ArmScores trained, oracle;
  trained.name = "trained";
  oracle.name = "oracle";
  trained.episodes = {EpisodeScore{0, 0, 2000, {1, 0}}, std::nullopt};
  oracle.episodes = {EpisodeScore{1, 1, 1000, {0, 1}}, EpisodeScore{1, 1, 1000, {0, 1}}};
  const std::vector<Question> questions(2, questions_[0]);
  for (const ArmScores& arm : {trained, oracle}) {
    report.arms.push_back(Summarise(arm, questions, kModels, 100));
  }
  report.arms[1].trained_minus = DifferenceOf(trained, oracle, 100);
  const std::string table = ReportToTable(report);
  EXPECT_THAT(table, HasSubstr("gap to the oracle: EM -1.000"));
  EXPECT_THAT(table, HasSubstr("trained leaves out 1 of 2 questions"));
  EXPECT_THAT(table, HasSubstr("oracle      -1.000 [-1.000, -1.000]   +0.00000"));
  const std::string json = ReportToJson(report);
  EXPECT_THAT(json, HasSubstr("\"em_two_hop\": null"));
  EXPECT_THAT(json, HasSubstr("\"trained_minus\": {\n      \"num_questions\": 1,"));
}

}  // namespace
}  // namespace routewright
