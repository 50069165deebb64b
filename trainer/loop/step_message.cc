#include "trainer/loop/step_message.h"

#include <cstring>

#include "common/status_macros.h"

namespace routewright {
namespace {

// Of one program, so its layout is the wire's.
struct Header {
  StepMessage::Kind kind;
  bool is_preempted;
  bool is_traced;
  int64_t step;
  double kl_coefficient;
};

}  // namespace

std::string SerializeStepMessage(const StepMessage& message) {
  Header header;
  std::memset(static_cast<void*>(&header), 0, sizeof(header));
  header.kind = message.kind;
  header.is_preempted = message.is_preempted;
  header.is_traced = message.is_traced;
  header.step = message.step;
  header.kl_coefficient = message.kl_coefficient;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  if (message.kind == StepMessage::Kind::kUpdate) bytes += SerializeBatch(message.batch);
  return bytes;
}

absl::StatusOr<StepMessage> ParseStepMessage(std::string_view bytes) {
  Header header;
  if (bytes.size() < sizeof(header)) {
    return absl::DataLossError("a message from rank 0 arrived cut short");
  }
  std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof(header));
  StepMessage message;
  message.kind = header.kind;
  message.is_preempted = header.is_preempted;
  message.is_traced = header.is_traced;
  message.step = header.step;
  message.kl_coefficient = header.kl_coefficient;
  if (message.kind == StepMessage::Kind::kUpdate) {
    RW_ASSIGN_OR_RETURN(message.batch, ParseBatch(bytes.substr(sizeof(header))));
  }
  return message;
}

}  // namespace routewright
