#include "policy/formats/policy_folder.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/file_kind.h"
#include "common/file_system.h"
#include "common/status_macros.h"
#include "policy/formats/mapped_file.h"
#include "policy/formats/tensor_pieces.h"

namespace routewright {
namespace {

constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr size_t kMaxJsonBytes = size_t{16} << 20;

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// For a path that is no folder but could be a name on the Hugging Face hub.
std::string DownloadHint(const std::string& folder) {
  static const auto* pattern = new std::regex(R"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)");
  if (!std::regex_match(folder, *pattern)) return "";
  return absl::StrCat(
      ". Nothing is downloaded: if this is the name of a model on the hub, run `hf download ",
      folder, " --local-dir DIR` and set policy.path to DIR");
}

// What people have in place of a policy folder, by a file or folder that is in it.
std::string FolderHint(const std::string& folder) {
  static constexpr struct {
    const char* name;
    const char* hint;
  } kHints[] = {
      {"snapshots",
       "this is a model's folder in the hub's cache: name one of those in its snapshots/"},
      {"adapter_config.json",
       "this is an adapter (LoRA): merge it into its model (merge_and_unload of peft) and save "
       "that"},
      {"pytorch_model.bin",
       "pytorch_model.bin is a pickle, which is not read: save the model as safetensors"},
      {"consolidated.00.pth",
       "these are Meta's own files: take the model in Hugging Face's layout"},
  };
  for (const auto& [name, hint] : kHints) {
    if (Exists(absl::StrCat(folder, "/", name))) return absl::StrCat(". ", hint);
  }
  const auto files = FileSystem::Posix().List(folder);
  if (!files.ok()) return "";
  for (const std::string& file : *files) {
    if (!absl::EndsWith(file, ".gguf")) continue;
    return absl::StrCat(". For its GGUF file: `routewright convert --from ", folder, "/", file,
                        " --to DIR`");
  }
  return "";
}

absl::StatusOr<std::string> ReadJsonFile(const std::string& folder, const char* name) {
  const std::string path = absl::StrCat(folder, "/", name);
  if (!Exists(path)) {
    return absl::NotFoundError(absl::StrCat(
        Exists(folder) ? path : folder, " is missing; a policy folder holds config.json, ",
        "tokenizer.json and model.safetensors (or shards with ", kIndexFile, ")",
        Exists(folder) ? FolderHint(folder) : DownloadHint(folder)));
  }
  RW_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  if (file->bytes().size() > kMaxJsonBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": larger than ", kMaxJsonBytes, " bytes"));
  }
  if (const std::string_view kind = ForeignFileKind(file->bytes()); !kind.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " ", std::string(kind)));
  }
  return std::string(file->bytes());
}

// The largest id that a tokenizer gives; -1 if that is not known here: whoever loads it says why.
int64_t LargestTokenId(const nlohmann::json& json) {
  int64_t largest = -1;
  const auto take = [&largest](const nlohmann::json& id) {
    if (id.is_number_integer()) largest = std::max(largest, id.get<int64_t>());
  };
  if (json.contains("model") && json["model"].is_object() && json["model"].contains("vocab") &&
      json["model"]["vocab"].is_object()) {
    for (const auto& [text, id] : json["model"]["vocab"].items()) take(id);
  }
  if (json.contains("added_tokens") && json["added_tokens"].is_array()) {
    for (const auto& token : json["added_tokens"]) {
      if (token.is_object() && token.contains("id")) take(token["id"]);
    }
  }
  return largest;
}

// Refuses a tokenizer.json that is none, and tokens that were added while the embedding stayed as it
// was. A folder without one may be no policy's.
absl::Status CheckTokenizerFits(const std::string& folder, const ModelConfig& config) {
  const std::string path = absl::StrCat(folder, "/tokenizer.json");
  if (!Exists(path)) return absl::OkStatus();
  RW_ASSIGN_OR_RETURN(const auto file, MappedFile::Open(path));
  if (const std::string_view kind = ForeignFileKind(file->bytes()); !kind.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " ", std::string(kind)));
  }
  const auto json = nlohmann::json::parse(file->bytes(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError(path + " is no JSON object");
  const int64_t largest = LargestTokenId(json);
  if (largest < config.vocabulary_size) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      folder, ": tokenizer.json has token ids up to ", largest,
      ", but the model's vocabulary_size ", "(vocab_size of config.json) is ",
      config.vocabulary_size,
      ": resize the embedding (resize_token_embeddings of transformers) or take the tokenizer that "
      "the model was trained with"));
}

// Tensor name → file name, from the index of a sharded folder.
absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kIndexFile);
  RW_ASSIGN_OR_RETURN(const std::string text, ReadJsonFile(folder, kIndexFile));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object() ||
      json["weight_map"].empty()) {
    return absl::DataLossError(absl::StrCat(path, ": needs a 'weight_map' of tensors and files"));
  }
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    const std::string name = shard.is_string() ? shard.get<std::string>() : "";
    if (!absl::EndsWith(name, ".safetensors") || absl::StrContains(name, "/")) {
      return absl::DataLossError(absl::StrCat(path, ": tensor ", tensor,
                                              ": its file must be a *.safetensors of this folder"));
    }
    shard_of[tensor] = name;
  }
  return shard_of;
}

// NAME-00001-of-00004.safetensors: the number of files that there must be; 0 for other names.
int NumRankFiles(const std::string& name) {
  static const auto* pattern = new std::regex(R"(model-(\d{5})-of-(\d{5})\.safetensors)");
  std::smatch match;
  return std::regex_match(name, match, *pattern) ? std::stoi(match[2]) : 0;
}

// The weight files of a folder: one; the shards that the index names; or what the
// ranks of a training wrote.
absl::StatusOr<std::vector<std::string>> WeightPaths(const std::string& folder) {
  std::set<std::string> names;
  if (Exists(absl::StrCat(folder, "/", kWeightsFile))) {
    names.insert(kWeightsFile);
  } else if (Exists(absl::StrCat(folder, "/", kIndexFile))) {
    RW_ASSIGN_OR_RETURN(const auto shard_of, ReadIndex(folder));
    for (const auto& [tensor, shard] : shard_of) names.insert(shard);
  } else {
    RW_ASSIGN_OR_RETURN(const auto all, FileSystem::Posix().List(folder));
    for (const std::string& name : all) {
      const int count = NumRankFiles(name);
      for (int i = 1; i <= count; ++i) {
        names.insert(absl::StrFormat("model-%05d-of-%05d.safetensors", i, count));
      }
    }
  }
  if (names.empty()) names.insert(kWeightsFile);
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    paths.push_back(absl::StrCat(folder, "/", name));
    if (!Exists(paths.back())) {
      return absl::NotFoundError(
          absl::StrCat(paths.back(), " is missing; the policy's weights are read from ",
                       kWeightsFile, ", from shards that ", kIndexFile,
                       " names, or from a checkpoint's model-…-of-…", FolderHint(folder)));
    }
  }
  return paths;
}

absl::Status WriteFile(FileSystem& files, const std::string& path, std::string_view content) {
  RW_ASSIGN_OR_RETURN(const auto file, files.OpenForWrite(path));
  RW_RETURN_IF_ERROR(file->Append(content));
  RW_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::Status WriteWeights(FileSystem& files, const std::string& path, const TensorSource& tensors,
                          const ModelConfig& config, WeightFormat format) {
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  std::vector<const TensorSlot*> slots;
  std::vector<SafetensorsShape> shapes;
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) {
      slots.push_back(&slot);
      shapes.push_back({slot.name, slot.shape});
    }
  }
  HostTensor current;
  const auto values_of = [&](size_t i) -> absl::StatusOr<std::span<const float>> {
    current = {};  // before the next one is made
    RW_ASSIGN_OR_RETURN(current, tensors(*slots[i]));
    return current.values;
  };
  RW_ASSIGN_OR_RETURN(const auto file, files.OpenForBulkWrite(path));
  RW_RETURN_IF_ERROR(WriteSafetensors(*file, shapes, format, values_of));
  RW_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

absl::Status CopyTokenizerFiles(FileSystem& files, const std::string& from, const std::string& to) {
  for (const std::string& name : CompanionFiles()) {
    const std::string source = absl::StrCat(from, "/", name);
    if (!files.Exists(source)) continue;
    RW_ASSIGN_OR_RETURN(const std::string content, files.Read(source));
    RW_RETURN_IF_ERROR(WriteFile(files, absl::StrCat(to, "/", name), content));
  }
  return absl::OkStatus();
}

absl::Status FillFolder(FileSystem& files, const std::string& folder, const ModelConfig& config,
                        const TensorSource& tensors, WeightFormat format,
                        const std::string& tokenizer_folder,
                        const std::map<std::string, std::string>& texts) {
  RW_RETURN_IF_ERROR(files.CreateFolders(folder));
  if (!tokenizer_folder.empty()) {
    RW_RETURN_IF_ERROR(CopyTokenizerFiles(files, tokenizer_folder, folder));
  }
  for (const auto& [name, text] : texts) {
    RW_RETURN_IF_ERROR(WriteFile(files, absl::StrCat(folder, "/", name), text));
  }
  RW_RETURN_IF_ERROR(
      WriteWeights(files, absl::StrCat(folder, "/", kWeightsFile), tensors, config, format));
  const char* dtype = format == WeightFormat::kF32 ? "float32" : "bfloat16";
  RW_RETURN_IF_ERROR(
      WriteFile(files, absl::StrCat(folder, "/config.json"), ModelConfigToJson(config, dtype)));
  return files.SyncFolder(folder);
}

}  // namespace

std::vector<std::string> CompanionFiles() {
  return {"tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "added_tokens.json",
          "vocab.json",
          "merges.txt",
          "chat_template.jinja",
          "generation_config.json"};
}

absl::StatusOr<ModelConfig> LoadModelConfig(const std::string& folder) {
  RW_ASSIGN_OR_RETURN(const std::string text, ReadJsonFile(folder, "config.json"));
  RW_ASSIGN_OR_RETURN(ModelConfig config,
                      ParseModelConfig(text, absl::StrCat(folder, "/config.json")));
  constexpr const char* kGenerationConfig = "generation_config.json";
  const std::string path = absl::StrCat(folder, "/", kGenerationConfig);
  if (Exists(path)) {
    RW_ASSIGN_OR_RETURN(const std::string generation, ReadJsonFile(folder, kGenerationConfig));
    RW_RETURN_IF_ERROR(AddEndTokens(generation, path, &config));
  }
  RW_RETURN_IF_ERROR(CheckTokenizerFits(folder, config));
  return config;
}

absl::StatusOr<TensorSource> OpenPolicyTensors(const std::string& folder,
                                               const ModelConfig& config) {
  RW_ASSIGN_OR_RETURN(const std::vector<std::string> paths, WeightPaths(folder));
  RW_ASSIGN_OR_RETURN(TensorPieces opened, TensorPieces::Open(paths));
  const ParameterLayout layout(config, HeadKind::kLanguageModel);
  RW_RETURN_IF_ERROR(opened.Check(layout));
  RW_RETURN_IF_ERROR(opened.CheckNoneUnknown(layout, config.is_tied));
  const auto pieces = std::make_shared<const TensorPieces>(std::move(opened));
  return [pieces](const TensorSlot& slot) { return pieces->ReadWhole(slot); };
}

absl::StatusOr<std::shared_ptr<const PolicyWeights>> LoadPolicyWeights(const std::string& folder,
                                                                       const ModelConfig& config) {
  RW_ASSIGN_OR_RETURN(const TensorSource source, OpenPolicyTensors(folder, config));
  return ReadAllTensors(source, ParameterLayout(config, HeadKind::kLanguageModel));
}

absl::Status SavePolicyFolder(const std::string& folder, const ModelConfig& config,
                              const TensorSource& tensors, WeightFormat format,
                              const std::string& tokenizer_folder,
                              const std::map<std::string, std::string>& texts) {
  FileSystem& files = FileSystem::Posix();
  std::filesystem::path path = std::filesystem::path(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "out/"
  if (files.Exists(path)) {
    return absl::AlreadyExistsError(
        absl::StrCat(folder, " is there already; name a folder that is not, or remove it"));
  }
  const std::string aside = absl::StrCat(path.string(), ".partial-", getpid());
  const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
  RW_RETURN_IF_ERROR(files.CreateFolders(parent));
  absl::Status status = FillFolder(files, aside, config, tensors, format, tokenizer_folder, texts);
  if (status.ok()) status = files.Rename(aside, path);
  if (!status.ok()) {
    files.RemoveAll(aside).IgnoreError();  // the first failure is the one to report
    return status;
  }
  return files.SyncFolder(parent);
}

}  // namespace routewright
