#include "trainer/record/event_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/escaping.h"

namespace routewright {
namespace {

using testing::ElementsAre;

// The bytes that tensorboard.summary.writer.record_writer (2.21) writes for the same events.
TEST(EventRecordTest, EqualsTensorBoardsOwnRecords) {
  tensorboard::Event event;
  EXPECT_EQ(absl::BytesToHexString(EventToRecord(event)), "000000000000000029039807d8ea82a2");
  event.set_wall_time(1.5);
  event.set_file_version("brain.Event:2");
  EXPECT_EQ(absl::BytesToHexString(EventToRecord(event)),
            "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c");
}

TEST(EventRecordTest, AScalarEqualsTensorBoardsOwn) {
  tensorboard::Event event;
  event.set_wall_time(2.0);
  event.set_step(12);
  SetScalar("episode/em", 0.5, event.mutable_summary()->add_value());
  EXPECT_EQ(absl::BytesToHexString(EventToRecord(event)),
            "36000000000000004f578cef090000000000000040100c2a290a270a0a657069736f64652f656d420a0801"
            "12002a040000003f4a0d0a090a077363616c617273200139514438");
}

std::vector<double> Histogram(const std::vector<double>& samples) {
  tensorboard::Summary::Value value;
  SetHistogram("h", samples, &value);
  const tensorboard::Tensor& tensor = value.tensor();
  EXPECT_EQ(tensor.tensor_shape().dim(0).size() * 3, tensor.double_val_size());
  EXPECT_EQ(tensor.tensor_shape().dim(1).size(), 3);
  return {tensor.double_val().begin(), tensor.double_val().end()};
}

TEST(EventRecordTest, AHistogramCountsEverySampleInItsBucket) {
  const std::vector<double> rows = Histogram({0.0, 30.0, 14.5, 14.6, 29.9});
  ASSERT_EQ(rows.size(), 90u);
  EXPECT_THAT(std::vector(rows.begin(), rows.begin() + 3), ElementsAre(0, 1, 1));
  EXPECT_THAT(std::vector(rows.begin() + 42, rows.begin() + 45), ElementsAre(14, 15, 2));
  EXPECT_THAT(std::vector(rows.end() - 3, rows.end()), ElementsAre(29, 30, 2));
}

TEST(EventRecordTest, AHistogramOfEqualSamplesHasOneBucketAndOfNoneHasNone) {
  EXPECT_THAT(Histogram({-1.0, -1.0}), ElementsAre(-1.5, -0.5, 2));
  EXPECT_THAT(Histogram({}), ElementsAre());
}

TEST(EventRecordTest, TextIsAMarkdownCodeBlock) {
  tensorboard::Summary::Value value;
  SetText("t", "# round 1\n\n<b>x</b>", &value);
  EXPECT_EQ(value.tensor().string_val(0), "    # round 1\n    \n    <b>x</b>");
  EXPECT_EQ(value.metadata().plugin_data().plugin_name(), "text");
}

}  // namespace
}  // namespace routewright
