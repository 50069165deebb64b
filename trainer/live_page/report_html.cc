#include "trainer/live_page/report_html.h"

#include <nlohmann/json.hpp>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/absl_view.h"
#include "trainer/live_page/page_files.h"

namespace routewright {

std::string MakeReportHtml(std::string_view page, std::span<const std::string_view> scripts,
                           const nlohmann::ordered_json& data) {
  const std::string json =
      data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::random_device random;
  const std::string nonce = absl::StrFormat("%08x%08x%08x", random(), random(), random());
  std::vector<std::pair<std::string, std::string>> parts = {
      {"{{nonce}}", nonce},
      // "</script>" cannot end the data early.
      {"{{data}}", absl::StrReplaceAll(json, {{"<", "\\u003c"}})},
  };
  for (const char* name : {"page.css", "chart.min.js"}) {
    parts.emplace_back(absl::StrCat("{{", name, "}}"), EmbeddedFile(name));
  }
  for (const std::string_view name : scripts) {
    parts.emplace_back(absl::StrCat("{{", AbslView(name), "}}"), EmbeddedFile(name));
  }
  // In one pass, so that nothing that is filled in is taken for a marker.
  return absl::StrReplaceAll(AbslView(EmbeddedFile(page)), parts);
}

}  // namespace routewright
