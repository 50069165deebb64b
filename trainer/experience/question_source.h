// Which questions a step gets: passes over the training questions, each pass in its own
// order, a pure function of (seed, cursor), so that a resumed run goes on with the question
// after the last one. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "proto/episode.pb.h"
#include "trainer/experience/shuffled_order.h"

namespace routewright {

class QuestionSource {
 public:
  // `questions` must not be empty.
  QuestionSource(std::vector<Question> questions, uint64_t seed);

  // The next n questions; begins a new pass where one ends.
  std::vector<Question> Draw(int n);

  uint64_t cursor() const { return cursor_; }  // questions drawn so far
  uint64_t digest() const { return digest_; }  // of the questions' ids, in file order
  size_t num_questions() const { return questions_.size(); }
  // Fails: kFailedPrecondition if the cursor was saved over other questions.
  absl::Status Restore(uint64_t cursor, uint64_t digest);

 private:
  const std::vector<Question> questions_;
  ShuffledOrder order_;
  uint64_t digest_ = 0;
  uint64_t cursor_ = 0;
};

}  // namespace routewright
