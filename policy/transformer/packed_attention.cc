#include "policy/transformer/packed_attention.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <numeric>

#include "common/check.h"

namespace routewright {
namespace {

// A sequence joins a batch if padding it to the batch's length wastes little.
bool FitsBatch(int64_t sequence_length, int64_t batch_length) {
  return batch_length - sequence_length <= std::max<int64_t>(8, batch_length / 8);
}

// [n, (H + 2K) · D] → [n, H · D] for one batch of B sequences, n = B · Tmax.
at::Tensor BatchAttention(const at::Tensor& qkv, const AttentionPlan::Batch& batch,
                          int64_t num_heads, int64_t num_kv_heads) {
  const int64_t head_width = qkv.size(1) / (num_heads + 2 * num_kv_heads);
  const at::Tensor heads =
      qkv.view({batch.num_sequences, batch.length, -1, head_width}).transpose(1, 2);
  const at::Tensor q = heads.narrow(1, 0, num_heads);       // [B, H, Tmax, D]
  at::Tensor k = heads.narrow(1, num_heads, num_kv_heads);  // [B, K, Tmax, D]
  at::Tensor v = heads.narrow(1, num_heads + num_kv_heads, num_kv_heads);
  // On CUDA the f32 kernels know no grouped heads, and the fallback would hold [Tmax, Tmax] scores.
  const bool is_grouped = num_heads != num_kv_heads;
  if (is_grouped && qkv.is_cuda()) {
    k = k.repeat_interleave(num_heads / num_kv_heads, 1);  // [B, H, Tmax, D]
    v = v.repeat_interleave(num_heads / num_kv_heads, 1);
  }
  const at::Tensor out = at::scaled_dot_product_attention(
      q, k, v, /*attn_mask=*/{}, /*dropout_p=*/0.0, /*is_causal=*/true, /*scale=*/{},
      /*enable_gqa=*/is_grouped && !qkv.is_cuda());
  return out.transpose(1, 2).reshape({-1, num_heads * head_width});
}

}  // namespace

AttentionPlan PlanAttention(const std::vector<int64_t>& offsets, const at::Device& device) {
  RW_CHECK(offsets.size() >= 2 && offsets[0] == 0) << "a pack holds at least one sequence";
  const size_t num_sequences = offsets.size() - 1;
  const auto length = [&](size_t b) { return offsets[b + 1] - offsets[b]; };
  std::vector<size_t> order(num_sequences);  // longest first
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return length(a) > length(b); });

  AttentionPlan plan;
  std::vector<int64_t> places(offsets.back());
  int64_t next_place = 0;
  bool is_identity = true;
  for (size_t i = 0; i < num_sequences;) {
    AttentionPlan::Batch batch;
    batch.length = length(order[i]);
    std::vector<int64_t> rows;
    for (; i < num_sequences && FitsBatch(length(order[i]), batch.length); ++i) {
      const size_t b = order[i];
      RW_CHECK(length(b) > 0) << "sequence " << b << " is empty";
      for (int64_t t = 0; t < batch.length; ++t)
        rows.push_back(std::min(offsets[b] + t, offsets[b + 1] - 1));
      for (int64_t t = 0; t < length(b); ++t) places[offsets[b] + t] = next_place + t;
      next_place += batch.length;
      ++batch.num_sequences;
    }
    const bool is_run = static_cast<size_t>(rows.back() - rows.front() + 1) == rows.size() &&
                        std::adjacent_find(rows.begin(), rows.end(), [](int64_t a, int64_t b) {
                          return b != a + 1;
                        }) == rows.end();
    if (is_run) batch.first_row = rows.front();
    is_identity = is_identity && is_run && places[rows.front()] == rows.front();
    batch.rows = at::tensor(rows, at::TensorOptions().dtype(at::kLong)).to(device);
    plan.batches.push_back(std::move(batch));
  }
  if (!is_identity)
    plan.places = at::tensor(places, at::TensorOptions().dtype(at::kLong)).to(device);
  return plan;
}

at::Tensor PackedAttention(const at::Tensor& qkv, const AttentionPlan& plan, int64_t num_heads,
                           int64_t num_kv_heads) {
  std::vector<at::Tensor> outputs;
  for (const AttentionPlan::Batch& batch : plan.batches) {
    const int64_t n = batch.num_sequences * batch.length;
    const at::Tensor rows = batch.first_row >= 0 ? qkv.narrow(0, batch.first_row, n)
                                                 : at::index_select(qkv, 0, batch.rows);
    outputs.push_back(BatchAttention(rows, batch, num_heads, num_kv_heads));  // [n, H · D]
  }
  const at::Tensor all = outputs.size() == 1 ? outputs[0] : at::cat(outputs);
  return plan.places.defined() ? at::index_select(all, 0, plan.places) : all;  // [T, H · D]
}

}  // namespace routewright
