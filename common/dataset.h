// Reads questions: the datasets that the learner trains on and that evaluation scores. Three forms,
// told apart by the first character: JSON lines of
// {"id","question","golden_answers":[…],"data_source","hops"}; JSON lines as NQ-open
// publishes them ({"question","answer":[…]}); one JSON array of such objects, as HotpotQA
// publishes it ("_id", "answer").
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"

namespace routewright {

// The questions of `path` in the file's order, the first `max_questions` of them (0 = all).
//   data_source   for rows without one; empty: the file's name up to its first dot
//   golden answers: `golden_answers` or `answer`, one string or an array of at least one
//   a missing id (`id` or `_id`) becomes "<data source>:<line>", in an array "<data
//   source>:<item>", counted from 1
// Fails: kNotFound without the file; kInvalidArgument naming file:line (or item), what is
// wrong there and what a row must hold; also for an id that comes twice and for a file
// without questions. Any thread.
absl::StatusOr<std::vector<Question>> LoadQuestions(const std::string& path,
                                                    const std::string& data_source,
                                                    int max_questions);

// The questions of every dataset of a config, in order. Fails as above.
absl::StatusOr<std::vector<Question>> LoadDatasets(
    const google::protobuf::RepeatedPtrField<DatasetConfig>& datasets);

}  // namespace routewright
