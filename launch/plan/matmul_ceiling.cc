#include "launch/plan/matmul_ceiling.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "kernels/matmul/matmul.h"
#include "trainer/update/device.h"

namespace routewright {
namespace {

constexpr absl::Duration kWindow = absl::Seconds(1);
constexpr int64_t kMostRows = 512, kMostWidth = 4096, kMostColumns = 8192;

// Those of all ranks of a host, as far as it has cores.
void SetThreadsOfHost(const RunConfig& config, int ranks_per_host) {
  SetThreads(config, ranks_per_host);
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  at::set_num_threads(std::min(cores, at::get_num_threads() * ranks_per_host));
}

}  // namespace

double MeasureMatmulCeiling(const ModelConfig& model, const RunConfig& config, bool is_bf16,
                            int ranks_per_host) {
  SetThreadsOfHost(config, ranks_per_host);
  const int64_t rows = std::min<int64_t>(config.trainer().max_micro_batch_tokens(), kMostRows);
  const int64_t width = std::min(model.width, kMostWidth);
  const int64_t columns = std::min(2 * model.intermediate_width, kMostColumns);
  const at::TensorOptions options = at::dtype(is_bf16 ? at::kBFloat16 : at::kFloat);
  const at::Tensor x = at::full({rows, width}, 1.0, options);          // [T, C]
  const at::Tensor weight = at::full({columns, width}, 1.0, options);  // [2I, C]
  const at::Tensor y = at::empty({rows, columns}, options);            // [T, 2I]
  absl::Duration fastest = absl::InfiniteDuration();
  const absl::Time end = absl::Now() + kWindow;
  MatmulInto(x, weight.t(), y);  // the first one makes threads and plans
  do {
    const absl::Time start = absl::Now();
    MatmulInto(x, weight.t(), y);
    fastest = std::min(fastest, std::max(absl::Now() - start, absl::Nanoseconds(1)));
  } while (absl::Now() < end);
  const double flops = 2.0 * static_cast<double>(rows) * static_cast<double>(width * columns);
  return flops / absl::ToDoubleSeconds(fastest) / ranks_per_host;
}

}  // namespace routewright
