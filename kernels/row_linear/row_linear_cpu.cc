// The fast path of RowLinear: tiles of a few rows × one or four panels whose sums stay in
// registers over all inputs. A panel is read from memory once per kRowChunk rows and from L2 for
// every further tile of rows.
#include <algorithm>

#include "kernels/lanes.h"
#include "kernels/row_linear/row_linear.h"

namespace routewright {
namespace {

constexpr int64_t kPanel = PackedMatrix::kPanel;
// Rows that share one pass over the weights: their inputs should stay in L2.
constexpr int64_t kRowChunk = 96;
// At a few rows one panel's sums are too few to hide the latency of a multiply-add:
// tiles then take four panels.
constexpr int kWide = 4;
// Below this many multiply-adds a second thread costs more than it brings.
constexpr int64_t kMinWorkPerThread = 1 << 17;

struct Problem {
  const float* x;
  int64_t num_rows;
  const PackedMatrix* weight;
  const float* bias;
  float* y;
};

// Where a panel's bias is read from: zeros without a bias, padded in `edge` at the matrix's end.
RW_KERNEL_INLINE const float* PanelBias(const Problem& p, int64_t panel, float* edge) {
  if (p.bias != nullptr && (panel + 1) * kPanel <= p.weight->num_outputs())
    return p.bias + panel * kPanel;
  std::memset(edge, 0, kPanel * sizeof(float));
  if (p.bias != nullptr) {
    std::memcpy(edge, p.bias + panel * kPanel,
                (p.weight->num_outputs() - panel * kPanel) * sizeof(float));
  }
  return edge;
}

// Rows row … row+R-1 times panels panel … panel+P-1.
template <int N, int R, int P>
RW_KERNEL_INLINE void Tile(const Problem& p, int64_t row, int64_t panel) {
  constexpr int kVectors = kPanel / N;
  const int64_t num_inputs = p.weight->num_inputs();
  const int64_t panel_stride = num_inputs * kPanel;
  const float* x = p.x + row * num_inputs;
  const float* w = p.weight->panel(panel);
  // The sums' address is never taken, else the compiler would keep them in memory.
  Floats<N> sums[R][P * kVectors];
  float edge[kPanel];
#pragma GCC unroll 4
  for (int q = 0; q < P; ++q) {
    const float* bias = PanelBias(p, panel + q, edge);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      Floats<N> start;
      Load<N>(bias + v * N, start);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) sums[r][q * kVectors + v] = start;
    }
  }
  for (int64_t k = 0; k < num_inputs; ++k) {
    Floats<N> weights[P * kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < P * kVectors; ++v) {
      Load<N>(w + (v / kVectors) * panel_stride + k * kPanel + (v % kVectors) * N, weights[v]);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const float input = x[r * num_inputs + k];
#pragma GCC unroll 16
      for (int v = 0; v < P * kVectors; ++v) sums[r][v] += weights[v] * input;
    }
  }
  const int64_t num_outputs = p.weight->num_outputs();
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int q = 0; q < P; ++q) {
      const int64_t first = (panel + q) * kPanel;
      const bool is_whole = first + kPanel <= num_outputs;
      float* y = p.y + (row + r) * num_outputs + first;
      float* to = is_whole ? y : edge;
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const Floats<N> sum = sums[r][q * kVectors + v];
        Store<N>(sum, to + v * N);
      }
      if (!is_whole) std::memcpy(y, edge, (num_outputs - first) * sizeof(float));
    }
  }
}

// Calls Tile with `rows` as a constant: rows in [1, R].
template <int N, int R, int P>
RW_KERNEL_INLINE void TileOfRows(const Problem& p, int64_t rows, int64_t row, int64_t panel) {
  if constexpr (R > 1) {
    if (rows < R) return TileOfRows<N, R - 1, P>(p, rows, row, panel);
  }
  Tile<N, R, P>(p, row, panel);
}

// Most rows of a tile: as the sums of a tile must fit the registers (32 of AVX-512, 16 otherwise).
template <int N>
struct TileRows {
  static constexpr int kNarrow = N == 16 ? 12 : (N == 8 ? 3 : 1);  // with one panel
  static constexpr int kWideMost = N == 16 ? 3 : 0;                // with kWide panels
};

struct RowLinearKernel {
  // All rows times panels [begin, end).
  template <int N>
  static RW_KERNEL_INLINE void Run(const Problem* problem, int64_t begin, int64_t end) {
    const Problem& p = *problem;
    int64_t panel = begin;
    if constexpr (TileRows<N>::kWideMost > 0) {
      if (p.num_rows <= TileRows<N>::kWideMost) {
        for (; panel + kWide <= end; panel += kWide) {
          TileOfRows<N, TileRows<N>::kWideMost, kWide>(p, p.num_rows, 0, panel);
        }
      }
    }
    for (int64_t first = 0; first < p.num_rows; first += kRowChunk) {
      const int64_t rows = std::min(kRowChunk, p.num_rows - first);
      const int64_t num_tiles = (rows + TileRows<N>::kNarrow - 1) / TileRows<N>::kNarrow;
      for (int64_t q = panel; q < end; ++q) {
        for (int64_t tile = 0; tile < num_tiles; ++tile) {  // tiles of nearly equal height
          const int64_t top = rows * tile / num_tiles, bottom = rows * (tile + 1) / num_tiles;
          TileOfRows<N, TileRows<N>::kNarrow, 1>(p, bottom - top, first + top, q);
        }
      }
    }
  }
};

}  // namespace

void RowLinear(const float* x, int64_t num_rows, const PackedMatrix& weight, const float* bias,
               float* y, int num_threads, CpuLevel level) {
  if (num_rows == 0) return;
  const Problem problem = {x, num_rows, &weight, bias, y};
  const Problem* p = &problem;
  const int64_t num_panels = weight.num_panels();
  const int64_t work = num_rows * weight.num_inputs() * weight.num_outputs();
  const int64_t parts =
      std::clamp<int64_t>(work / kMinWorkPerThread, 1, std::min<int64_t>(num_threads, num_panels));
  if (parts == 1) return RunAtLevel<RowLinearKernel>(level, p, int64_t{0}, num_panels);
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int64_t part = 0; part < parts; ++part) {
    RunAtLevel<RowLinearKernel>(level, p, num_panels * part / parts,
                                num_panels * (part + 1) / parts);
  }
}

}  // namespace routewright
