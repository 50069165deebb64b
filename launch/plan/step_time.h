// How long a step's update takes and what share of the devices' peak it uses, before a run is
// started: from the model's shape, the trainer's config and the device alone. Every episode is
// taken to be as long as it may be. Pure; any thread.
//
// MFU = model FLOPs of the update's forwards and backwards / (time · ranks · peak). Model FLOPs
// of a token, forward and backward, with N the elements of the matrices it is multiplied with
// (the head counted, tied or not; the embedding, which is looked up, not), L layers, H heads of D
// and sequences of S tokens:
//
//   6·N + 12·L·H·D·S/2      Source: Chowdhery et al. 2022 (PaLM), appendix B, which counts all S
//                           keys of a token; only the causal half of them is counted here
//
// Arithmetic on top, which MFU does not count:
//   recomputation          2·N of the blocks + 4·L·H·D·S/2
//   the head's logits      2·V·C, which its backward makes again
//   attention's scores     2·L·H·D·S/2, likewise (Dao 2023: 2.5 forwards a backward)
//   a pass that scores     2·N + 4·L·H·D·S/2: reference policy, policy before its update, critic
//                          (a value head on the policy's trunk: the same but for the output's
//                          2·V·C)
//
// The critic is taken to be past its warm-up. Not counted in the time: what is bound by memory and
// not by products (norms, the head's softmax, AdamW's some 28 bytes a parameter), offloading's
// copies, and the episodes. At a ceiling that products alone reach, as is measured on CPUs, the
// plan is a bound: a step of a 28 M-parameter policy took 1.8 to 2.3 times as long on two cores.
#pragma once

#include <cstdint>

#include "launch/plan/device_speed.h"
#include "launch/plan/memory_plan.h"
#include "launch/plan/step_traffic.h"
#include "policy/model/parameter_layout.h"

namespace routewright {

// FLOPs of one token of a sequence of S.
struct TokenFlops {
  double model = 0;           // of a forward and a backward, as MFU counts them
  double update = 0;          // of a forward and a backward, as they are made; the head left out
  double score = 0;           // of a forward alone; the head left out
  double update_of_head = 0;  // made in f32
  double score_of_head = 0;   // likewise
};
TokenFlops CountTokenFlops(const ModelConfig& model, HeadKind head, bool recompute_activations,
                           int64_t sequence_tokens);

struct StepTime {
  int64_t episodes = 0;
  double tokens = 0;
  double model_flops = 0;      // of all ranks
  double all_flops = 0;        // of all ranks, as they are made
  double head_flops = 0;       // of those, the heads', in f32
  double traffic_bytes = 0;    // of a rank
  double arithmetic_s = 0;     // of the busiest rank
  double communication_s = 0;  // of a rank, hidden or not
  double seconds = 0;          // max(arithmetic, hidden communication) + exposed communication
  double tokens_per_s = 0;
  double mfu = 0;  // 1
};
// `sequence_tokens`: of every episode, at most config.max_micro_batch_tokens.
StepTime PlanStepTime(const PlanInput& input, int64_t sequence_tokens, const DeviceSpeed& device);

}  // namespace routewright
