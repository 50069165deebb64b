#include "trainer/comm/checked_communicator.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/absl_view.h"
#include "common/check.h"
#include "common/status_macros.h"

namespace routewright {
namespace {

// What a rank is about to start, as it crosses the wire.
struct Announcement {
  char name[128] = {};  // cut if it is longer
  char kind[16] = {};
  int64_t num_elements = 0;
  int32_t type = 0;
  int32_t root = 0;

  bool operator==(const Announcement& other) const {
    return std::memcmp(this, &other, sizeof(*this)) == 0;
  }
  std::string Describe() const {
    const std::string from =
        std::strcmp(kind, "broadcast") == 0 ? absl::StrCat(" from rank ", root) : std::string();
    return absl::StrCat("'", name, "' (", kind, from, ", ", num_elements, " elements of ",
                        CommTypeBytes(static_cast<CommType>(type)), " bytes)");
  }
};
static_assert(std::has_unique_object_representations_v<Announcement>);

class FailedCollective final : public Collective {
 public:
  explicit FailedCollective(absl::Status status) : status_(std::move(status)) {}
  absl::Status Wait() override { return status_; }

 private:
  const absl::Status status_;
};

class CheckedCommunicator final : public Communicator {
 public:
  explicit CheckedCommunicator(std::unique_ptr<Communicator> communicator)
      : inner_(std::move(communicator)) {}
  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  int local_rank() const override { return inner_->local_rank(); }
  int local_size() const override { return inner_->local_size(); }

  std::unique_ptr<Collective> AllReduceSum(std::string_view name, CommBuffer buffer) override {
    return Start(name, "all-reduce", buffer, /*root=*/0,
                 [&] { return inner_->AllReduceSum(name, buffer); });
  }
  std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer buffer,
                                        int root) override {
    return Start(name, "broadcast", buffer, root,
                 [&] { return inner_->Broadcast(name, buffer, root); });
  }
  std::unique_ptr<Collective> AllGather(std::string_view name, CommBuffer mine,
                                        CommBuffer all) override {
    return Start(name, "all-gather", all, /*root=*/0,
                 [&] { return inner_->AllGather(name, mine, all); });
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view name, CommBuffer all,
                                               CommBuffer mine) override {
    return Start(name, "reduce-scatter", all, /*root=*/0,
                 [&] { return inner_->ReduceScatterSum(name, all, mine); });
  }
  std::unique_ptr<Collective> Barrier(std::string_view name) override {
    return Start(name, "barrier", {}, /*root=*/0, [&] { return inner_->Barrier(name); });
  }
  absl::StatusOr<std::unique_ptr<Communicator>> Split(std::string_view name, int color) override {
    RW_RETURN_IF_ERROR(Agree(name, "split", {}, /*root=*/0));
    RW_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group, inner_->Split(name, color));
    return NewCheckedCommunicator(std::move(group));
  }
  void BeginStep(int64_t step) override { inner_->BeginStep(step); }
  [[noreturn]] void Abort(const absl::Status& why) override {
    inner_->Abort(why);
    std::abort();  // g++ does not see [[noreturn]] through a virtual call
  }

 private:
  std::unique_ptr<Collective> Start(std::string_view name, const char* kind,
                                    const CommBuffer& buffer, int root,
                                    const std::function<std::unique_ptr<Collective>()>& start) {
    absl::Status status = Agree(name, kind, buffer, root);
    if (!status.ok()) return std::make_unique<FailedCollective>(std::move(status));
    return start();
  }

  absl::Status Agree(std::string_view name, const char* kind, const CommBuffer& buffer, int root) {
    if (!status_.ok()) return status_;
    std::vector<Announcement> all(size());
    Announcement& mine = all[rank()];
    name.copy(mine.name, sizeof(mine.name) - 1);
    std::string_view(kind).copy(mine.kind, sizeof(mine.kind) - 1);
    mine.num_elements = buffer.num_elements;
    mine.type = static_cast<int32_t>(buffer.type);
    mine.root = root;
    constexpr int64_t kBytes = sizeof(Announcement);
    RW_RETURN_IF_ERROR(
        inner_
            ->AllGather(
                absl::StrCat("order of ", AbslView(name)),
                {.data = &mine, .num_elements = kBytes, .type = CommType::kByte},
                {.data = all.data(), .num_elements = kBytes * size(), .type = CommType::kByte})
            ->Wait());
    const auto other = std::find_if(all.begin(), all.end(),
                                    [&](const Announcement& a) { return !(a == all.front()); });
    if (other == all.end()) return absl::OkStatus();
    status_ = absl::FailedPreconditionError(absl::StrCat(
        "the ranks' collectives are in different orders: rank 0 starts ", all.front().Describe(),
        " where rank ", other - all.begin(), " starts ", other->Describe()));
    return status_;
  }

  const std::unique_ptr<Communicator> inner_;
  absl::Status status_;  // the first disagreement
};

}  // namespace

std::unique_ptr<Communicator> NewCheckedCommunicator(std::unique_ptr<Communicator> communicator) {
  return std::make_unique<CheckedCommunicator>(std::move(communicator));
}

}  // namespace routewright
