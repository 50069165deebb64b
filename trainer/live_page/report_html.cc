#include "trainer/live_page/report_html.h"

#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/absl_view.h"
#include "trainer/live_page/page_files.h"

namespace routewright {

std::string MakeReportHtml(std::string_view page, std::span<const std::string_view> scripts,
                           const nlohmann::ordered_json& data) {
  std::random_device random;
  const std::string nonce = absl::StrFormat("%08x%08x%08x", random(), random(), random());
  std::string all_scripts;
  const auto add_script = [&](std::string_view name) {
    absl::StrAppend(&all_scripts, "<script nonce=\"", nonce, "\">", AbslView(EmbeddedFile(name)),
                    "</script>\n");
  };
  add_script("chart.min.js");
  for (const std::string_view name : scripts) add_script(name);
  const std::string head = absl::StrReplaceAll(
      AbslView(EmbeddedFile("report_head.html")),
      {{"{{nonce}}", nonce}, {"{{page.css}}", AbslView(EmbeddedFile("page.css"))}});
  const std::string json =
      data.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  // In one pass, so that nothing that is filled in is taken for a marker.
  return absl::StrReplaceAll(AbslView(EmbeddedFile(page)),
                             {{"{{head}}", head},
                              {"{{nonce}}", nonce},
                              {"{{scripts}}", all_scripts},
                              // "</script>" cannot end the data early.
                              {"{{data}}", absl::StrReplaceAll(json, {{"<", "\\u003c"}})}});
}

}  // namespace routewright
