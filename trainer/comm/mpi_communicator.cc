#include "trainer/comm/mpi_communicator.h"

#include <cstdio>
#include <cstring>
#include <exception>
#include <limits>
#include <vector>

#include "common/check.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

constexpr int kTag =
    1;  // one job runs at a time and MPI keeps order between two ranks: one tag is enough

MPI_Datatype MpiType(CommType type) {
  switch (type) {
    case CommType::kFloat32:
      return MPI_FLOAT;
    case CommType::kFloat64:
      return MPI_DOUBLE;
    case CommType::kInt64:
      return MPI_INT64_T;
    case CommType::kByte:
      return MPI_BYTE;
  }
  return MPI_DATATYPE_NULL;
}

template <typename T>
void AddTo(void* sum, const void* term, int64_t n) {
  T* a = static_cast<T*>(sum);
  const T* b = static_cast<const T*>(term);
  for (int64_t i = 0; i < n; ++i) a[i] += b[i];
}

void Add(CommType type, void* sum, const void* term, int64_t n) {
  switch (type) {
    case CommType::kFloat32:
      return AddTo<float>(sum, term, n);
    case CommType::kFloat64:
      return AddTo<double>(sum, term, n);
    case CommType::kInt64:
      return AddTo<int64_t>(sum, term, n);
    case CommType::kByte:
      RW_CHECK(false) << "bytes are not summed";
  }
}

class MpiCollective final : public Collective {
 public:
  explicit MpiCollective(std::shared_ptr<MpiJob> job) : job_(std::move(job)) {}
  ~MpiCollective() override {
    if (std::uncaught_exceptions() > exceptions_at_start_) {
      // A library's exception, on its way to who tells of it, takes the buffer along:
      // MPI must be done with it.
      job_->done.WaitForNotification();
      return;
    }
    RW_CHECK(is_waited_for_) << "collective '" << job_->name << "' was never waited for";
  }
  absl::Status Wait() override {
    is_waited_for_ = true;
    job_->done.WaitForNotification();
    return absl::OkStatus();
  }

 private:
  std::shared_ptr<MpiJob> job_;  // with the MPI thread's queue
  const int exceptions_at_start_ = std::uncaught_exceptions();
  bool is_waited_for_ = false;
};

class MpiCommunicator final : public Communicator {
 public:
  // Shared by the communicator of the world and the groups split off it.
  MpiCommunicator(std::shared_ptr<MpiThread> thread, MpiGroup group)
      : mpi_(std::move(thread)), group_(group) {}
  int rank() const override { return group_.rank; }
  int size() const override { return group_.size; }
  int local_rank() const override { return group_.local_rank; }
  int local_size() const override { return group_.local_size; }

  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override;
  std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer buffer,
                                        int root) override;
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override;
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override;
  std::unique_ptr<Collective> Barrier(std::string_view name) override;
  absl::StatusOr<std::unique_ptr<Communicator>> Split(std::string_view name, int color) override;

  void BeginStep(int64_t step) override { mpi_->log().BeginStep(step); }
  [[noreturn]] void Abort(const absl::Status& why) override {
    std::fprintf(stderr, "%s: rank %d aborts the job: %s\n", ProcessName(), mpi_->world().rank,
                 std::string(why.message()).c_str());
    std::fflush(stderr);
    mpi_->Abort();
  }

 private:
  struct Piece {
    int64_t begin = 0, size = 0;  // elements
  };
  // Rank r's share of n elements: equal pieces, the last ones shorter.
  Piece PieceOf(int r, int64_t n) const {
    const int64_t each = (n + size() - 1) / size();
    const int64_t begin = std::min<int64_t>(n, r * each);
    return {begin, std::min<int64_t>(n, begin + each) - begin};
  }

  // Phases that leave in `out` the rank-ordered sum of every rank's piece; `pieces[r]` of `all`
  // goes to rank r. In rounds, so that the pieces take at most kMpiScratchBytes at a time.
  void AddReducePhases(MpiJob& job, CommBuffer all, const std::vector<Piece>& pieces, void* out);
  void AddReduceRound(MpiJob& job, CommBuffer all, std::vector<Piece> pieces, void* out);
  std::unique_ptr<Collective> Start(std::shared_ptr<MpiJob> job) {
    mpi_->Enqueue(job);
    return std::make_unique<MpiCollective>(std::move(job));
  }
  std::shared_ptr<MpiJob> NewJob(std::string_view name, const CommBuffer& buffer = {}) {
    auto job = std::make_shared<MpiJob>();
    job->name = name;
    const auto width = static_cast<int64_t>(CommTypeBytes(buffer.type));
    job->sequence = mpi_->log().Ask(name, buffer.num_elements * width, group_.world_ranks);
    return job;
  }
  static void Check(const CommBuffer& buffer) {
    RW_CHECK(!buffer.is_on_gpu) << "MPI collectives take host buffers";
    RW_CHECK(buffer.num_elements >= 0 && buffer.num_elements <= std::numeric_limits<int>::max())
        << buffer.num_elements << " elements: cut the buffer";
  }

  const std::shared_ptr<MpiThread> mpi_;
  const MpiGroup group_;
};

void MpiCommunicator::AddReducePhases(MpiJob& job, CommBuffer all, const std::vector<Piece>& pieces,
                                      void* out) {
  int64_t largest = 0;
  for (const Piece& piece : pieces) largest = std::max(largest, piece.size);
  const auto width = static_cast<int64_t>(CommTypeBytes(all.type));
  const int64_t at_once = std::max<int64_t>(1, kMpiScratchBytes / (size() * width));
  for (int64_t first = 0; first < largest; first += at_once) {
    std::vector<Piece> parts;
    for (const Piece& piece : pieces) {
      parts.push_back({piece.begin + first, std::clamp<int64_t>(piece.size - first, 0, at_once)});
    }
    AddReduceRound(job, all, std::move(parts), static_cast<char*>(out) + first * width);
  }
}

void MpiCommunicator::AddReduceRound(MpiJob& job, CommBuffer all, std::vector<Piece> pieces,
                                     void* out) {
  const size_t width = CommTypeBytes(all.type);
  const Piece own = pieces[rank()];
  const size_t own_bytes = own.size * width;
  job.phases.push_back([=, this](std::vector<MPI_Request>& requests) -> absl::Status {
    char* received = mpi_->Scratch(size() * own_bytes);  // every rank's piece of this rank's shard
    for (int r = 0; r < size(); ++r) {
      if (r == rank()) continue;
      requests.push_back(MPI_REQUEST_NULL);
      RW_RETURN_IF_ERROR(MpiStatus(
          MPI_Irecv(/*buf=*/received + r * own_bytes, /*count=*/static_cast<int>(own.size),
                    MpiType(all.type), /*source=*/r, kTag, group_.comm, &requests.back()),
          "MPI_Irecv"));
      requests.push_back(MPI_REQUEST_NULL);
      RW_RETURN_IF_ERROR(
          MpiStatus(MPI_Isend(/*buf=*/static_cast<char*>(all.data) + pieces[r].begin * width,
                              /*count=*/static_cast<int>(pieces[r].size), MpiType(all.type),
                              /*dest=*/r, kTag, group_.comm, &requests.back()),
                    "MPI_Isend"));
    }
    return absl::OkStatus();
  });
  job.phases.push_back([=, this](std::vector<MPI_Request>&) {
    char* received = mpi_->Scratch(size() * own_bytes);
    std::memcpy(received + rank() * own_bytes, static_cast<char*>(all.data) + own.begin * width,
                own_bytes);
    for (int r = 1; r < size(); ++r) {
      Add(all.type, received, received + r * own_bytes, own.size);
    }
    std::memcpy(out, received, own_bytes);
    return absl::OkStatus();
  });
}

std::unique_ptr<Collective> MpiCommunicator::AllReduceSum(std::string_view name,
                                                          CommBuffer buffer) {
  Check(buffer);
  auto job = NewJob(name, buffer);
  std::vector<Piece> pieces;
  for (int r = 0; r < size(); ++r) pieces.push_back(PieceOf(r, buffer.num_elements));
  const size_t width = CommTypeBytes(buffer.type);
  AddReducePhases(*job, buffer, pieces,
                  static_cast<char*>(buffer.data) + pieces[rank()].begin * width);
  std::vector<int> counts, begins;
  for (const Piece& piece : pieces) {
    counts.push_back(static_cast<int>(piece.size));
    begins.push_back(static_cast<int>(piece.begin));
  }
  // MPI reads counts and displacements until the gather is complete: the job keeps them.
  auto layout = std::make_shared<std::pair<std::vector<int>, std::vector<int>>>(counts, begins);
  job->phases.push_back([this, buffer, layout](std::vector<MPI_Request>& requests) {
    requests.push_back(MPI_REQUEST_NULL);
    return MpiStatus(
        MPI_Iallgatherv(/*sendbuf=*/MPI_IN_PLACE, /*sendcount=*/0, MPI_DATATYPE_NULL,
                        /*recvbuf=*/buffer.data, layout->first.data(), layout->second.data(),
                        MpiType(buffer.type), group_.comm, &requests.back()),
        "MPI_Iallgatherv");
  });
  return Start(std::move(job));
}

std::unique_ptr<Collective> MpiCommunicator::Broadcast(std::string_view name, CommBuffer buffer,
                                                       int root) {
  Check(buffer);
  auto job = NewJob(name, buffer);
  job->phases.push_back([this, buffer, root](std::vector<MPI_Request>& requests) {
    requests.push_back(MPI_REQUEST_NULL);
    return MpiStatus(MPI_Ibcast(buffer.data, static_cast<int>(buffer.num_elements),
                                MpiType(buffer.type), root, group_.comm, &requests.back()),
                     "MPI_Ibcast");
  });
  return Start(std::move(job));
}

std::unique_ptr<Collective> MpiCommunicator::AllGather(std::string_view name, CommBuffer mine,
                                                       CommBuffer all) {
  Check(mine);
  Check(all);
  RW_CHECK(all.num_elements == mine.num_elements * size() && all.type == mine.type)
      << "all is not size() × mine";
  auto job = NewJob(name, all);
  job->phases.push_back([this, mine, all](std::vector<MPI_Request>& requests) {
    const char* own =
        static_cast<char*>(all.data) + rank() * mine.num_elements * CommTypeBytes(all.type);
    const bool is_in_place = mine.data == own;
    requests.push_back(MPI_REQUEST_NULL);
    return MpiStatus(
        MPI_Iallgather(/*sendbuf=*/is_in_place ? MPI_IN_PLACE : mine.data,
                       /*sendcount=*/static_cast<int>(mine.num_elements), MpiType(mine.type),
                       /*recvbuf=*/all.data, /*recvcount=*/static_cast<int>(mine.num_elements),
                       MpiType(all.type), group_.comm, &requests.back()),
        "MPI_Iallgather");
  });
  return Start(std::move(job));
}

std::unique_ptr<Collective> MpiCommunicator::ReduceScatterSum(std::string_view name, CommBuffer all,
                                                              CommBuffer mine) {
  Check(all);
  Check(mine);
  RW_CHECK(all.num_elements == mine.num_elements * size() && all.type == mine.type)
      << "all is not size() × mine";
  auto job = NewJob(name, all);
  std::vector<Piece> pieces;
  for (int r = 0; r < size(); ++r) pieces.push_back({r * mine.num_elements, mine.num_elements});
  AddReducePhases(*job, all, pieces, mine.data);
  return Start(std::move(job));
}

std::unique_ptr<Collective> MpiCommunicator::Barrier(std::string_view name) {
  auto job = NewJob(name);
  job->phases.push_back([this](std::vector<MPI_Request>& requests) {
    requests.push_back(MPI_REQUEST_NULL);
    return MpiStatus(MPI_Ibarrier(group_.comm, &requests.back()), "MPI_Ibarrier");
  });
  return Start(std::move(job));
}

absl::StatusOr<std::unique_ptr<Communicator>> MpiCommunicator::Split(std::string_view name,
                                                                     int color) {
  // MPI_Comm_split blocks: it is called when every rank is known to be there.
  RW_RETURN_IF_ERROR(Barrier(name)->Wait());
  MpiGroup group;
  auto job = NewJob(name);
  job->phases.push_back([this, color, &group](std::vector<MPI_Request>&) -> absl::Status {
    MPI_Comm comm = MPI_COMM_NULL;  // freed by MPI_Finalize
    RW_RETURN_IF_ERROR(
        MpiStatus(MPI_Comm_split(group_.comm, color, /*key=*/rank(), &comm), "MPI_Comm_split"));
    return DescribeGroup(comm, &group);
  });
  RW_RETURN_IF_ERROR(Start(std::move(job))->Wait());
  return std::make_unique<MpiCommunicator>(mpi_, group);
}

}  // namespace

std::unique_ptr<Communicator> NewMpiCommunicator(std::shared_ptr<MpiThread> thread) {
  const MpiGroup world = thread->world();
  return std::make_unique<MpiCommunicator>(std::move(thread), world);
}

}  // namespace routewright
