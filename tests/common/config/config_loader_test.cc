#include "common/config/config_loader.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "common/config/algorithm_facts.h"
#include "common/file_system.h"
#include "tests/common/temp_folder.h"

namespace routewright {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kMinimal[] = R"(
run: {name: demo}
policy: {path: policies/tiny}
)";

std::string ErrorOf(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  RunConfig config;
  const absl::Status status = ParseConfigYaml(yaml, "run.yaml", overrides, config);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message());
}

RunConfig Parse(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  RunConfig config;
  const absl::Status status = ParseConfigYaml(yaml, "run.yaml", overrides, config);
  EXPECT_TRUE(status.ok()) << status;
  return config;
}

TEST(ConfigLoaderTest, EveryKindOfFieldIsRead) {
  const RunConfig config = Parse(R"(
run: {name: 007, seed: 18446744073709551615, deterministic: true}
reward:
  metric: f1
  cost_coefficient: 0.6
pool:
  models:
    - name: a
      base_url: "http://x/v1"
      aliases: [b, "c d"]
      input_price: 300000
    - {name: z, base_url: http://y/v1}
pool_emulator:
  facts_path: facts.jsonl
  models:
    - name: a
      skill: {default: 0.1, two-hop.x: 1}
trainer:
  loss: {kl_estimator: low_var, clip_high: 2}
  optimizer: {learning_rate: 1e-4}
)");
  EXPECT_EQ(config.run().name(), "007");
  EXPECT_EQ(config.run().seed(), 18446744073709551615u);
  EXPECT_TRUE(config.run().deterministic());
  EXPECT_EQ(config.reward().metric(), RewardConfig::METRIC_F1);
  EXPECT_THAT(config.pool().models(0).aliases(), ElementsAre("b", "c d"));
  EXPECT_EQ(config.pool().models(1).name(), "z");
  EXPECT_EQ(config.pool_emulator().models(0).skill().at("two-hop.x"), 1.0);
  EXPECT_EQ(config.trainer().loss().kl_estimator(), LossConfig::KL_ESTIMATOR_LOW_VAR);
  EXPECT_EQ(config.trainer().loss().clip_high(), 2.0);
  EXPECT_EQ(config.trainer().optimizer().learning_rate(), 1e-4);
}

TEST(ConfigLoaderTest, WhatTheFileDoesNotNameKeepsItsDefault) {
  const RunConfig config = Parse(kMinimal);
  EXPECT_EQ(config.run().output_dir(), "runs");
  EXPECT_EQ(config.trainer().loss().clip_low(), 0.2);
  EXPECT_FALSE(config.has_trainer());
  EXPECT_TRUE(Parse("trainer:\ndata:\n  train:\n").has_trainer());  // an empty section is a section
}

TEST(ConfigLoaderTest, AnUnknownKeyNamesItsPlaceAndTheNearestValidKey) {
  EXPECT_EQ(ErrorOf("trainer:\n  loss:\n    clip_lo: 0.1\n"),
            "run.yaml:3:5: trainer.loss.clip_lo: there is no such key; did you mean clip_low?");
  EXPECT_THAT(ErrorOf("trainr: {}\n"), HasSubstr("did you mean trainer?"));
  EXPECT_THAT(ErrorOf("pool: {models: [{api_key: x}]}"),
              HasSubstr("did you mean api_key_env or api_key_file?"));
  EXPECT_THAT(ErrorOf("reward: {zzzzzzzzzz: 1}\n"),
              HasSubstr("valid: metric, cost_coefficient, cost_window, cost_form, usd_weight"));
  EXPECT_THAT(ErrorOf("pool:\n  models:\n    - {name: a, base_url: b, price: 3}\n"),
              StartsWith("run.yaml:3:30: pool.models.0.price: there is no such key"));
}

TEST(ConfigLoaderTest, AWrongTypeSaysWhatWasExpected) {
  const auto of = [](const std::string& line) { return ErrorOf(line); };
  EXPECT_EQ(of("trainer: {steps: many}"),
            "run.yaml:1:18: trainer.steps: expected a whole number of 32 bits, got 'many'");
  EXPECT_THAT(of("trainer: {steps: 1.5}"), HasSubstr("expected a whole number"));
  EXPECT_THAT(of("trainer: {steps: 1e3}"), HasSubstr("expected a whole number"));
  EXPECT_THAT(of("trainer: {steps: \"3\"}"), HasSubstr("got the text \"3\""));
  EXPECT_THAT(of("trainer: {steps: 99999999999}"), HasSubstr("expected a whole number of 32 bits"));
  EXPECT_THAT(of("trainer: {steps: }"), HasSubstr("trainer.steps: has no value"));
  EXPECT_THAT(of("trainer: {steps: [1]}"), HasSubstr("expected a single value, got a list"));
  EXPECT_THAT(of("run: {name: x, seed: -1}"), HasSubstr("a whole number, not negative"));
  EXPECT_THAT(of("run: {name: x, deterministic: yes}"),
              HasSubstr("expected true or false, got 'yes'"));
  EXPECT_THAT(of("reward: {cost_coefficient: .nan}"), HasSubstr("expected a number"));
  EXPECT_THAT(of("reward: {cost_coefficient: nan}"), HasSubstr("expected a number"));
  EXPECT_THAT(of("trainer: {critic: {value_clip: inf}}"), HasSubstr("expected a number"));
  EXPECT_THAT(of("reward: 3"), HasSubstr("reward: expected a map of keys, got a single value"));
  EXPECT_THAT(of("data: {train: x}"), HasSubstr("data.train: expected a list, got a single value"));
  EXPECT_THAT(of("pool_emulator: {facts_path: f, models: [{name: a, skill: [1]}]}"),
              HasSubstr("expected a map of names to values, got a list"));
  EXPECT_THAT(of("- 1"), HasSubstr("run.yaml:1:1: expected a map of keys, got a list"));
  EXPECT_THAT(of("trainer: {algorithm: pro}"), HasSubstr("there is no 'pro'; did you mean ppo?"));
  EXPECT_THAT(of("trainer: {algorithm: unspecified}"), HasSubstr("valid: grpo, ppo, supervised"));
}

TEST(ConfigLoaderTest, ANumberOutOfItsRangeShowsTheRange) {
  EXPECT_EQ(ErrorOf("trainer: {loss: {clip_low: 1}}"),
            "run.yaml:1:28: trainer.loss.clip_low: 1 is out of range (0, 1)");
  EXPECT_THAT(ErrorOf("trainer: {max_policy_lag: 1}"), HasSubstr("1 is out of range [0, 0]"));
  EXPECT_THAT(ErrorOf("trainer: {steps: -1}"), HasSubstr("-1 is out of range [0, inf)"));
  EXPECT_THAT(ErrorOf("pool_emulator: {facts_path: f, models: [{name: a, skill: {x: 1.5}}]}"),
              HasSubstr("pool_emulator.models.0.skill.x: 1.5 is out of range [0, 1]"));
  EXPECT_EQ(ErrorOf("trainer: {steps: 0, loss: {clip_low: 0.999}}"), "");
}

TEST(ConfigLoaderTest, ARequiredFieldIsRequiredWhereItsMessageIsUsed) {
  EXPECT_EQ(ErrorOf("run:\n  seed: 1\n"), "run.yaml:2:3: run.name: is required, but not set");
  EXPECT_THAT(ErrorOf("run: {name: \"\"}"), HasSubstr("run.name: is required"));
  EXPECT_THAT(ErrorOf("data:\n  train:\n    - max_questions: 3\n"),
              HasSubstr("run.yaml:3:7: data.train.0.path: is required"));
  EXPECT_EQ(ErrorOf(""), "");
}

TEST(ConfigLoaderTest, AllViolationsAreListedAtOnceOneALine) {
  const std::string error = ErrorOf(R"(run: {sed: 3}
trainer:
  steps: x
  loss: {clip_low: 7}
)",
                                    {"trainer.stps=3", "nothing"});
  EXPECT_EQ(error,
            "6 faults in the configuration:\n"
            "--set trainer.stps=3: there is no key stps; did you mean steps?\n"
            "--set nothing: write it as key=value, such as trainer.steps=10\n"
            "run.yaml:1:7: run.sed: there is no such key; did you mean seed?\n"
            "run.yaml:1:6: run.name: is required, but not set\n"
            "run.yaml:3:10: trainer.steps: expected a whole number of 32 bits, got 'x'\n"
            "run.yaml:4:20: trainer.loss.clip_low: 7 is out of range (0, 1)");
}

TEST(ConfigLoaderTest, YamlsTricksAreRefused) {
  EXPECT_THAT(ErrorOf("run: {name: &a x}"), HasSubstr("run.yaml:1:13: an anchor"));
  EXPECT_THAT(ErrorOf("run: &a {name: x}\nreward: *a\n"),
              AllOf(HasSubstr("an anchor"), HasSubstr("an alias")));
  EXPECT_THAT(ErrorOf("run: {name: x, name: y}"),
              HasSubstr("run.yaml:1:16: the key name is set twice (first at run.yaml:1:13)"));
  EXPECT_THAT(ErrorOf("run: {name: !!str x}"), HasSubstr("a tag"));
  EXPECT_THAT(ErrorOf("run: !thing {name: x}"), HasSubstr("a tag"));
  EXPECT_THAT(ErrorOf("run: {name: x}\n---\nrun: {name: y}\n"),
              HasSubstr("a second YAML document"));
  EXPECT_THAT(ErrorOf("? [a, b]\n: 1\n"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(ErrorOf("<<: {run: {name: x}}\n"), HasSubstr("there is no such key"));
  EXPECT_THAT(ErrorOf(std::string(100, '[')), HasSubstr("run.yaml:"));
  EXPECT_THAT(ErrorOf(std::string(100, '[') + std::string(100, ']')),
              HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(ErrorOf(std::string(100000, '[')), HasSubstr("run.yaml:"));
  EXPECT_THAT(ErrorOf("run: {name: x\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(ErrorOf("run:\n\tname: x\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(ErrorOf(std::string((1 << 20) + 1, '#')), HasSubstr("over 1 MiB"));
}

TEST(ConfigLoaderTest, OverridesWinOverTheFileAndAddWhatItLacks) {
  const RunConfig config =
      Parse("run: {name: a}\ntrainer: {steps: 5}\npool: {models: [{name: m, base_url: u}]}\n",
            {"trainer.steps=6", "trainer.steps=7", "run.name=b=c: d", "reward.metric=f1",
             "pool.models.0.output_price=1", "pool.models.1.name=n", "pool.models.1.base_url=v",
             "data.demonstrations=[x, y]", "data.train.0.path=q"});
  EXPECT_EQ(config.trainer().steps(), 7);
  EXPECT_EQ(config.run().name(), "b=c: d");
  EXPECT_EQ(config.reward().metric(), RewardConfig::METRIC_F1);
  EXPECT_EQ(config.pool().models(0).output_price(), 1);
  EXPECT_EQ(config.pool().models(1).name(), "n");
  EXPECT_THAT(config.data().demonstrations(), ElementsAre("x", "y"));
  EXPECT_EQ(config.data().train(0).path(), "q");
}

TEST(ConfigLoaderTest, AnOverrideReplacesABadValueOfTheFile) {
  EXPECT_EQ(Parse("trainer: {steps: x}", {"trainer.steps=3"}).trainer().steps(), 3);
}

TEST(ConfigLoaderTest, AMapsNamesCanBeOverridden) {
  const RunConfig config =
      Parse("pool_emulator: {facts_path: f, models: [{name: a, skill: {x: 0.1, y: 0.2}}]}",
            {"pool_emulator.models.0.skill.x=0.5", "pool_emulator.models.0.skill.z.w=0.7"});
  EXPECT_EQ(config.pool_emulator().models(0).skill().at("x"), 0.5);
  EXPECT_EQ(config.pool_emulator().models(0).skill().at("y"), 0.2);
  EXPECT_EQ(config.pool_emulator().models(0).skill().at("z.w"), 0.7);
}

TEST(ConfigLoaderTest, BadOverridesNameThemselves) {
  EXPECT_EQ(ErrorOf("", {"trainer.steps=x"}),
            "--set trainer.steps=x: trainer.steps: expected a whole number of 32 bits, got 'x'");
  EXPECT_THAT(ErrorOf("", {"trainer.steps.x=1"}), HasSubstr("steps is a single value"));
  EXPECT_THAT(ErrorOf("", {"pool.models.1.name=x"}),
              HasSubstr("models is a list of 0 items: '1' is no index"));
  EXPECT_THAT(ErrorOf("", {"pool.models.x.name=x"}), HasSubstr("'x' is no index"));
  EXPECT_THAT(ErrorOf("", {"=1"}), HasSubstr("there is no key before the ="));
  EXPECT_THAT(ErrorOf("", {"trainer.steps="}), HasSubstr("expected a whole number"));
  EXPECT_THAT(ErrorOf("", {"data.train=[{pat: x}]"}), HasSubstr("did you mean path?"));
  EXPECT_THAT(ErrorOf("", {"run.name=\xff"}), HasSubstr("not valid UTF-8"));
  EXPECT_THAT(ErrorOf("pool: 3", {"pool.max_retries=1"}),
              HasSubstr("pool: expected a map of keys"));
}

TEST(ConfigLoaderTest, AFileIsReadAndAMissingOneNamed) {
  TempFolder folder;
  ASSERT_TRUE(WriteFileAtomically(FileSystem::Posix(), folder / "a.yaml", kMinimal).ok());
  const std::vector<std::string> overrides = {"run.output_dir=/data"};
  const auto config = LoadRunConfig(folder / "a.yaml", overrides);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(RunFolder(*config), "/data/demo");
  const auto missing = LoadRunConfig(folder / "b.yaml", {});
  EXPECT_TRUE(absl::IsNotFound(missing.status()));
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("b.yaml"));
  EXPECT_FALSE(LoadRunConfig(folder.path(), {}).ok());
  ASSERT_TRUE(
      WriteFileAtomically(FileSystem::Posix(), folder / "big.yaml", std::string(2 << 20, ' '))
          .ok());
  EXPECT_THAT(std::string(LoadRunConfig(folder / "big.yaml", {}).status().message()),
              HasSubstr("over 1 MiB"));
}

TEST(ConfigLoaderTest, AnotherFilesSettingsAreLaidOverTheFirst) {
  TempFolder folder;
  const auto write = [&](const std::string& yaml) {
    EXPECT_TRUE(WriteFileAtomically(FileSystem::Posix(), folder / "more.yaml", yaml).ok());
    return "@" + (folder / "more.yaml");
  };
  const std::string base =
      "run: {name: a}\npolicy: {path: p}\n"
      "trainer: {steps: 7, loss: {clip_low: 0.1, dual_clip: 5}, advantage: {scale: none}}\n";
  const std::string more = write(
      "trainer:\n  algorithm: rloo\n  advantage: null\n  loss: {clip_low: 0.3, dual_clip: ~}\n"
      "data: {demonstrations: [x.jsonl]}\npolicy:\nrun: {name: }\n");
  RunConfig config = Parse(base, {"trainer.steps=8", more, "trainer.loss.clip_low=0.4"});
  EXPECT_EQ(config.trainer().steps(), 8);
  EXPECT_EQ(config.policy().path(), "p");  // a key without a value says nothing
  EXPECT_EQ(config.run().name(), "a");
  EXPECT_EQ(config.trainer().algorithm(), TrainerConfig::ALGORITHM_RLOO);
  EXPECT_FALSE(config.trainer().has_advantage());
  EXPECT_EQ(config.trainer().loss().clip_low(), 0.4);
  EXPECT_FALSE(config.trainer().loss().has_dual_clip());
  EXPECT_THAT(config.data().demonstrations(), ElementsAre("x.jsonl"));
  config = Parse(base, {"trainer.loss.clip_low=0.4", more});  // the later one wins
  EXPECT_EQ(config.trainer().loss().clip_low(), 0.3);
  EXPECT_FALSE(
      Parse(base, {write("\xef\xbb\xbftrainer: {advantage: Null}")}).trainer().has_advantage());
  EXPECT_EQ(Parse(base, {write("# nothing\n")}).trainer().steps(), 7);

  EXPECT_THAT(ErrorOf(base, {write("trainer: {stepz: 3}")}),
              AllOf(HasSubstr("more.yaml:1:11"), HasSubstr("steps")));
  EXPECT_THAT(ErrorOf(base, {write("trainer: {losss: null}")}),
              AllOf(HasSubstr("more.yaml:1:11"), HasSubstr("losss"), HasSubstr("loss?")));
  EXPECT_THAT(ErrorOf(base, {write("trainer: {steps: x}")}), HasSubstr("more.yaml:1:18"));
  EXPECT_THAT(ErrorOf(base, {write("trainer: [1]")}), HasSubstr("more.yaml:1:10"));
  EXPECT_THAT(ErrorOf(base, {write("[trainer]")}), HasSubstr("no section"));
  EXPECT_THAT(ErrorOf(base, {write("trainer: {")}), HasSubstr("more.yaml"));
  EXPECT_THAT(ErrorOf(base, {"@" + (folder / "none.yaml")}),
              AllOf(HasSubstr("none.yaml"), HasSubstr("--set @FILE")));
  EXPECT_FALSE(ErrorOf(base, {"@" + folder.path()}).empty());
  EXPECT_FALSE(ErrorOf(base, {"@"}).empty());
}

// A section of nulls, laid over a config without it, is none.
TEST(ConfigLoaderTest, TakingKeysBackWhereThereAreNoneSaysNothing) {
  TempFolder folder;
  const std::string path = folder / "more.yaml";
  const auto laid_over = [&](const std::string& yaml, const std::string& base) {
    EXPECT_TRUE(WriteFileAtomically(FileSystem::Posix(), path, yaml).ok());
    return Parse(base, {"@" + path});
  };
  const std::string nulls = "trainer: {routing: {trial_share: null}, loss: {clip_low: null}}";
  RunConfig config = laid_over(nulls, "trainer: {steps: 7}");
  EXPECT_FALSE(config.trainer().has_routing());
  EXPECT_EQ(config.trainer().steps(), 7);
  config =
      laid_over(nulls, "trainer:\n  loss:\n  steps: 7\n");  // a section without keys stands there
  EXPECT_EQ(config.trainer().steps(), 7);
  EXPECT_FALSE(config.trainer().has_loss());
  EXPECT_TRUE(laid_over("trainer: {}", "run: {name: a}").has_trainer());  // this says something
}

TEST(ConfigLoaderTest, EveryEstimatorCanBeLaidOverEveryConfigAndOverEveryOther) {
  ASSERT_EQ(setenv("ROUTEWRIGHT_POOL_URL", "http://127.0.0.1:1", 1), 0);
  std::vector<std::string> estimators;
  for (const auto& file : std::filesystem::directory_iterator("configs/estimators")) {
    if (file.path().extension() == ".yaml") estimators.push_back("@" + file.path().string());
  }
  const auto fault = [](const std::string& path, const std::vector<std::string>& overrides) {
    const auto config = LoadRunConfig(path, overrides);
    return std::string((config.ok() ? ValidateRunConfig(*config) : config.status()).message());
  };
  for (const std::string& one : estimators) {
    for (const auto& file : std::filesystem::directory_iterator("configs")) {
      if (file.path().extension() != ".yaml" || file.path().stem() == "kustomization") continue;
      if (file.path().stem() == "quickstart_warm_start") continue;  // imitates
      EXPECT_EQ(fault(file.path(), {"trainer.steps=100", one}), "") << file.path() << one;
    }
    for (const std::string& other : estimators) {
      const std::vector<std::string> both = {one, other}, alone = {other};
      EXPECT_EQ(fault("configs/quickstart.yaml", both), "") << one << other;
      const auto after = LoadRunConfig("configs/quickstart.yaml", both);
      const auto without = LoadRunConfig("configs/quickstart.yaml", alone);
      // One leaves the other nothing, but for GSPO, which has to take a weight of the config's away.
      if (one.ends_with("/gspo.yaml")) continue;
      EXPECT_TRUE(ConfigToYaml(*after) == ConfigToYaml(*without)) << one << other;
    }
  }
}

TEST(ConfigLoaderTest, EveryAlgorithmHasAnEstimator) {
  ASSERT_EQ(setenv("ROUTEWRIGHT_POOL_URL", "http://127.0.0.1:1", 1), 0);
  std::set<TrainerConfig::Algorithm> algorithms;
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator("configs/estimators")) {
    if (file.path().extension() != ".yaml") continue;
    SCOPED_TRACE(file.path());
    const std::string overrides[] = {"@" + file.path().string()};
    const auto config = LoadRunConfig("configs/quickstart.yaml", overrides);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_TRUE(ValidateRunConfig(*config).ok()) << ValidateRunConfig(*config);
    algorithms.insert(config->trainer().algorithm());
    ++count;
  }
  EXPECT_GE(count, 9);
  // Each algorithm that learns from episodes has one.
  for (int i = 1; i <= TrainerConfig::Algorithm_MAX; ++i) {
    const auto algorithm = static_cast<TrainerConfig::Algorithm>(i);
    if (!TrainerConfig::Algorithm_IsValid(i)) continue;
    EXPECT_EQ(algorithms.contains(algorithm), !FactsOf(algorithm).learns_from_demonstrations())
        << TrainerConfig::Algorithm_Name(algorithm);
  }
}

TEST(ConfigLoaderTest, ATildeIsTheHomeFolderInPathsAlone) {
  ASSERT_EQ(setenv("HOME", "/home/ada", 1), 0);
  RunConfig config;
  ASSERT_TRUE(
      ParseConfigYaml("run: {name: ~/x, output_dir: ~/runs}\npolicy: {path: ~/models/p}\n"
                      "data: {train: [{path: ~/q.jsonl}], demonstrations: [~/d.jsonl, a~b]}\n",
                      "run.yaml", {}, config)
          .ok());
  EXPECT_EQ(config.policy().path(), "/home/ada/models/p");
  EXPECT_EQ(config.run().output_dir(), "/home/ada/runs");
  EXPECT_EQ(config.run().name(), "~/x");
  EXPECT_EQ(config.data().train(0).path(), "/home/ada/q.jsonl");
  EXPECT_EQ(config.data().demonstrations(0), "/home/ada/d.jsonl");
  EXPECT_EQ(config.data().demonstrations(1), "a~b");
}

}  // namespace
}  // namespace routewright
