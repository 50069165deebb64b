#include "policy/tokenizer/bpe.h"

#include <algorithm>

#include "common/absl_view.h"

namespace routewright {
namespace {

constexpr uint32_t kNoId = UINT32_MAX;
constexpr uint32_t kNowhere = UINT32_MAX;

uint64_t PairKey(uint32_t left, uint32_t right) { return (uint64_t{left} << 32) | right; }

// A node of the word's doubly linked list of symbols.
struct Symbol {
  uint32_t id;
  uint32_t previous;
  uint32_t next;
  bool is_alive;
};

// A merge that may be done: symbol `at` with the one after it.
struct Candidate {
  uint32_t rank;
  uint32_t at;
  uint32_t merged;
};

// For the standard heap functions, whose front is the greatest: the lowest rank, then leftmost.
bool IsLater(const Candidate& a, const Candidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
}

}  // namespace

Bpe::Bpe(std::span<const std::string> token_bytes, std::span<const BpeMerge> merges,
         Options options)
    : options_(options) {
  byte_ids_.fill(kNoId);
  for (uint32_t id = 0; id < token_bytes.size(); ++id) {
    const std::string& bytes = token_bytes[id];
    if (bytes.size() == 1) byte_ids_[static_cast<uint8_t>(bytes[0])] = id;
    if (options.ignores_merges && !bytes.empty()) ids_.emplace(bytes, id);
  }
  rules_.reserve(merges.size());
  for (uint32_t rank = 0; rank < merges.size(); ++rank) {
    rules_[PairKey(merges[rank].left, merges[rank].right)] = {rank, merges[rank].merged};
  }
}

const Bpe::Rule* Bpe::Find(uint32_t left, uint32_t right, Banned banned) const {
  const auto found = rules_.find(PairKey(left, right));
  if (found == rules_.end()) return nullptr;
  if (banned != nullptr && banned->contains(found->second.merged)) return nullptr;
  return &found->second;
}

void Bpe::Merge(std::string_view word, Banned banned, std::vector<uint32_t>& ids) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  for (const char byte : word) {
    const uint32_t id = byte_ids_[static_cast<uint8_t>(byte)];
    if (id == kNoId) continue;
    const auto at = static_cast<uint32_t>(symbols.size());
    symbols.push_back({id, at == 0 ? kNowhere : at - 1, at + 1, true});
  }
  if (symbols.empty()) return;
  symbols.back().next = kNowhere;

  std::vector<Candidate> heap;
  auto consider = [&](uint32_t at) {
    const uint32_t next = at == kNowhere ? kNowhere : symbols[at].next;
    if (next == kNowhere) return false;
    const Rule* rule = Find(symbols[at].id, symbols[next].id, banned);
    if (rule != nullptr) heap.push_back({rule->rank, at, rule->merged});
    return rule != nullptr;
  };
  for (uint32_t at = 0; at < symbols.size(); ++at) consider(at);
  std::make_heap(heap.begin(), heap.end(), IsLater);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), IsLater);
    const Candidate top = heap.back();
    heap.pop_back();
    Symbol& left = symbols[top.at];
    if (!left.is_alive || left.next == kNowhere) continue;
    Symbol& right = symbols[left.next];
    // A candidate is out of date if its symbols have merged with others since.
    const Rule* rule = Find(left.id, right.id, banned);
    if (rule == nullptr || rule->merged != top.merged) continue;
    left.id = top.merged;
    left.next = right.next;
    right.is_alive = false;
    if (left.next != kNowhere) symbols[left.next].previous = top.at;
    if (consider(left.previous)) std::push_heap(heap.begin(), heap.end(), IsLater);
    if (consider(top.at)) std::push_heap(heap.begin(), heap.end(), IsLater);
  }
  for (uint32_t at = 0; at != kNowhere; at = symbols[at].next) ids.push_back(symbols[at].id);
}

void Bpe::Encode(std::string_view word, std::vector<uint32_t>& ids) const {
  if (options_.ignores_merges) {
    const auto found = ids_.find(AbslView(word));
    if (found != ids_.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  Merge(word, /*banned=*/nullptr, ids);
}

std::vector<uint32_t> Bpe::EncodeWithout(std::string_view word,
                                         const absl::flat_hash_set<uint32_t>& banned) const {
  std::vector<uint32_t> ids;
  Merge(word, &banned, ids);
  return ids;
}

}  // namespace routewright
