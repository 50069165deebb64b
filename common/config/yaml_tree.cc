#include "common/config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <sstream>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/absl_view.h"

namespace routewright {
namespace {

constexpr char kByteOrderMark[] = "\xef\xbb\xbf";

// Collects yaml-cpp's events into a ConfigNode, bottom up. yaml-cpp hands an alias over as an event
// and never expands it, so no text can grow.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& yaml, const std::string& origin, bool is_file,
              std::vector<std::string>& violations)
      : text_(std::string_view(yaml).substr(yaml.starts_with(kByteOrderMark) ? 3 : 0)),
        origin_(origin),
        is_file_(is_file),
        violations_(violations) {}

  std::string Where(const YAML::Mark& mark) const {
    if (!is_file_ || mark.is_null()) return origin_;
    return absl::StrCat(origin_, ":", mark.line + 1, ":", mark.column + 1);
  }
  void Violation(const YAML::Mark& mark, const std::string& what) {
    violations_.push_back(absl::StrCat(Where(mark), ": ", what));
  }
  ConfigNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 2)
      Violation(mark, "a second YAML document: a configuration is one document");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseAnchor(mark, anchor);
    ConfigNode node = Node(mark, ConfigNode::Kind::kNull);
    const std::string_view rest =
        text_.substr(std::min(text_.size(), static_cast<size_t>(std::max(0, mark.pos))));
    node.is_written_null =
        rest.starts_with('~') || absl::StartsWithIgnoreCase(AbslView(rest), "null");
    Add(mark, std::move(node));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Violation(mark, "an alias (*name): write the value out");
    Add(mark, Node(mark, ConfigNode::Kind::kNull));
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    ConfigNode node = Node(mark, ConfigNode::Kind::kScalar);
    node.text = value;
    node.is_quoted = tag == "!";
    Add(mark, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Begin(mark, tag, anchor, ConfigNode::Kind::kList);
  }
  void OnSequenceEnd() override { End(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Begin(mark, tag, anchor, ConfigNode::Kind::kMap);
  }
  void OnMapEnd() override { End(); }

 private:
  // A list or map whose end has not come yet. Of a map: has_key says that
  // `key` waits for its value.
  struct Open {
    YAML::Mark mark;
    ConfigNode node;
    bool has_key = false;
    bool is_key_usable = true;
    ConfigEntry entry;
  };

  ConfigNode Node(const YAML::Mark& mark, ConfigNode::Kind kind) const {
    ConfigNode node;
    node.kind = kind;
    node.where = Where(mark);
    return node;
  }
  void RefuseAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor)
      Violation(mark, "an anchor (&name): write the value out where it is used");
  }
  void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      Violation(mark, absl::StrCat("a tag (", tag, "): remove it"));
  }

  void Begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
             ConfigNode::Kind kind) {
    RefuseAnchor(mark, anchor);
    RefuseTag(mark, tag);
    if (static_cast<int>(open_.size()) == kMaxConfigDepth && !is_too_deep_) {
      is_too_deep_ = true;
      Violation(mark, absl::StrCat("nested deeper than ", kMaxConfigDepth, " levels"));
    }
    open_.push_back({mark, Node(mark, kind), false, true, {}});
  }
  void End() {
    Open done = std::move(open_.back());
    open_.pop_back();
    Add(done.mark, std::move(done.node));
  }

  // Puts a finished node where it belongs: the document, a list's next item, a map's next
  // key or that key's value.
  void Add(const YAML::Mark& mark, ConfigNode node) {
    if (open_.empty()) {
      if (documents_ <= 1) root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == ConfigNode::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      AddKey(mark, parent, node);
    } else {
      parent.has_key = false;
      parent.entry.value = std::move(node);
      if (parent.is_key_usable) parent.node.entries.push_back(std::move(parent.entry));
    }
  }
  void AddKey(const YAML::Mark& mark, Open& parent, const ConfigNode& key) {
    parent.has_key = true;
    parent.is_key_usable = false;
    if (key.kind != ConfigNode::Kind::kScalar) {
      Violation(mark, "a key must be a plain word");
    } else if (const ConfigNode* first = parent.node.Find(key.text)) {
      Violation(mark,
                absl::StrCat("the key ", key.text, " is set twice (first at ", first->where, ")"));
    } else {
      parent.is_key_usable = true;
      parent.entry = {key.text, key.where, {}};
    }
  }

  const std::string_view text_;
  const std::string& origin_;
  const bool is_file_;
  std::vector<std::string>& violations_;
  std::vector<Open> open_;
  ConfigNode root_;
  int documents_ = 0;
  bool is_too_deep_ = false;
};

}  // namespace

ConfigNode* ConfigNode::Find(const std::string& key) {
  const auto entry = std::find_if(entries.begin(), entries.end(),
                                  [&](const ConfigEntry& e) { return e.key == key; });
  return entry == entries.end() ? nullptr : &entry->value;
}

ConfigNode ParseYamlTree(const std::string& yaml, const std::string& origin, bool is_file,
                         std::vector<std::string>& violations) {
  ConfigNode root;
  root.where = origin;
  if (yaml.size() > kMaxConfigBytes) {
    violations.push_back(absl::StrCat(origin, ": over 1 MiB: a configuration is smaller"));
    return root;
  }
  TreeBuilder builder(yaml, origin, is_file, violations);
  try {
    std::istringstream in(yaml);
    YAML::Parser parser(in);
    if (parser.HandleNextDocument(builder)) {
      root = builder.TakeRoot();
      parser.HandleNextDocument(builder);
    }
  } catch (const YAML::Exception& error) {  // yaml-cpp reports syntax errors by throwing
    builder.Violation(error.mark, absl::StrCat("not valid YAML: ", error.msg));
  }
  return root;
}

}  // namespace routewright
