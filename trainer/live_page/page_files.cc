#include "trainer/live_page/page_files.h"

#include <array>

#include "common/check.h"
#include "trainer/live_page/embedded_files.h"

namespace routewright {

std::string_view EmbeddedFile(std::string_view name) {
  for (const auto& [file, content] : kEmbeddedFiles) {
    if (file == name) return content;
  }
  RW_CHECK(false) << "no file " << name << " was embedded";
  return {};
}

std::span<const PageFile> LivePageFiles() {
  static constexpr const char* kHtml = "text/html; charset=utf-8";
  static constexpr const char* kStyle = "text/css; charset=utf-8";
  static constexpr const char* kScript = "text/javascript; charset=utf-8";
  static const auto* files = new std::array<PageFile, 10>{{
      {"/", kHtml, EmbeddedFile("index.html")},
      {"/page.css", kStyle, EmbeddedFile("page.css")},
      {"/chart.js", kScript, EmbeddedFile("chart.min.js")},
      {"/format.js", kScript, EmbeddedFile("format.js")},
      {"/plot.js", kScript, EmbeddedFile("plot.js")},
      {"/run_plots.js", kScript, EmbeddedFile("run_plots.js")},
      {"/curve_store.js", kScript, EmbeddedFile("curve_store.js")},
      {"/tables.js", kScript, EmbeddedFile("tables.js")},
      {"/trajectories.js", kScript, EmbeddedFile("trajectories.js")},
      {"/page.js", kScript, EmbeddedFile("page.js")},
  }};
  return *files;
}

}  // namespace routewright
