// Rank 1 of two, without a rank 0: for what ranks do with what rank 0 tells them when a run starts.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "tests/trainer/forwarding_communicator.h"
#include "trainer/comm/local_communicator.h"

namespace switchyard {

// Every broadcast brings `text`, and its length before it.
class ToldCommunicator final : public ForwardingCommunicator {
 public:
  explicit ToldCommunicator(std::string text)
      : ForwardingCommunicator(NewLocalCommunicator()), text_(std::move(text)) {}
  int rank() const override { return 1; }
  int size() const override { return 2; }
  std::unique_ptr<Collective> Broadcast(std::string_view name, CommBuffer buffer,
                                        int /*root*/) override {
    if (buffer.type == CommType::kInt64) {
      *static_cast<int64_t*>(buffer.data) = static_cast<int64_t>(text_.size());
    } else {
      std::memcpy(buffer.data, text_.data(), buffer.num_elements);
    }
    return Barrier(name);
  }

 private:
  const std::string text_;
};

}  // namespace switchyard
