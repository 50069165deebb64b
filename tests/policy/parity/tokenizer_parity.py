#!/usr/bin/env python3
"""Compares Routewright's tokenizer with Hugging Face `tokenizers` on thousands of awkward strings.

  tokenizer_parity.py --routewright build/bin/routewright --plain build/tests/plain_ids --cache build/tokenizers
                      [--count 12000] [--seed 1] [--policy FOLDER…]

For SmolLM2, Qwen2 and Llama 3 (their real vocabularies, made by make_tokenizers.py), for every --policy, and for the
folder that `routewright convert` makes of SmolLM2's GGUF file (against make_tokenizers.py's SmolLM2):
ids equal; ids with added tokens off equal, and none of them an added one; decoded text equal.
Fails on the first differences of each, printing them.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from tokenizers import Tokenizer

import awkward_strings
import make_tokenizers


def run_lines(command, values):
    """The answers of a program that reads and writes one JSON value per line."""
    text = "".join(json.dumps(value) + "\n" for value in values)
    done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def without_added_tokens(path):
    document = json.loads(path.read_text())
    document["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(document))


def encode(tokenizer, strings):
    return [e.ids for e in tokenizer.encode_batch(strings, add_special_tokens=False)]


def report(name, what, strings, expected, actual):
    """Prints the first differences; returns their number."""
    wrong = [i for i in range(len(strings)) if expected[i] != actual[i]]
    for i in wrong[:5]:
        print(f"{name}: {what} of {strings[i]!a}\n  tokenizers {expected[i]!a}\n  routewright {actual[i]!a}")
    return len(wrong)


def compare(name, folder, arguments, theirs_folder=None):
    """Routewright's tokenizer of `folder` with Hugging Face's of `theirs_folder` (default: the same)."""
    started = time.monotonic()
    path = pathlib.Path(theirs_folder or folder) / "tokenizer.json"
    theirs = Tokenizer.from_file(str(path))
    added = theirs.get_added_tokens_decoder()
    strings = awkward_strings.awkward_strings(arguments.count, arguments.seed, [t.content for t in added.values()][:40])

    ids = encode(theirs, strings)
    ours = [a["ids"] for a in run_lines([arguments.routewright, "tokenize", "--policy", str(folder)], strings)]
    wrong = report(name, "ids", strings, ids, ours)

    plain = [a["ids"] for a in run_lines([arguments.plain, str(folder)], strings)]
    wrong += report(name, "plain ids", strings, encode(without_added_tokens(path), strings), plain)
    wrong += sum(any(id in added for id in line) for line in plain)

    back = run_lines([arguments.routewright, "tokenize", "--policy", str(folder), "--decode"], [{"ids": i} for i in ids])
    texts = theirs.decode_batch(ids, skip_special_tokens=False)
    # Where a vocabulary lacks a byte, what is left may be no UTF-8: then each shows it in its own way.
    whole = [i for i, text in enumerate(texts) if "\ufffd" not in text]
    wrong += report(name, "text", [strings[i] for i in whole], [texts[i] for i in whole], [back[i] for i in whole])
    seconds = time.monotonic() - started
    print(f"{name}: {len(strings)} strings, {sum(map(len, ids))} tokens compared, {wrong} differ ({seconds:.1f} s)")
    return wrong


def compare_converted(arguments):
    """The tokenizer that `convert` makes, read by Routewright and by Hugging Face, against make_tokenizers.py's."""
    made = make_tokenizers.policy_folder(arguments.cache, "smollm2")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) / "smollm2"
        gguf = str(make_tokenizers.smollm2_gguf())
        convert = [arguments.routewright, "convert", "--from", gguf, "--to", str(folder), "--format", "bf16"]
        subprocess.run(convert, check=True)
        wrong = compare("smollm2 converted", folder, arguments, theirs_folder=made)
        theirs = Tokenizer.from_file(str(made / "tokenizer.json"))
        converted = Tokenizer.from_file(str(folder / "tokenizer.json"))
    strings = awkward_strings.awkward_strings(2000, arguments.seed, ["<|im_start|>", "<|im_end|>"])
    expected, actual = encode(theirs, strings), encode(converted, strings)
    return wrong + report("smollm2 converted", "Hugging Face's ids", strings, expected, actual)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--routewright", required=True)
    parser.add_argument("--plain", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--count", type=int, default=12000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--policy", action="append", default=[])
    arguments = parser.parse_args()
    wrong = 0
    for name in make_tokenizers.MAKERS:
        wrong += compare(name, make_tokenizers.policy_folder(arguments.cache, name), arguments)
    wrong += compare_converted(arguments)
    for folder in arguments.policy:
        wrong += compare(folder, folder, arguments)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
