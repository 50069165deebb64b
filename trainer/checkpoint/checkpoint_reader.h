// An open checkpoint, written by any number of ranks at any stage of sharding, from which any other
// number of ranks reads the ranges that it needs. Nothing is used before it was checked:
//
//   Open (manifest) ──▶ Verify, each rank a part of the files ──▶ OpenTensors ──▶ Read …
//
// Immutable after OpenTensors; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/file_system.h"
#include "policy/formats/tensor_pieces.h"
#include "policy/formats/tensor_source.h"
#include "policy/model/model_config.h"
#include "proto/checkpoint.pb.h"
#include "trainer/checkpoint/state_share.h"

namespace routewright {

class CheckpointReader {
 public:
  // Reads the manifest. Fails: kNotFound; kDataLoss naming a damaged or missing manifest;
  // kFailedPrecondition if it has another format.
  static absl::StatusOr<std::unique_ptr<CheckpointReader>> Open(FileSystem& files,
                                                                const std::string& folder);
  // Open, Verify and OpenTensors of everything by one process.
  static absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenWhole(FileSystem& files,
                                                                     const std::string& folder,
                                                                     int num_threads = 1);

  const std::string& folder() const { return folder_; }
  const CheckpointManifest& manifest() const { return manifest_; }

  // Compares with the manifest, byte for byte, the files that `reader` of `num_readers`
  // answers for: as many readers as there were writers check what they wrote. Tensors are
  // shared out among `num_threads` threads. Fails: kDataLoss naming the file and, where it is
  // one tensor's fault, the tensor.
  absl::Status Verify(int reader, int num_readers, int num_threads = 1) const;
  // One file, as Verify does.
  static absl::Status VerifyFile(const std::string& folder, const CheckpointFile& expected);

  // Maps the tensor files. Fails: kDataLoss naming file and tensor if a model is
  // not there once and whole.
  absl::Status OpenTensors();
  const ModelConfig& config() const { return config_; }
  bool Has(const std::string& model) const { return models_.count(model) > 0; }
  int64_t OptimizerSteps(const std::string& model) const;

  // Elements [begin, begin + out.size()) of a block of a model's layout; moments of one that learns.
  absl::Status Read(const std::string& model, StateKind kind, int block, int64_t begin,
                    std::span<float> out) const;
  // A model's weights as named tensors; valid while the reader is.
  TensorSource Weights(const std::string& model) const;

 private:
  struct Model {
    ParameterLayout layout;
    TensorPieces weights;
    TensorPieces moments;
  };

  CheckpointReader(std::string folder, CheckpointManifest manifest)
      : folder_(std::move(folder)), manifest_(std::move(manifest)) {}

  const std::string folder_;
  const CheckpointManifest manifest_;
  ModelConfig config_;
  std::map<std::string, Model> models_;
};

}  // namespace routewright
