// `routewright convert`: policy formats in, a Hugging Face folder out.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "policy/formats/gguf.h"
#include "policy/formats/gguf_companions.h"
#include "policy/formats/gguf_policy.h"
#include "policy/formats/policy_folder.h"
#include "policy/formats/random_policy.h"
#include "trainer/checkpoint/checkpoint_reader.h"

namespace routewright {
namespace {

constexpr char kFooter[] =
    R"(The source is recognised by what it holds; its tokenizer, chat template and end tokens come along. The output folder must not exist; it appears whole or not at all.

examples:
  routewright convert --from SmolLM2-135M-Instruct.Q4_1.gguf --to policies/smollm2 --format bf16
  routewright convert --from runs/demo/checkpoints/step-000100 --to policies/demo
  routewright convert --random config.json --tokenizer policies/smollm2 --seed 1 --to policies/new)";

struct ConvertFlags {
  std::string from;
  std::string random_config;
  std::string tokenizer;
  std::string to;
  std::string format = "f32";
  uint64_t seed = 0;
};

// What is written out, wherever it came from.
struct Policy {
  ModelConfig config;
  TensorSource tensors;
  std::string tokenizer_folder;
  std::map<std::string, std::string> texts;
};

// The tokenizer comes out of the file too, unless --tokenizer names another.
absl::StatusOr<Policy> FromGguf(const ConvertFlags& flags) {
  RW_ASSIGN_OR_RETURN(const std::shared_ptr<const GgufFile> file, GgufFile::Open(flags.from));
  Policy policy;
  RW_ASSIGN_OR_RETURN(policy.config, ModelConfigFromGguf(*file));
  if (flags.tokenizer.empty()) {
    auto companions = CompanionsFromGguf(*file, policy.config);
    if (!companions.ok()) {
      return absl::Status(companions.status().code(),
                          absl::StrCat(companions.status().message(),
                                       "; name a folder with its tokenizer.json with --tokenizer"));
    }
    policy.texts = *std::move(companions);
  }
  RW_ASSIGN_OR_RETURN(policy.tensors, TensorsOfGguf(file, policy.config));
  return policy;
}

absl::StatusOr<Policy> FromFolder(const std::string& folder) {
  Policy policy;
  policy.tokenizer_folder = folder;
  RW_ASSIGN_OR_RETURN(policy.config, LoadModelConfig(folder));
  RW_ASSIGN_OR_RETURN(policy.tensors, OpenPolicyTensors(folder, policy.config));
  return policy;
}

absl::StatusOr<Policy> FromCheckpoint(const std::string& folder) {
  RW_ASSIGN_OR_RETURN(std::shared_ptr<const CheckpointReader> checkpoint,
                      CheckpointReader::OpenWhole(FileSystem::Posix(), folder));
  if (!checkpoint->Has("policy")) {
    return absl::DataLossError(absl::StrCat(folder, ": this checkpoint holds no policy"));
  }
  const TensorSource weights = checkpoint->Weights("policy");
  return Policy{checkpoint->config(),
                [checkpoint, weights](const TensorSlot& slot) { return weights(slot); },
                folder + "/policy",
                {}};
}

absl::StatusOr<Policy> FromNothing(const ConvertFlags& flags) {
  Policy policy;
  policy.tokenizer_folder = flags.tokenizer;
  RW_ASSIGN_OR_RETURN(const std::string text, FileSystem::Posix().Read(flags.random_config));
  RW_ASSIGN_OR_RETURN(policy.config, ParseModelConfig(text, flags.random_config));
  policy.tensors = RandomTensors(policy.config, flags.seed,
                                 static_cast<int>(std::thread::hardware_concurrency()));
  return policy;
}

absl::StatusOr<Policy> ReadSource(const ConvertFlags& flags) {
  if (!flags.random_config.empty()) return FromNothing(flags);
  std::error_code error;
  if (!std::filesystem::is_directory(flags.from, error)) return FromGguf(flags);
  if (std::filesystem::exists(flags.from + "/manifest.json", error))
    return FromCheckpoint(flags.from);
  if (std::filesystem::exists(flags.from + "/checkpoints", error)) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.from, " is a run's folder: name one of its checkpoints, ", flags.from,
                     "/checkpoints/step-…"));
  }
  return FromFolder(flags.from);
}

absl::Status Convert(const ConvertFlags& flags) {
  std::error_code error;
  if (std::filesystem::exists(flags.to, error)) {  // before the long reading
    return absl::AlreadyExistsError(
        absl::StrCat(flags.to, " is there already; name a folder that is not, or remove it"));
  }
  RW_ASSIGN_OR_RETURN(const Policy policy, ReadSource(flags));
  const std::string& tokenizer =
      flags.tokenizer.empty() ? policy.tokenizer_folder : flags.tokenizer;
  if (!tokenizer.empty() && !std::filesystem::exists(tokenizer + "/tokenizer.json", error)) {
    return absl::NotFoundError(absl::StrCat(
        tokenizer, "/tokenizer.json is missing; name a folder that has one with --tokenizer"));
  }
  const WeightFormat format = flags.format == "bf16" ? WeightFormat::kBf16 : WeightFormat::kF32;
  RW_RETURN_IF_ERROR(
      SavePolicyFolder(flags.to, policy.config, policy.tensors, format, tokenizer, policy.texts));
  const ParameterLayout layout(policy.config, HeadKind::kLanguageModel);
  std::printf("wrote %s: %s, %lld layers, %.1f M parameters, %s\n", flags.to.c_str(),
              ArchitectureName(policy.config.architecture),
              static_cast<long long>(policy.config.num_layers), layout.num_parameters() / 1e6,
              flags.format.c_str());
  if (!std::filesystem::exists(flags.to + "/tokenizer.json", error)) {
    std::printf("it has no tokenizer.json: episodes need one (--tokenizer FOLDER)\n");
  }
  return absl::OkStatus();
}

}  // namespace

int RunConvert(int argc, char** argv) {
  CLI::App app("Converts a policy to a Hugging Face folder.", "routewright convert");
  app.footer(kFooter);
  ConvertFlags flags;
  auto* source = app.add_option_group("source", "what to convert, one of");
  source->add_option("--from", flags.from,
                     "a GGUF file (F32, F16, BF16, Q8_0, Q4_1), a policy folder or a checkpoint");
  auto* random = source->add_option("--random", flags.random_config,
                                    "a config.json: random weights of this shape");
  source->require_option(1);
  app.add_option("--tokenizer", flags.tokenizer, "take the tokenizer's files from this folder");
  app.add_option("--to", flags.to, "the policy folder to write")->required();
  app.add_option("--format", flags.format, "f32 or bf16")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  app.add_option("--seed", flags.seed, "of the random weights")
      ->needs(random)
      ->capture_default_str();
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const absl::Status status = Convert(flags);
  return status.ok() ? kExitOk : PrintFailure("convert", status);
}

}  // namespace routewright
