#include "policy/formats/tensor_pieces.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/absl_view.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

// The range that a piece's name ends in, and the name before it; nullopt: a whole tensor.
std::optional<std::pair<std::string, Range>> ParsePiece(const std::string& name) {
  const size_t open = name.rfind('['), colon = name.rfind(':');
  if (open == std::string::npos || colon == std::string::npos || colon < open ||
      name.back() != ']') {
    return std::nullopt;
  }
  Range range;
  const auto number = [&](size_t first, size_t last, int64_t* value) {
    return absl::SimpleAtoi(name.substr(first, last - first), value);
  };
  if (!number(open + 1, colon, &range.begin) || !number(colon + 1, name.size() - 1, &range.end)) {
    return std::nullopt;
  }
  return std::pair(name.substr(0, open), range);
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace

std::string PieceName(std::string_view tensor, int64_t begin, int64_t end) {
  return absl::StrCat(AbslView(tensor), "[", begin, ":", end, "]");
}

absl::StatusOr<TensorPieces> TensorPieces::Open(const std::vector<std::string>& paths) {
  TensorPieces result;
  for (const std::string& path : paths) {
    RW_ASSIGN_OR_RETURN(auto file, SafetensorsFile::Open(path));
    for (const SafetensorsTensor& tensor : file->tensors()) {
      RW_RETURN_IF_ERROR(result.Add(*file, tensor));
    }
    result.files_.push_back(std::move(file));
  }
  for (auto& [name, pieces] : result.pieces_) {
    std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
  }
  return result;
}

absl::Status TensorPieces::Add(const SafetensorsFile& file, const SafetensorsTensor& tensor) {
  Piece piece{.file = &file, .tensor = &tensor};
  const auto part = ParsePiece(tensor.name);
  if (!part.has_value()) {
    piece.end = tensor.num_elements;
    piece.is_whole = true;
    pieces_[tensor.name].push_back(piece);
    return absl::OkStatus();
  }
  piece.begin = part->second.begin;
  piece.end = part->second.end;
  if (piece.begin < 0 || piece.end - piece.begin != tensor.num_elements) {
    return absl::DataLossError(absl::StrCat(file.path(), ": tensor ", tensor.name, " has ",
                                            tensor.num_elements, " elements"));
  }
  pieces_[part->first].push_back(piece);
  return absl::OkStatus();
}

absl::Status TensorPieces::CheckSlot(const TensorSlot& slot, std::string_view prefix) const {
  const std::string name = absl::StrCat(AbslView(prefix), slot.name);
  const auto found = pieces_.find(name);
  if (found == pieces_.end()) {
    return absl::DataLossError(absl::StrCat(files_.empty() ? "no file" : files_.front()->path(),
                                            ": tensor ", name, " is missing"));
  }
  int64_t end = 0;
  for (const Piece& piece : found->second) {
    if (piece.is_whole && piece.tensor->shape != slot.shape) {
      return absl::DataLossError(absl::StrCat(piece.file->path(), ": tensor ", name,
                                              " has the shape ", ShapeText(piece.tensor->shape),
                                              ", config.json asks for ", ShapeText(slot.shape)));
    }
    if (piece.begin != end) {
      return absl::DataLossError(absl::StrCat(
          piece.file->path(), ": tensor ", name, ": elements from ", std::min(piece.begin, end),
          " on are there ", piece.begin < end ? "twice" : "in no file"));
    }
    end = piece.end;
  }
  if (end != slot.num_elements) {
    return absl::DataLossError(absl::StrCat(found->second.back().file->path(), ": tensor ", name,
                                            " has ", end, " elements, config.json asks for ",
                                            slot.num_elements));
  }
  return absl::OkStatus();
}

absl::Status TensorPieces::Check(const ParameterLayout& layout, std::string_view prefix) const {
  for (const BlockLayout& block : layout.blocks()) {
    for (const TensorSlot& slot : block.tensors) RW_RETURN_IF_ERROR(CheckSlot(slot, prefix));
  }
  return absl::OkStatus();
}

absl::Status TensorPieces::CheckNoneUnknown(const ParameterLayout& layout, bool is_tied) const {
  for (const auto& [name, pieces] : pieces_) {
    int block = 0;
    const bool is_harmless =
        absl::EndsWith(name, "rotary_emb.inv_freq") || (is_tied && name == "lm_head.weight");
    if (is_harmless || layout.Find(name, &block) != nullptr) continue;
    return absl::DataLossError(
        absl::StrCat(pieces.front().file->path(), ": tensor ", name,
                     " is not part of the model that config.json describes"));
  }
  return absl::OkStatus();
}

absl::Status TensorPieces::Read(const std::string& name, int64_t begin,
                                std::span<float> out) const {
  const int64_t end = begin + static_cast<int64_t>(out.size());
  for (const Piece& piece : pieces_.at(name)) {
    const int64_t first = std::max(begin, piece.begin), last = std::min(end, piece.end);
    if (first >= last) continue;
    RW_RETURN_IF_ERROR(piece.file->Read(*piece.tensor, first - piece.begin,
                                        out.subspan(first - begin, last - first)));
  }
  return absl::OkStatus();
}

absl::StatusOr<HostTensor> TensorPieces::ReadWhole(const TensorSlot& slot) const {
  HostTensor tensor{slot.shape, std::vector<float>(slot.num_elements)};
  RW_RETURN_IF_ERROR(Read(slot.name, /*begin=*/0, tensor.values));
  return tensor;
}

}  // namespace routewright
