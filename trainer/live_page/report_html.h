// A report as one HTML file that a browser opens from the disk and that fetches nothing: the data of
// its script, the scripts and the plotting library are inside.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace routewright {

// Fills `page`, a file of static/, with the reports' head, the plotting library, `scripts`, in their
// order, and the data.
std::string MakeReportHtml(std::string_view page, std::span<const std::string_view> scripts,
                           const nlohmann::ordered_json& data);

}  // namespace routewright
