#include "trainer/rollout_service/weight_publisher.h"

#include <gtest/gtest.h>

#include "common/crc32c.h"

namespace routewright {
namespace {

std::shared_ptr<const PolicyWeights> Weights(float base) {
  std::map<std::string, HostTensor> tensors;
  tensors["a"] = {{2, 3}, {base, base + 1, base + 2, base + 3, base + 4, base + 5}};
  tensors["b"] = {{1}, {base * 10}};
  tensors["c"] = {{5}, {1, 2, 3, 4, 5}};
  return std::make_shared<const PolicyWeights>(std::move(tensors));
}

// Chunks of any size, also ones that cross tensors, make up the stream that the manifest describes.
TEST(WeightPublisherTest, ChunksMakeUpTheTensorsOfTheManifest) {
  WeightPublisher publisher;
  publisher.Publish(3, Weights(0.5f));
  const WeightManifest manifest = publisher.Manifest(0).value();
  ASSERT_EQ(manifest.total_bytes(), 12u * 4);
  for (const uint64_t size : {1u, 5u, 24u, 25u, 1000u}) {
    std::string stream;
    while (true) {
      const WeightChunk chunk = publisher.ReadChunk(3, stream.size(), size).value();
      if (chunk.data().empty()) break;
      EXPECT_EQ(chunk.crc32c(), Crc32c(chunk.data()));
      stream += chunk.data();
    }
    ASSERT_EQ(stream.size(), manifest.total_bytes());
    for (const WeightTensor& t : manifest.tensors()) {
      EXPECT_EQ(Crc32c(std::string_view(stream).substr(t.offset(), t.num_bytes())), t.crc32c())
          << t.name();
    }
  }
}

TEST(WeightPublisherTest, KeepsTheNewestVersionUntilItIsRetired) {
  WeightPublisher publisher;
  EXPECT_EQ(publisher.newest_version(), 0);
  EXPECT_TRUE(absl::IsNotFound(publisher.Manifest(0).status()));
  for (int version : {1, 2}) publisher.Publish(version, Weights(version));
  EXPECT_EQ(publisher.newest_version(), 2);
  EXPECT_EQ(publisher.Manifest(0).value().policy_version(), 2);
  EXPECT_TRUE(absl::IsNotFound(publisher.Manifest(1).status()));
  EXPECT_TRUE(absl::IsNotFound(publisher.ReadChunk(1, 0, 10).status()));
  EXPECT_TRUE(absl::IsOutOfRange(publisher.ReadChunk(2, 1000, 10).status()));

  std::shared_ptr<const PolicyWeights> weights = Weights(3);
  const std::weak_ptr<const PolicyWeights> watched = weights;
  publisher.Publish(3, std::move(weights));
  EXPECT_FALSE(watched.expired());
  publisher.Retire();
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(publisher.newest_version(), 3);
  EXPECT_TRUE(absl::IsNotFound(publisher.Manifest(3).status()));
}

}  // namespace
}  // namespace routewright
