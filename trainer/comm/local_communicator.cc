#include "trainer/comm/local_communicator.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "common/check.h"

namespace routewright {
namespace {

class DoneCollective final : public Collective {
 public:
  absl::Status Wait() override { return absl::OkStatus(); }
};

class LocalCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }

  std::unique_ptr<Collective> AllReduceSum(std::string_view, CommBuffer) override { return Done(); }
  std::unique_ptr<Collective> Broadcast(std::string_view, CommBuffer, int root) override {
    RW_CHECK(root == 0) << "root " << root << " of one rank";
    return Done();
  }
  std::unique_ptr<Collective> AllGather(std::string_view, CommBuffer mine,
                                        CommBuffer all) override {
    Copy(/*from=*/mine, /*to=*/all);
    return Done();
  }
  std::unique_ptr<Collective> ReduceScatterSum(std::string_view, CommBuffer all,
                                               CommBuffer mine) override {
    Copy(/*from=*/all, /*to=*/mine);
    return Done();
  }
  std::unique_ptr<Collective> Barrier(std::string_view) override { return Done(); }

  absl::StatusOr<std::unique_ptr<Communicator>> Split(std::string_view, int) override {
    return NewLocalCommunicator();
  }

  [[noreturn]] void Abort(const absl::Status& why) override {
    std::fprintf(stderr, "%s: aborting: %s\n", ProcessName(), std::string(why.message()).c_str());
    std::_Exit(1);
  }

 private:
  static std::unique_ptr<Collective> Done() { return std::make_unique<DoneCollective>(); }
  static void Copy(const CommBuffer& from, const CommBuffer& to) {
    RW_CHECK(from.num_elements == to.num_elements && from.type == to.type) << "buffers differ";
    if (from.data == to.data) return;
    RW_CHECK(!from.is_on_gpu && !to.is_on_gpu)
        << "the one-process communicator copies host buffers only";
    std::memmove(to.data, from.data, from.num_elements * CommTypeBytes(from.type));
  }
};

}  // namespace

std::unique_ptr<Communicator> NewLocalCommunicator() {
  return std::make_unique<LocalCommunicator>();
}

}  // namespace routewright
