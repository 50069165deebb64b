"""Demonstrations for the warm start, as text: what a routing episode looks like, how a question is taken apart, how a
name is copied. Routes are uniform over the models, most names are invented, and a reply may be wrong: a demonstration
says nothing about who knows what. make_demonstrations.py turns them into trajectory files.
"""
import json
import os

from make_world import FORMS, TOPICS, TWO_HOP

FOLDER = os.path.dirname(os.path.abspath(__file__))
MODELS = ["Atlas", "Curie", "Ledger", "Nomad", "Parrot", "Sage"]
SENTENCES = {topic["topic"]: topic["sentence"] for topic in TOPICS}
NEEDS = {"capital": "a capital", "country": "a country", "currency": "a currency", "region": "a continent", "city": "a place",
         "symbol": "a symbol", "number": "a number", "sum": "a sum"}
DO_NOT_KNOW = "I do not know that; ask another model."
SYLLABLES = [c + v for c in ["b", "br", "ch", "d", "f", "g", "h", "j", "k", "kr", "l", "m", "n", "p", "r", "s", "sh", "st", "t",
                             "tr", "v", "w", "y", "z", ""] for v in ["a", "e", "i", "o", "u", "ai", "an", "ar", "en", "er", "in",
                                                                     "on", "or", "ou", "um", "ang", "est", "ia", "ist", "ob"]]


def is_demonstrable(fact, held_out):
    """Whether a fact belongs to the training half."""
    entity = fact["value"] if fact["topic"] in ("country", "city") else fact["subject"]
    return entity not in held_out


def training_facts():
    with open(os.path.join(FOLDER, "entities.held_out.txt"), encoding="utf-8") as file:
        held_out = set(file.read().split("\n"))
    with open(os.path.join(FOLDER, "facts.jsonl"), encoding="utf-8") as file:
        facts = [json.loads(line) for line in file]
    return [f for f in facts if "subject" in f and is_demonstrable(f, held_out)]


class NameMaker:
    """Invents names: letter by letter after the training half's names, or of syllables."""

    def __init__(self, rng, facts):
        self.rng = rng
        self.followers = {}
        names = sorted({n for f in facts for n in (f["subject"], f["value"]) if n[0].isalpha() and len(n) > 3})
        self.words = sorted({w for n in names for w in n.replace("-", " ").split() if len(w) > 1})
        for word in self.words:
            padded = "^^" + word + "$"
            for i in range(2, len(padded)):
                self.followers.setdefault(padded[i - 2:i], []).append(padded[i])

    def chained(self):
        word = "^^"
        while len(word) < 15:
            letter = self.rng.choice(self.followers[word[-2:]])
            if letter == "$":
                break
            word += letter
        return word[2:]

    def spelled(self):
        return "".join(self.rng.choice(SYLLABLES) for _ in range(self.rng.randint(1, 4))).capitalize()

    def word(self):
        draw = self.rng.random()
        word = self.chained() if draw < 0.6 else self.spelled() if draw < 0.9 else self.rng.choice(self.words)
        return word if len(word) > 1 else self.word()

    def name(self):
        draw = self.rng.random()
        if draw < 0.6:
            return self.word()
        if draw < 0.65:
            return self.word() + "-" + self.word()
        if draw < 0.67:
            return self.word()[:2] + "'" + self.word()
        if draw < 0.97:
            return self.word() + " " + self.word()
        return " ".join(self.word() for _ in range(3))

    def subject(self, topic):
        return f"{self.rng.randint(2, 99)} + {self.rng.randint(2, 99)}" if topic == "sum" else self.name()

    def value(self, topic):
        if topic == "symbol":
            return self.word()[:self.rng.randint(1, 2)]
        if topic in ("number", "sum"):
            return str(self.rng.randint(1, 200))
        return self.word() if topic == "currency" else self.name()


class DemonstrationMaker:
    def __init__(self, rng, real_share=0.25, two_hop_share=0.4):
        self.rng, self.real_share, self.two_hop_share = rng, real_share, two_hop_share
        facts = training_facts()
        self.names = NameMaker(rng, facts)
        self.facts = {}
        for fact in facts:
            self.facts.setdefault(fact["topic"], []).append(fact)

    def pair(self, topic, subject=None):
        """(subject, what the reply says): half of the replies about real subjects are wrong."""
        facts = self.facts.get(topic)
        if facts and self.rng.random() < self.real_share:
            fact = self.rng.choice(facts)
            value = fact["value"] if self.rng.random() < 0.5 else self.rng.choice(facts)["value"]
            return subject or fact["subject"], value
        return subject or self.names.subject(topic), self.names.value(topic)

    def call(self, topic, query, reply):
        """One round with a call, as (writer, text); sometimes the first model does not know and another is asked."""
        def ask(answer):
            model = self.rng.choice(MODELS)
            return [("policy", f"<think> I need {NEEDS[topic]}.</think><search> {model}: {query}</search>"), ("reply", answer)]
        return (ask(DO_NOT_KNOW) if self.rng.random() < 0.02 else []) + ask(reply)

    def make(self):
        """(question, [(writer, text)]): writers are "policy" and "reply"; the text of a reply is its body alone. A
        sub-question has its topic's first wording, whatever the question's: with two of them a small policy begins the
        one and ends with the other."""
        if self.rng.random() < self.two_hop_share:
            (first, second), wordings = self.rng.choice(list(TWO_HOP.items()))
            subject, bridge = self.pair(first)
            _, value = self.pair(second, bridge)
            question = self.rng.choice(wordings).format(subject=subject)
            rounds = self.call(first, FORMS[first][0].format(subject=subject),
                               SENTENCES[first].format(subject=subject, value=bridge))
            rounds += self.call(second, FORMS[second][0].format(subject=bridge),
                                SENTENCES[second].format(subject=bridge, value=value))
        else:
            topic = self.rng.choice(list(SENTENCES))
            subject, value = self.pair(topic)
            question = self.rng.choice(FORMS[topic]).format(subject=subject)
            rounds = self.call(topic, FORMS[topic][0].format(subject=subject),
                               SENTENCES[topic].format(subject=subject, value=value))
        rounds.append(("policy", f"<think> I know it.</think><answer> {value}</answer>"))
        return question, rounds


def segments(question, rounds):
    """The episode as (writer, text) in full: "prompt", "policy", and "observation" (text around the reply included)."""
    yield "prompt", f"Question: {question}\n"
    for writer, text in rounds:
        yield (writer, text) if writer == "policy" else ("observation", text)
