#include "rollout_workers/worker/weight_assembly.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/rollout_workers/worker/learner_fake.h"

namespace routewright {
namespace {

using ::testing::HasSubstr;

class WeightAssemblyTest : public testing::Test {
 protected:
  WeightAssemblyTest()
      : weights_(RandomPolicyWeights(TinyLlamaConfig(), 1)),
        manifest_(FakeLearner::ManifestOf(5, *weights_)),
        bytes_(FakeLearner::BytesOf(*weights_)) {}

  WeightChunk Chunk(size_t offset, size_t num_bytes) const {
    WeightChunk chunk;
    chunk.set_policy_version(5);
    chunk.set_offset(offset);
    chunk.set_data(bytes_.substr(offset, num_bytes));
    chunk.set_crc32c(Crc32c(chunk.data()));
    return chunk;
  }
  WeightAssembly Begin() const { return *WeightAssembly::Begin(manifest_, layout_); }
  absl::Status BeginStatus(const WeightManifest& manifest) const {
    return WeightAssembly::Begin(manifest, layout_).status();
  }
  void ExpectRefused(const WeightChunk& chunk, const std::string& why) const {
    WeightAssembly assembly = Begin();
    ASSERT_TRUE(assembly.Add(Chunk(0, 100)).ok());
    const absl::Status status = assembly.Add(chunk);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(why));
    EXPECT_EQ(assembly.next_offset(), 100u);
  }

  const ParameterLayout layout_{TinyLlamaConfig(), HeadKind::kLanguageModel};
  const std::shared_ptr<const PolicyWeights> weights_;
  const WeightManifest manifest_;
  const std::string bytes_;
};

TEST_F(WeightAssemblyTest, ChunksOfAnySizeGiveTheWeights) {
  for (size_t size : {size_t{1}, size_t{997}, size_t{4096}, bytes_.size()}) {
    WeightAssembly assembly = Begin();
    for (size_t offset = 0; offset < bytes_.size(); offset += size) {
      EXPECT_FALSE(assembly.is_complete());
      ASSERT_TRUE(assembly.Add(Chunk(offset, size)).ok());
    }
    ASSERT_TRUE(assembly.is_complete());
    const auto got = assembly.Finish();
    ASSERT_TRUE(got.ok()) << got.status();
    for (const auto& [name, tensor] : weights_->tensors()) {
      ASSERT_NE((*got)->Find(name), nullptr);
      EXPECT_EQ((*got)->Find(name)->shape, tensor.shape);
      EXPECT_EQ((*got)->Find(name)->values, tensor.values);
    }
  }
}

TEST_F(WeightAssemblyTest, ABadChunkIsRefusedAndNotTaken) {
  WeightChunk flipped = Chunk(100, 50);
  (*flipped.mutable_data())[7] ^= 4;
  ExpectRefused(flipped, "checksum is wrong");
  WeightChunk other = Chunk(100, 50);
  other.set_policy_version(6);
  ExpectRefused(other, "of version 6");
  ExpectRefused(Chunk(200, 50), "expected offset 100");
  ExpectRefused(Chunk(0, 50), "expected offset 100");
  ExpectRefused(Chunk(100, 0), "empty");
  WeightChunk endless;
  endless.set_policy_version(5);
  endless.set_offset(100);
  endless.set_data(std::string(bytes_.size(), 'x'));
  ExpectRefused(endless, "passes the end");
}

TEST_F(WeightAssemblyTest, AnotherPolicyIsRefusedByTensor) {
  WeightManifest extra = manifest_;
  extra.add_tensors()->set_name("lm_head.weight");
  EXPECT_THAT(std::string(BeginStatus(extra).message()), HasSubstr("lm_head.weight"));
  WeightManifest missing = manifest_;
  missing.mutable_tensors()->RemoveLast();
  EXPECT_EQ(BeginStatus(missing).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(BeginStatus(missing).message()),
              HasSubstr("it has no tensor model.norm.weight"));
  WeightManifest reshaped = manifest_;
  reshaped.mutable_tensors(0)->set_shape(0, 98);
  EXPECT_THAT(std::string(BeginStatus(reshaped).message()),
              HasSubstr("has the shape [98, 24], here [97, 24]"));
}

TEST_F(WeightAssemblyTest, AManifestThatContradictsItselfIsRefused) {
  WeightManifest manifest = manifest_;
  manifest.set_total_bytes(manifest.total_bytes() + 4);
  EXPECT_EQ(BeginStatus(manifest).code(), absl::StatusCode::kDataLoss);
  manifest = manifest_;
  manifest.mutable_tensors(1)->set_offset(0);
  EXPECT_EQ(BeginStatus(manifest).code(), absl::StatusCode::kDataLoss);
  manifest = manifest_;
  manifest.mutable_tensors(0)->set_num_bytes(uint64_t{1} << 62);
  EXPECT_EQ(BeginStatus(manifest).code(), absl::StatusCode::kDataLoss);
}

TEST_F(WeightAssemblyTest, AWrongTensorChecksumIsFound) {
  WeightManifest manifest = manifest_;
  manifest.mutable_tensors(2)->set_crc32c(1);
  WeightAssembly assembly = *WeightAssembly::Begin(manifest, layout_);
  ASSERT_TRUE(assembly.Add(Chunk(0, bytes_.size())).ok());
  EXPECT_THAT(std::string(assembly.Finish().status().message()),
              HasSubstr(manifest.tensors(2).name()));
}

}  // namespace
}  // namespace routewright
