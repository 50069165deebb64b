#include "trainer/live_page/page_files.h"

#include <array>

#include "common/check.h"
#include "trainer/live_page/embedded_files.h"

namespace switchyard {

std::string_view EmbeddedFile(std::string_view name) {
  for (const auto& [file, content] : kEmbeddedFiles) {
    if (file == name) return content;
  }
  SY_CHECK(false) << "no file " << name << " was embedded";
  return {};
}

std::span<const PageFile> LivePageFiles() {
  static constexpr const char* kHtml = "text/html; charset=utf-8";
  static constexpr const char* kStyle = "text/css; charset=utf-8";
  static constexpr const char* kScript = "text/javascript; charset=utf-8";
  static const auto* files = new std::array<PageFile, 7>{{
      {"/", kHtml, EmbeddedFile("index.html")},
      {"/page.css", kStyle, EmbeddedFile("page.css")},
      {"/chart.js", kScript, EmbeddedFile("chart.min.js")},
      {"/format.js", kScript, EmbeddedFile("format.js")},
      {"/plots.js", kScript, EmbeddedFile("plots.js")},
      {"/trajectories.js", kScript, EmbeddedFile("trajectories.js")},
      {"/page.js", kScript, EmbeddedFile("page.js")},
  }};
  return *files;
}

}  // namespace switchyard
