// Reads questions: the datasets that the learner trains on and that evaluation scores. Three forms,
// told apart by the first character: JSON lines of
// {"id","question","golden_answers":[…],"data_source","hops"}; JSON lines as NQ-open, TriviaQA, PopQA
// and MuSiQue publish them; one JSON array of such objects, as HotpotQA publishes it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"

namespace routewright {

// The questions of `path` in the file's order; with max_questions > 0 so many of them, as DrawEvenly
// draws them.
//   data_source   for rows without one; empty: the file's name up to its first dot
//   golden answers: `golden_answers`, `answer`, `answers` or `possible_answers`: a string, an array of at
//                   least one, a string that holds such an array as JSON, or TriviaQA's object with `value`
//                   and `aliases`; those of `answer_aliases` (MuSiQue) are added
//   a missing id (`id`, `_id` or `question_id`) becomes "<data source>:<line>", in an array "<data
//   source>:<item>", counted from 1
// Fails: kNotFound without the file; kInvalidArgument naming file:line (or item), what is
// wrong there and what a row must hold; also for an id that comes twice, for a row that says that it is
// not answerable, for a file without questions and for one that is something else. Any thread.
absl::StatusOr<std::vector<Question>> LoadQuestions(const std::string& path,
                                                    const std::string& data_source,
                                                    int max_questions);

// The questions of every dataset of a config, in order. Fails as above.
absl::StatusOr<std::vector<Question>> LoadDatasets(
    const google::protobuf::RepeatedPtrField<DatasetConfig>& datasets);

// `count` of the questions, in their order: as many of each data source as far as it has them, drawn by their ids alone.
// The same in every run, whatever its seed. All of them if there are no more.
std::vector<Question> DrawEvenly(std::vector<Question> questions, size_t count);

}  // namespace routewright
