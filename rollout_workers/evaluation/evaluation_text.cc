// The two forms of an EvaluationReport: JSON for programs, a table for people.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "rollout_workers/evaluation/evaluation_report.h"

namespace routewright {
namespace {

using nlohmann::ordered_json;

ordered_json ToJson(const Interval& interval) { return {interval.low, interval.high}; }

ordered_json ToJson(const ArmSummary& summary) {
  ordered_json json;
  json["num_questions"] = summary.num_questions;
  json["num_left_out"] = summary.num_left_out;
  json["em"] = summary.em;
  json["em_interval"] = ToJson(summary.em_interval);
  json["f1"] = summary.f1;
  json["f1_interval"] = ToJson(summary.f1_interval);
  json["em_two_hop"] =
      summary.em_two_hop.has_value() ? ordered_json(*summary.em_two_hop) : ordered_json(nullptr);
  json["cost_usd_per_1k"] = summary.cost_usd_per_1k;
  json["cost_usd_per_1k_interval"] = ToJson(summary.cost_interval);
  json["calls_per_question"] = summary.calls_per_question;
  json["calls_per_question_interval"] = ToJson(summary.calls_interval);
  json["share"] = summary.share;
  json["share_entropy"] = summary.share_entropy;
  return json;
}

ordered_json ToJson(const ArmDifference& difference) {
  return {{"num_questions", difference.num_questions},
          {"em", difference.em},
          {"em_interval", ToJson(difference.em_interval)},
          {"f1", difference.f1},
          {"f1_interval", ToJson(difference.f1_interval)},
          {"cost_usd_per_1k", difference.cost_usd_per_1k},
          {"cost_usd_per_1k_interval", ToJson(difference.cost_interval)}};
}

const ArmReport* FindArm(const EvaluationReport& report, const std::string& name) {
  const auto arm = std::find_if(report.arms.begin(), report.arms.end(),
                                [&](const ArmReport& a) { return a.name == name; });
  return arm == report.arms.end() ? nullptr : &*arm;
}

// Names are UTF-8: pads by code points.
std::string Padded(const std::string& text, size_t width) {
  const size_t length = static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
  return text + std::string(length < width ? width - length : 0, ' ');
}

size_t NameWidth(const EvaluationReport& report) {
  size_t width = 10;
  for (const ArmReport& arm : report.arms) width = std::max(width, arm.name.size());
  return width;
}

std::string FormatShares(const ArmSummary& summary, const std::vector<std::string>& models) {
  std::vector<std::string> parts;
  for (const std::string& model : models) {
    const double percent = 100 * summary.share.at(model);
    if (percent >= 0.5) parts.push_back(absl::StrFormat("%s %.0f%%", model, percent));
  }
  return parts.empty() ? "no calls" : absl::StrJoin(parts, ", ");
}

std::string FormatRow(const ArmReport& arm, size_t name_width,
                      const std::vector<std::string>& models) {
  const ArmSummary& s = arm.all;
  const std::string two_hop =
      s.em_two_hop.has_value() ? absl::StrFormat("%.3f", *s.em_two_hop) : "-";
  return absl::StrFormat("%s  %.3f [%.3f, %.3f]  %.3f  %7s  %9.5f  %5.2f  %7.2f  %s\n",
                         Padded(arm.name, name_width), s.em, s.em_interval.low, s.em_interval.high,
                         s.f1, two_hop, s.cost_usd_per_1k, s.calls_per_question, s.share_entropy,
                         FormatShares(s, models));
}

std::string FormatSources(const EvaluationReport& report, size_t name_width) {
  std::set<std::string> sources;
  for (const ArmReport& arm : report.arms) {
    for (const auto& [source, summary] : arm.by_source) sources.insert(source);
  }
  if (sources.size() < 2) return "";
  std::string text =
      absl::StrCat("\nper data source: EM at $ per 1,000 questions\n", Padded("", name_width));
  for (const std::string& source : sources) absl::StrAppend(&text, "  ", Padded(source, 14));
  text += "\n";
  for (const ArmReport& arm : report.arms) {
    text += Padded(arm.name, name_width);
    for (const std::string& source : sources) {
      const auto summary = arm.by_source.find(source);
      absl::StrAppend(&text, "  ",
                      Padded(summary == arm.by_source.end()
                                 ? "-"
                                 : absl::StrFormat("%.3f at %.4f", summary->second.em,
                                                   summary->second.cost_usd_per_1k),
                             14));
    }
    text += "\n";
  }
  return text;
}

std::string FormatDifferences(const EvaluationReport& report, size_t name_width) {
  std::string text;
  for (const ArmReport& arm : report.arms) {
    if (!arm.trained_minus.has_value()) continue;
    const ArmDifference& d = *arm.trained_minus;
    absl::StrAppendFormat(&text, "%s  %+.3f [%+.3f, %+.3f]  %+9.5f [%+.5f, %+.5f]\n",
                          Padded(arm.name, name_width), d.em, d.em_interval.low, d.em_interval.high,
                          d.cost_usd_per_1k, d.cost_interval.low, d.cost_interval.high);
  }
  if (text.empty()) return "";
  return absl::StrCat(
      "\ntrained minus each arm, over the same questions: EM and cost, with 95 % intervals\n",
      text);
}

std::string FormatGap(const EvaluationReport& report) {
  const ArmReport* trained = FindArm(report, "trained");
  const ArmReport* oracle = FindArm(report, "oracle");
  if (trained == nullptr || oracle == nullptr || oracle->all.num_questions == 0) return "";
  std::string text =
      absl::StrFormat("\ngap to the oracle: EM %+.3f (trained %.3f, oracle %.3f)",
                      oracle->trained_minus.has_value() ? oracle->trained_minus->em
                                                        : trained->all.em - oracle->all.em,
                      trained->all.em, oracle->all.em);
  if (oracle->all.cost_usd_per_1k > 0) {
    absl::StrAppendFormat(&text, ", at %.2f times its cost",
                          trained->all.cost_usd_per_1k / oracle->all.cost_usd_per_1k);
  }
  return text + "\n";
}

std::string FormatLeftOut(const EvaluationReport& report) {
  std::string text;
  for (const ArmReport& arm : report.arms) {
    if (arm.all.num_left_out == 0) continue;
    absl::StrAppend(&text, "WARNING: ", arm.name, " leaves out ", arm.all.num_left_out, " of ",
                    report.num_questions,
                    " questions: their pool calls failed at every attempt. Its metrics are of the "
                    "others alone.\n");
  }
  return text.empty() ? text : "\n" + text;
}

}  // namespace

std::string ReportToJson(const EvaluationReport& report) {
  ordered_json json;
  for (const ArmReport& arm : report.arms) {
    ordered_json entry = ToJson(arm.all);
    for (const auto& [source, summary] : arm.by_source)
      entry["by_source"][source] = ToJson(summary);
    if (arm.trained_minus.has_value()) entry["trained_minus"] = ToJson(*arm.trained_minus);
    json[arm.name] = std::move(entry);
  }
  return json.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false,
                   ordered_json::error_handler_t::replace) +
         "\n";
}

std::string ReportToTable(const EvaluationReport& report) {
  const size_t width = NameWidth(report);
  std::string text = absl::StrFormat(
      "%d questions; 95 %% intervals; cost in $ per 1,000 questions\n", report.num_questions);
  absl::StrAppend(
      &text, Padded("", width),
      "  EM                    F1     two-hop       cost  calls  entropy  share of the calls\n");
  for (const ArmReport& arm : report.arms) text += FormatRow(arm, width, report.models);
  return absl::StrCat(text, FormatSources(report, width), FormatDifferences(report, width),
                      FormatGap(report), FormatLeftOut(report));
}

}  // namespace routewright
