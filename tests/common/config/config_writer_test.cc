// The resolved configuration: every field is written, and what is written loads again to the same.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "common/config/config_loader.h"
#include "common/config/schema.h"
#include "common/config/yaml_writer.h"
#include "common/random.h"

namespace routewright {
namespace {

namespace pb = google::protobuf;
using ::testing::HasSubstr;
using ::testing::Not;

RunConfig Load(const std::string& yaml) {
  RunConfig config;
  const absl::Status status = ParseConfigYaml(yaml, "resolved.yaml", {}, config);
  EXPECT_TRUE(status.ok()) << status << "\n" << yaml;
  return config;
}

// Loads a configuration, writes it, loads that: same values, same text, and valid if it was.
RunConfig RoundTrip(const RunConfig& config) {
  const std::string yaml = ConfigToYaml(config);
  const RunConfig again = Load(yaml);
  EXPECT_EQ(ConfigToYaml(again), yaml);
  pb::util::MessageDifferencer same;
  same.set_message_field_comparison(pb::util::MessageDifferencer::EQUIVALENT);
  std::string difference;
  same.ReportDifferencesToString(&difference);
  EXPECT_TRUE(same.Compare(config, again)) << difference;
  EXPECT_EQ(ValidateRunConfig(config), ValidateRunConfig(again));
  return again;
}

constexpr char kTraining[] = R"(
run: {name: demo, seed: 3}
policy: {path: p}
prompt: {template_path: t, model_line: "- {name}: # \"x\"\n"}
data: {train: [{path: a}], held_out: [{path: b, max_questions: 5}]}
pool: {models: [{name: m, base_url: "http://h/v1", aliases: ["true", "x y", "null"]}, {name: n, base_url: "http://h/v1", cached_input_price: 0}]}
pool_emulator: {facts_path: f, models: [{name: a, skill: {default: 0.1, "two hop": 1, "null": 0.3333333333333333}}]}
trainer: {evaluate_every: 2}
)";

TEST(ConfigWriterTest, ATrainingRunLoadsAgainToTheSame) {
  const RunConfig config = Load(kTraining);
  ASSERT_EQ(ValidateRunConfig(config), absl::OkStatus());
  const RunConfig again = RoundTrip(config);
  EXPECT_TRUE(again.trainer().loss().has_clip_low());  // defaults are written out
  EXPECT_FALSE(again.trainer().has_critic());          // what the set-up ignores stays unset
  EXPECT_FALSE(again.pool()
                   .models(0)
                   .has_cached_input_price());  // so does what means something else when unset
  EXPECT_TRUE(again.pool().models(1).has_cached_input_price());
}

TEST(ConfigWriterTest, AnEmptyConfigurationLoadsAgainToTheSame) {
  const RunConfig again = RoundTrip(RunConfig());
  EXPECT_FALSE(again.has_run());
  EXPECT_FALSE(again.has_trainer());
}

TEST(ConfigWriterTest, NumbersCarryUnitAndRange) {
  const std::string yaml = ConfigToYaml(Load(kTraining));
  EXPECT_THAT(yaml, HasSubstr("\n    clip_low: 0.2  # ratio, in (0, 1)\n"));
  EXPECT_THAT(yaml, HasSubstr("\n    learning_rate: 1.0e-06  # 1, in [0, inf)\n"));
  EXPECT_THAT(yaml, HasSubstr("\n  algorithm: grpo\n"));
  EXPECT_THAT(yaml,
              HasSubstr("\n  # critic: not used: algorithm: grpo has no critic (with one: ppo)\n"));
  EXPECT_THAT(yaml, HasSubstr("\n    - name: m\n"));
  EXPECT_THAT(yaml, HasSubstr("# api_key_env: not set\n"));
}

TEST(ConfigWriterTest, EveryFieldOfTheSchemaIsNamed) {
  const std::string yaml = ConfigToYaml(Load(kTraining));
  for (const pb::Descriptor* section :
       {PolicyConfig::descriptor(), EpisodeConfig::descriptor(), PoolModelConfig::descriptor(),
        TrainerConfig::descriptor(), LossConfig::descriptor(), WorkerConfig::descriptor()}) {
    for (const std::string& name : FieldNames(*section)) EXPECT_THAT(yaml, HasSubstr(name + ":"));
  }
}

TEST(ConfigWriterTest, AnyTextSurvives) {
  const std::vector<std::string> awkward = {
      "",   " ",     "~",    "null", "Yes",  "1.5",  "- a",    "a: b",   "#x",     "'",
      "\"", "a\\nb", "a\nb", "\t",   "\r\n", "é漢😀", "\u0085", "\u2028", "\ufeff", "{x}",
      "[",  "&a",    "*a",   "!x",   "%",    "@",    "`",      ">",      "|",      "\x01\x7f"};
  RunConfig config;
  config.mutable_run()->set_name("x");
  for (const std::string& text : awkward) config.mutable_data()->add_demonstrations(text);
  const std::vector<std::string> alphabet = {"a", " ", "\n", "\"", "\\", ":", "#",
                                             "-", "é", "\t", "'",  "{",  "0"};
  for (uint64_t i = 0; i < 200; ++i) {
    std::string text;
    for (uint64_t j = 0; j < i % 12; ++j) text += alphabet[RandomBits(i, j) % alphabet.size()];
    config.mutable_data()->add_demonstrations(text);
  }
  EXPECT_TRUE(pb::util::MessageDifferencer::Equivalent(RoundTrip(config).data(), config.data()));
}

TEST(ConfigWriterTest, AnyNumberSurvivesBitwise) {
  RunConfig config;
  auto* emulator = config.mutable_pool_emulator();
  emulator->set_facts_path("f");
  emulator->add_models()->set_name("m");
  auto& skill = *emulator->mutable_models(0)->mutable_skill();
  for (uint64_t i = 0; i < 500; ++i)
    skill[std::to_string(i)] = RandomUniform(1, i) * std::pow(10, -double(i % 300));
  const RunConfig again = RoundTrip(config);
  for (const auto& [name, value] : skill)
    EXPECT_EQ(again.pool_emulator().models(0).skill().at(name), value);
}

TEST(ConfigWriterTest, NumbersHaveAPoint) {
  EXPECT_EQ(NumberToYaml(2), "2.0");
  EXPECT_EQ(NumberToYaml(1e-6), "1.0e-06");
  EXPECT_EQ(NumberToYaml(0.1), "0.1");
}

// config.proto itself: every range parses, every default lies within, every number says its unit.
void CheckSchema(const pb::Descriptor& message, std::set<const pb::Descriptor*>& seen) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const pb::FieldDescriptor& field = *message.field(i);
    const auto range = RangeOf(field);
    if (range.has_value() && field.has_default_value()) {
      const bool is_int = field.cpp_type() == pb::FieldDescriptor::CPPTYPE_INT32;
      const double value = is_int ? field.default_value_int32()
                           : field.cpp_type() == pb::FieldDescriptor::CPPTYPE_INT64
                               ? field.default_value_int64()
                               : field.default_value_double();
      EXPECT_TRUE(range->Contains(value)) << field.full_name();
    }
    EXPECT_TRUE(!range.has_value() || !UnitOf(field).empty()) << field.full_name();
    EXPECT_TRUE(field.enum_type() == nullptr || !EnumValueNames(*field.enum_type()).empty());
    if (field.message_type() != nullptr) CheckSchema(*field.message_type(), seen);
  }
}

TEST(ConfigSchemaTest, EveryRangeParsesAndHoldsItsDefault) {
  std::set<const pb::Descriptor*> seen;
  CheckSchema(*RunConfig::descriptor(), seen);
  EXPECT_GT(seen.size(), 15u);
}

TEST(ConfigSchemaTest, RangesHaveOpenAndClosedEnds) {
  const Range range = *ParseRange("[0, 1)");
  EXPECT_TRUE(range.Contains(0));
  EXPECT_TRUE(range.Contains(0.5));
  EXPECT_FALSE(range.Contains(1));
  EXPECT_FALSE(ParseRange("(0, inf)")->Contains(0));
  EXPECT_TRUE(ParseRange("(-inf, 1e3]")->Contains(1000));
  for (const char* bad : {"", "0, 1", "[0]", "[a, 1]", "[2, 1]", "[0, 1, 2]"})
    EXPECT_FALSE(ParseRange(bad)) << bad;
}

}  // namespace
}  // namespace routewright
