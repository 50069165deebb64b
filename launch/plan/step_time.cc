#include "launch/plan/step_time.h"

#include <algorithm>

#include "common/check.h"
#include "common/config/algorithm_facts.h"
#include "trainer/algorithm/update_passes.h"

namespace routewright {
namespace {

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Elements of the matrices of one block.
double MatrixElements(const BlockLayout& block) {
  double elements = 0;
  for (const TensorSlot& slot : block.tensors) {
    if (slot.shape.size() == 2) elements += static_cast<double>(slot.num_elements);
  }
  return elements;
}

// Trajectories of a batch, or of its mini-batches one after the other, over the ranks.
struct Packs {
  int64_t micro_batches = 0;     // of each rank
  int64_t busiest_episodes = 0;  // of the rank that the others wait for
};

// What PackTrajectories makes of `episodes` of one length, of which a micro-batch holds `capacity`:
// as few micro-batches as hold them, even but for one episode, the larger ones dealt first.
Packs PackAlike(int64_t episodes, int64_t capacity, int64_t ranks) {
  Packs packs;
  packs.micro_batches = std::max<int64_t>(1, DivideUp(DivideUp(episodes, capacity), ranks));
  const int64_t of_all_ranks = packs.micro_batches * ranks;
  packs.busiest_episodes =
      packs.micro_batches * (episodes / of_all_ranks) + DivideUp(episodes % of_all_ranks, ranks);
  return packs;
}

// Mini-batch m holds the episodes from E·m/M to E·(m+1)/M: two sizes, one apart.
Packs PackMiniBatches(int64_t episodes, int64_t mini_batches, int64_t capacity, int64_t ranks) {
  const int64_t num_larger = episodes % mini_batches;
  const Packs smaller = PackAlike(episodes / mini_batches, capacity, ranks);
  const Packs larger = PackAlike(episodes / mini_batches + 1, capacity, ranks);
  const auto sum = [&](int64_t of_smaller, int64_t of_larger) {
    return (mini_batches - num_larger) * of_smaller + num_larger * of_larger;
  };
  return {.micro_batches = sum(smaller.micro_batches, larger.micro_batches),
          .busiest_episodes = sum(smaller.busiest_episodes, larger.busiest_episodes)};
}

// Sums over the models of a step.
class Step {
 public:
  Step(const PlanInput& input, int64_t sequence_tokens, const DeviceSpeed& device)
      : input_(input), sequence_(sequence_tokens), device_(device) {
    const TrainerConfig& config = input.config;
    const bool is_supervised = FactsOf(config).learns_from_demonstrations();
    episodes_ =
        int64_t{config.questions_per_step()} * (is_supervised ? 1 : config.episodes_per_question());
    mini_batches_ = std::min<int64_t>(config.mini_batches(), episodes_);
    const int64_t capacity = config.max_micro_batch_tokens() / sequence_tokens;
    RW_CHECK(capacity > 0 && episodes_ > 0) << sequence_tokens << " tokens an episode";
    scoring_ = PackAlike(episodes_, capacity, input.ranks);
    learning_ = PackMiniBatches(episodes_, mini_batches_, capacity, input.ranks);
  }

  // A model's updates (if it learns), scorings of the batch, and forwards of it to the
  // last hidden state alone.
  void Add(HeadKind head, bool learns, int scorings, int forwards = 0) {
    const TokenFlops flops =
        CountTokenFlops(input_.model, head, input_.config.recompute_activations(), sequence_);
    const double updates = learns ? 1.0 : 0.0;
    time_.model_flops += updates * flops.model * tokens();
    time_.head_flops +=
        (updates * flops.update_of_head + scorings * flops.score_of_head) * tokens();
    blocks_flops_ += (updates * flops.update + (scorings + forwards) * flops.score) * tokens();
    const double seconds_to_update =
        flops.update / device_.flop_per_s + flops.update_of_head / device_.f32_flop_per_s;
    const double seconds_to_score =
        flops.score / device_.flop_per_s + flops.score_of_head / device_.f32_flop_per_s;
    time_.arithmetic_s += updates * TokensOf(learning_) * seconds_to_update +
                          scorings * TokensOf(scoring_) * seconds_to_score +
                          forwards * TokensOf(scoring_) * flops.score / device_.flop_per_s;
    const Traffic traffic =
        PlanTraffic(input_, head,
                    {.with_gradient = learns ? learning_.micro_batches : 0,
                     .forward_only = (scorings + forwards) * scoring_.micro_batches,
                     .optimizer_steps = learns ? mini_batches_ : 0},
                    device_);
    time_.traffic_bytes += traffic.bytes;
    hidden_s_ += traffic.hidden_s;
    exposed_s_ += traffic.exposed_s;
  }

  StepTime Finish() {
    time_.episodes = episodes_;
    time_.tokens = tokens();
    time_.all_flops = blocks_flops_ + time_.head_flops;
    time_.communication_s = hidden_s_ + exposed_s_;
    time_.seconds = std::max(time_.arithmetic_s, hidden_s_) + exposed_s_;
    time_.tokens_per_s = time_.tokens / time_.seconds;
    time_.mfu = time_.model_flops / (time_.seconds * input_.ranks * device_.peak_flop_per_s);
    return time_;
  }

 private:
  double tokens() const { return static_cast<double>(episodes_) * static_cast<double>(sequence_); }
  double TokensOf(const Packs& packs) const {
    return static_cast<double>(packs.busiest_episodes) * static_cast<double>(sequence_);
  }

  const PlanInput& input_;
  const int64_t sequence_;
  const DeviceSpeed& device_;
  int64_t episodes_ = 0, mini_batches_ = 0;
  Packs scoring_, learning_;
  StepTime time_;
  double blocks_flops_ = 0, hidden_s_ = 0, exposed_s_ = 0;
};

}  // namespace

TokenFlops CountTokenFlops(const ModelConfig& model, HeadKind head, bool recompute_activations,
                           int64_t sequence_tokens) {
  const ParameterLayout layout(model, head);
  double blocks = 0;
  for (size_t b = 1; b + 1 < layout.blocks().size(); ++b)
    blocks += MatrixElements(layout.blocks()[b]);
  const double output = head == HeadKind::kLanguageModel
                            ? static_cast<double>(model.vocabulary_size * model.width)
                            : MatrixElements(layout.blocks().back());
  const double attended =
      static_cast<double>(sequence_tokens) / 2.0;  // keys of a token, on average
  // One of attention's two products: scores, and values under them.
  const double attention =
      2.0 * static_cast<double>(model.num_layers * model.num_heads * model.head_width) * attended;

  TokenFlops flops;
  flops.score = 2.0 * blocks + 2.0 * attention;
  flops.score_of_head = 2.0 * output;
  flops.model = 3.0 * (flops.score + flops.score_of_head);
  flops.update = 3.0 * flops.score + attention + (recompute_activations ? flops.score : 0.0);
  flops.update_of_head = (head == HeadKind::kLanguageModel ? 4.0 : 3.0) * flops.score_of_head;
  return flops;
}

StepTime PlanStepTime(const PlanInput& input, int64_t sequence_tokens, const DeviceSpeed& device) {
  Step step(input, sequence_tokens, device);
  step.Add(HeadKind::kLanguageModel, /*learns=*/true, ScoresOldPolicy(input.config) ? 1 : 0,
           HasValueHead(input.config) ? 1 : 0);
  if (HasReference(input.config)) step.Add(HeadKind::kLanguageModel, /*learns=*/false, 1);
  if (HasCritic(input.config)) step.Add(HeadKind::kValue, /*learns=*/true, 1);
  return step.Finish();
}

}  // namespace routewright
