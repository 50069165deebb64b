// Collectives between the trainer's ranks, behind one interface: one process, MPI, NCCL. Every
// collective has a name and a deadline and returns a handle. All ranks must start the same
// collectives in the same order.
//
// Thread: one caller. The MPI implementation owns a thread of its own that alone talks to MPI and
// sleeps between polls, so a waiting rank does not spin a core.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/config.pb.h"

namespace routewright {

enum class CommType { kFloat32, kFloat64, kInt64, kByte };
size_t CommTypeBytes(CommType type);

// A contiguous buffer on the host, or on the rank's GPU for NCCL. Borrowed until the
// collective's Wait returns.
struct CommBuffer {
  void* data = nullptr;
  int64_t num_elements = 0;
  CommType type = CommType::kFloat32;
  bool is_on_gpu = false;
};

// What a sum over MPI holds of the other ranks' pieces at a time; larger ones are summed in rounds.
constexpr int64_t kMpiScratchBytes = int64_t{16} << 20;

// A started collective. Wait must be called before it is destroyed (checked over MPI). Only while an
// exception unwinds the stack may that be left out: the destructor then waits itself.
class Collective {
 public:
  virtual ~Collective() = default;
  // Blocks until done. A rank that waits for one that died, or longer than the deadline,
  // ends here with the notice (see NewCommunicator). Fails: kFailedPrecondition where the
  // ranks' order is checked.
  virtual absl::Status Wait() = 0;
  // What the caller computes from now on sees the result. On the CPU the same as Wait; over NCCL
  // the compute stream waits, and the caller goes on.
  virtual absl::Status WaitBeforeCompute() { return Wait(); }
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  // among the ranks of this host
  virtual int local_size() const = 0;

  // In place. Over MPI sums are in rank order (0 + 1 + 2 + …): the same bits on every rank, in
  // every run and at any cut. Over NCCL the order is NCCL's, and goes with its choice of algorithm,
  // the number of elements and the machines: no promise about bits.
  virtual std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) = 0;
  virtual std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer buffer,
                                                int root) = 0;
  // `all` holds size() pieces in rank order, each as long as `mine`; may
  // contain `mine` at its place.
  virtual std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                                CommBuffer all) = 0;
  // `all` holds size() pieces; `mine` becomes the sum of every rank's piece
  // rank(), in the order above.
  virtual std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                                       CommBuffer mine) = 0;
  virtual std::unique_ptr<Collective> Barrier(std::string_view name) = 0;

  // The ranks that give the same color, in their order here, as a communicator of their own, which
  // this one must outlive. Every rank calls it. Fails as the collectives do.
  virtual absl::StatusOr<std::unique_ptr<Communicator>> Split(std::string_view name, int color) = 0;

  // Notices about a lost rank name the step that is made from now on.
  virtual void BeginStep(int64_t /*step*/) {}

  // Ends every rank of the job. Does not return.
  [[noreturn]] virtual void Abort(const absl::Status& why) = 0;
};

// Decides by config, by what the launcher's environment says about ranks, and
// by the trainer's device.
//
// A rank that dies, or does not come to a collective within the deadline, is the end of the
// job: every other rank appends its part to one notice, which names the missing rank and the
// operation that it is missing from, the oldest unfinished one, and lists the last operations
// with the ranks that take part; it ends with status 1 when the deadline comes. `notice_path`
// is that file; "": stderr.
//
// `start` says how this rank was started: ranks compare it, and their devices, before anything that
// depends on it is made ("": they don't). Fails on every rank: as AgreeOnStart.
absl::StatusOr<std::unique_ptr<Communicator>> NewCommunicator(const CommunicatorConfig& config,
                                                              bool is_on_gpu,
                                                              const std::string& notice_path = "",
                                                              const std::string& start = "");

// Conveniences over the interface, for host data.
absl::Status BroadcastString(Communicator& communicator, std::string_view name, std::string& value,
                             int root);

}  // namespace routewright
