#include "trainer/experience/question_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/random.h"

namespace routewright {

QuestionSource::QuestionSource(std::vector<Question> questions, uint64_t seed)
    : questions_(std::move(questions)), order_(questions_.size(), seed, "question order") {
  for (const Question& question : questions_) digest_ = StreamKey(digest_, question.id(), 0);
}

std::vector<Question> QuestionSource::Draw(int n) {
  std::vector<Question> drawn;
  for (int i = 0; i < n; ++i, ++cursor_) {
    drawn.push_back(questions_[order_.At(cursor_)]);
  }
  return drawn;
}

absl::Status QuestionSource::Restore(uint64_t cursor, uint64_t digest) {
  if (digest != digest_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the checkpoint was made with other training questions (digest ", absl::Hex(digest),
        ", now ", absl::Hex(digest_), "): restore data.train, or start with --resume none"));
  }
  cursor_ = cursor;
  return absl::OkStatus();
}

}  // namespace routewright
