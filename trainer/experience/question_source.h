// Which questions a step gets: passes over the training questions, each pass in its own
// order, a pure function of (seed, cursor), so that a resumed run goes on with the question
// after the last one. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "proto/config.pb.h"
#include "proto/episode.pb.h"
#include "trainer/experience/shuffled_order.h"

namespace routewright {

// Whether each data source that data.source_weights names has a question; else its weight would be ignored in silence.
// Fails: kInvalidArgument naming it and those that there are.
absl::Status CheckSourceWeights(const DataConfig& config, const std::vector<Question>& questions);

class QuestionSource {
 public:
  // `questions` must not be empty. Of `config` the draw and its weights are read.
  QuestionSource(std::vector<Question> questions, uint64_t seed, const DataConfig& config = {});

  // The next n questions; begins a new pass where one ends.
  std::vector<Question> Draw(int n);

  uint64_t cursor() const { return cursor_; }  // questions drawn so far
  uint64_t digest() const { return digest_; }  // of all that the questions hold, in file order
  size_t num_questions() const { return questions_.size(); }
  // Fails: kFailedPrecondition if the cursor was saved over other questions.
  absl::Status Restore(uint64_t cursor, uint64_t digest);

 private:
  // Questions of which each is drawn once a pass.
  struct Deck {
    std::vector<size_t> places;  // in questions_
    ShuffledOrder order;
  };
  // One question of a round over the decks: the deck, which of its questions in this round, and how many it gives.
  struct Turn {
    size_t deck;
    uint64_t place;
    uint64_t weight;
  };
  static std::vector<Deck> MakeDecks(const std::vector<Question>& questions, uint64_t seed,
                                     const DataConfig& config);
  static std::vector<Turn> MakeTurns(const std::vector<Question>& questions,
                                     const std::vector<Deck>& decks, const DataConfig& config);
  // The question at place `cursor` of the endless order.
  const Question& At(uint64_t cursor);

  const std::vector<Question> questions_;
  std::vector<Deck> decks_;        // one of all questions, or one a data source, by name
  const std::vector<Turn> turns_;  // of a round, in which each deck gives as many as it weighs
  ShuffledOrder order_of_turns_;
  uint64_t digest_ = 0;
  uint64_t cursor_ = 0;
};

}  // namespace routewright
