#include "trainer/comm/communicator.h"

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/status_macros.h"
#include "trainer/comm/agreement.h"
#include "trainer/comm/checked_communicator.h"
#include "trainer/comm/launcher_environment.h"
#include "trainer/comm/local_communicator.h"
#include "trainer/comm/mpi_communicator.h"
#include "trainer/comm/nccl_communicator.h"

namespace routewright {

size_t CommTypeBytes(CommType type) {
  switch (type) {
    case CommType::kFloat32:
      return 4;
    case CommType::kFloat64:
      return 8;
    case CommType::kInt64:
      return 8;
    case CommType::kByte:
      return 1;
  }
  RW_CHECK(false) << "unknown element type";
  return 0;
}

namespace {

absl::StatusOr<std::unique_ptr<Communicator>> ChooseCommunicator(const CommunicatorConfig& config,
                                                                 bool is_on_gpu,
                                                                 const std::string& notice_path,
                                                                 const std::string& start) {
  const int ranks = LauncherSize();
  const absl::Duration deadline = absl::Seconds(config.deadline_s());
  CommunicatorConfig::Backend backend = config.backend();
  if (backend == CommunicatorConfig::BACKEND_AUTO) {
    backend = ranks <= 1  ? CommunicatorConfig::BACKEND_LOCAL
              : is_on_gpu ? CommunicatorConfig::BACKEND_NCCL
                          : CommunicatorConfig::BACKEND_MPI;
  }
  if (backend == CommunicatorConfig::BACKEND_LOCAL) {
    if (ranks > 1) {
      return absl::InvalidArgumentError(
          "trainer.communicator.backend is local but the launcher started several ranks: use auto");
    }
    return NewLocalCommunicator();
  }
  if (backend == CommunicatorConfig::BACKEND_NCCL && !is_on_gpu) {
    return absl::InvalidArgumentError(
        "trainer.communicator.backend is nccl but policy.device is the CPU: use auto");
  }
  if (backend == CommunicatorConfig::BACKEND_MPI && is_on_gpu) {
    return absl::InvalidArgumentError(
        "trainer.communicator.backend is mpi, which takes no GPU's buffers, but policy.device is a "
        "GPU: set trainer.communicator.backend: auto, or policy.device: cpu");
  }
  auto thread = std::make_shared<MpiThread>(deadline, notice_path);
  RW_RETURN_IF_ERROR(thread->init_status());
  auto over_mpi = NewMpiCommunicator(thread);
  if (!start.empty()) {
    RW_RETURN_IF_ERROR(AgreeOnStart(
        *over_mpi, absl::StrCat(is_on_gpu ? "a GPU" : "no GPU", " for the policy\n", start)));
  }
  if (backend == CommunicatorConfig::BACKEND_MPI) return over_mpi;
  return NewNcclCommunicator(std::move(thread));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> NewCommunicator(const CommunicatorConfig& config,
                                                              bool is_on_gpu,
                                                              const std::string& notice_path,
                                                              const std::string& start) {
  RW_ASSIGN_OR_RETURN(auto communicator, ChooseCommunicator(config, is_on_gpu, notice_path, start));
  return config.check_order() ? NewCheckedCommunicator(std::move(communicator))
                              : std::move(communicator);
}

absl::Status BroadcastString(Communicator& communicator, std::string_view name, std::string& value,
                             int root) {
  int64_t size = static_cast<int64_t>(value.size());
  RW_RETURN_IF_ERROR(
      communicator
          .Broadcast(name, {.data = &size, .num_elements = 1, .type = CommType::kInt64}, root)
          ->Wait());
  value.resize(size);
  constexpr int64_t kPiece = int64_t{1} << 30;  // MPI counts are int
  for (int64_t begin = 0; begin < size; begin += kPiece) {
    const CommBuffer piece{.data = value.data() + begin,
                           .num_elements = std::min(kPiece, size - begin),
                           .type = CommType::kByte};
    RW_RETURN_IF_ERROR(communicator.Broadcast(name, piece, root)->Wait());
  }
  return absl::OkStatus();
}

}  // namespace routewright
