// `routewright tokenize`: token ids of text, and back, line by line.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/status_macros.h"
#include "common/text.h"
#include "launch/cli/command.h"
#include "launch/cli/config_flags.h"
#include "policy/tokenizer/tokenizer.h"

namespace routewright {
namespace {

using nlohmann::json;

constexpr char kExample[] =
    "Reads one JSON string per line and writes {\"ids\":[...]} for each; special tokens in the "
    "text\n"
    "are recognised, none is added. With --decode it reads {\"ids\":[...]} and writes JSON "
    "strings;\n"
    "bytes that are not UTF-8 show as U+FFFD.\n"
    "\n"
    "example:\n"
    "  echo '\"Hello, world\"' | routewright tokenize --policy data/quickstart/policy\n"
    "  echo '{\"ids\":[1,2,3]}' | routewright tokenize --policy data/quickstart/policy --decode";

absl::Status BadLine(const std::string& what) { return absl::DataLossError(what); }

absl::StatusOr<std::string> EncodeLine(const Tokenizer& tokenizer, const json& line) {
  if (!line.is_string()) return BadLine("expected one JSON string, such as \"Hello\"");
  const std::vector<uint32_t> ids = tokenizer.Encode(line.get_ref<const std::string&>());
  return absl::StrCat("{\"ids\":[", absl::StrJoin(ids, ","), "]}");
}

// A JSON string on one line for every reader: the line separators beyond ASCII are escaped, too.
std::string OneLine(const std::string& text) {
  return absl::StrReplaceAll(
      json(ReplaceInvalidUtf8(text)).dump(),
      {{"\xc2\x85", "\\u0085"}, {"\xe2\x80\xa8", "\\u2028"}, {"\xe2\x80\xa9", "\\u2029"}});
}

absl::StatusOr<std::string> DecodeLine(const Tokenizer& tokenizer, const json& line) {
  const auto list = line.is_object() ? line.find("ids") : line.end();
  if (!line.is_object() || list == line.end() || !list->is_array()) {
    return BadLine("expected an object with token ids, such as {\"ids\":[1,2,3]}");
  }
  std::vector<uint32_t> ids;
  for (const json& id : *list) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= tokenizer.vocabulary_size()) {
      return BadLine(
          absl::StrCat(id.dump(), " is no token id: ids are below ", tokenizer.vocabulary_size()));
    }
    ids.push_back(id.get<uint32_t>());
  }
  return OneLine(tokenizer.Decode(ids));
}

absl::Status RunLines(const Tokenizer& tokenizer, bool decodes) {
  std::string text;
  for (int64_t number = 1; std::getline(std::cin, text); ++number) {
    const json line =
        json::parse(ReplaceInvalidUtf8(text), /*cb=*/nullptr, /*allow_exceptions=*/false);
    absl::StatusOr<std::string> out =
        decodes ? DecodeLine(tokenizer, line) : EncodeLine(tokenizer, line);
    if (!out.ok()) {
      return absl::DataLossError(absl::StrCat("line ", number, ": ",
                                              line.is_discarded() ? "it is not JSON: " : "",
                                              out.status().message()));
    }
    out->push_back('\n');
    std::fwrite(out->data(), 1, out->size(), stdout);
    // A line at a time, for callers that wait for each answer.
    if (std::fflush(stdout) != 0) return absl::UnavailableError("cannot write to standard output");
  }
  return absl::OkStatus();
}

}  // namespace

int RunTokenize(int argc, char** argv) {
  CLI::App app("Token ids of text, and text of token ids.", "routewright tokenize");
  app.footer(kExample);
  std::string policy_folder;
  bool decodes = false;
  app.add_option("--policy", policy_folder, "the policy folder; only its tokenizer.json is read")
      ->required();
  app.add_flag("--decode", decodes, "from ids to text");
  if (const int code = ParseCommandLine(app, argc, argv); code >= 0) return code;
  const auto tokenizer = Tokenizer::Load(policy_folder);
  if (!tokenizer.ok()) return PrintFailure("tokenize", tokenizer.status());
  const absl::Status status = RunLines(**tokenizer, decodes);
  return status.ok() ? kExitOk : PrintFailure("tokenize", status);
}

}  // namespace routewright
