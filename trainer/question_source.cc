#include "trainer/question_source.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/check.h"
#include "common/random.h"

namespace switchyard {

QuestionSource::QuestionSource(std::vector<Question> questions, uint64_t seed)
    : questions_(std::move(questions)), seed_(seed) {
  SY_CHECK(!questions_.empty()) << "no questions";
  for (const Question& question : questions_) digest_ = StreamKey(digest_, question.id(), 0);
}

std::vector<Question> QuestionSource::Draw(int n) {
  std::vector<Question> drawn;
  for (int i = 0; i < n; ++i, ++cursor_) {
    ShuffleForPass(cursor_ / questions_.size());
    drawn.push_back(questions_[order_[cursor_ % questions_.size()]]);
  }
  return drawn;
}

absl::Status QuestionSource::Restore(uint64_t cursor, uint64_t digest) {
  if (digest != digest_) {
    return absl::FailedPreconditionError(
        absl::StrCat("the checkpoint was made with other training questions (digest ", absl::Hex(digest), ", now ",
                     absl::Hex(digest_), "): restore data.train, or start with --resume none"));
  }
  cursor_ = cursor;
  return absl::OkStatus();
}

// Fisher-Yates over counter-based draws.
void QuestionSource::ShuffleForPass(uint64_t pass) {
  if (pass == shuffled_pass_) return;
  shuffled_pass_ = pass;
  order_.resize(questions_.size());
  std::iota(order_.begin(), order_.end(), 0);
  const uint64_t key = StreamKey(seed_, "question order", pass);
  for (size_t i = order_.size(); i > 1; --i) {
    std::swap(order_[i - 1], order_[RandomBits(key, i) % i]);
  }
}

}  // namespace switchyard
