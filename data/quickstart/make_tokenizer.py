#!/usr/bin/env python3
"""Trains the quickstart's tokenizer on demonstrations: byte-level BPE, single digits, 1,024 ids; the protocol's tags are
tokens of their own. Needs the package `tokenizers` (tests/requirements.txt).

  data/quickstart/make_tokenizer.py --output runs/quickstart_warm_start/tokenizer
"""
import argparse
import os
import random
import re

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from demonstrations import DemonstrationMaker, segments

TAGS = [f"<{slash}{name}>" for name in ("think", "search", "information", "answer") for slash in ("", "/")]
VOCABULARY_SIZE = 1024
END = "<|end|>"


def texts(count, seed):
    """Demonstrations without their tags: no merge may reach into one."""
    maker = DemonstrationMaker(random.Random(seed))
    for _ in range(count):
        whole = "".join(text for _, text in segments(*maker.make()))
        yield from re.split("|".join(map(re.escape, TAGS)), whole)


def main():
    parser = argparse.ArgumentParser(description="Trains the quickstart's tokenizer.")
    parser.add_argument("--output", required=True, help="folder for tokenizer.json")
    parser.add_argument("--demonstrations", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY_SIZE - len(TAGS), special_tokens=[END], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts(options.demonstrations, options.seed), trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    assert tokenizer.get_vocab_size() == VOCABULARY_SIZE, tokenizer.get_vocab_size()
    os.makedirs(options.output, exist_ok=True)
    tokenizer.save(os.path.join(options.output, "tokenizer.json"))


if __name__ == "__main__":
    main()
