#include "trainer/experience/question_source.h"

#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/random.h"

namespace routewright {
namespace {

constexpr char kOrderName[] = "question order";

}  // namespace

absl::Status CheckSourceWeights(const DataConfig& config, const std::vector<Question>& questions) {
  std::set<std::string> sources;
  for (const Question& question : questions) sources.insert(question.data_source());
  for (const auto& [name, weight] : config.source_weights()) {
    if (sources.contains(name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("data.source_weights: no question of data.train is of the data source '", name,
                     "'; there are ", absl::StrJoin(sources, ", ")));
  }
  return absl::OkStatus();
}

std::vector<QuestionSource::Deck> QuestionSource::MakeDecks(const std::vector<Question>& questions,
                                                            uint64_t seed,
                                                            const DataConfig& config) {
  const bool by_source = config.draw() == DataConfig::DRAW_SOURCES;
  std::map<std::string, std::vector<size_t>> places;  // by the name of the deck's order
  for (size_t i = 0; i < questions.size(); ++i) {
    places[by_source ? absl::StrCat(kOrderName, " of ", questions[i].data_source()) : kOrderName]
        .push_back(i);
  }
  std::vector<Deck> decks;
  for (auto& [name, in_deck] : places) {
    const size_t count = in_deck.size();
    decks.push_back({std::move(in_deck), ShuffledOrder(count, seed, name)});
  }
  return decks;
}

std::vector<QuestionSource::Turn> QuestionSource::MakeTurns(const std::vector<Question>& questions,
                                                            const std::vector<Deck>& decks,
                                                            const DataConfig& config) {
  std::vector<Turn> turns;
  for (size_t d = 0; d < decks.size(); ++d) {
    const auto weight =
        config.source_weights().find(questions[decks[d].places.front()].data_source());
    const bool has_weight =
        config.draw() == DataConfig::DRAW_SOURCES && weight != config.source_weights().end();
    const uint64_t count = has_weight ? static_cast<uint64_t>(weight->second) : 1;
    for (uint64_t place = 0; place < count; ++place) turns.push_back({d, place, count});
  }
  return turns;
}

QuestionSource::QuestionSource(std::vector<Question> questions, uint64_t seed,
                               const DataConfig& config)
    : questions_(std::move(questions)),
      decks_(MakeDecks(questions_, seed, config)),
      turns_(MakeTurns(questions_, decks_, config)),
      order_of_turns_(turns_.size(), seed, "order of data sources") {
  for (const Question& question : questions_) {
    digest_ = StreamKey(digest_, question.SerializeAsString(), 0);
  }
}

std::vector<Question> QuestionSource::Draw(int n) {
  std::vector<Question> drawn;
  for (int i = 0; i < n; ++i) drawn.push_back(At(cursor_++));
  return drawn;
}

const Question& QuestionSource::At(uint64_t cursor) {
  const Turn& turn = turns_[order_of_turns_.At(cursor)];
  Deck& deck = decks_[turn.deck];
  const uint64_t round = cursor / turns_.size();
  return questions_[deck.places[deck.order.At(round * turn.weight + turn.place)]];
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
