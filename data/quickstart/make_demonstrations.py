#!/usr/bin/env python3
"""Writes demonstrations for the warm start as trajectory files (proto/episode.proto as JSON lines).

  data/quickstart/make_demonstrations.py --count 1000 --seed 1 --tokenizer data/quickstart/policy --output FILE

Token ids are `routewright tokenize`'s, segment by segment (prompt; each round; each observation's opening, body and
closing), exactly as a worker records an episode. Needs Python 3 alone, and build/bin/routewright.
"""
import argparse
import json
import os
import random
import subprocess
import tempfile

from demonstrations import DemonstrationMaker, segments

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROVENANCE = {"prompt": 1, "policy": 2, "observation": 3}  # PROVENANCE_*


def pieces(question, rounds):
    """(writer, text) in the units that a worker tokenizes."""
    for writer, text in segments(question, rounds):
        if writer == "observation":
            yield writer, "\n\n<information>"
            yield writer, text
            yield writer, "</information>\n\n"
        else:
            yield writer, text


def main():
    parser = argparse.ArgumentParser(description="Writes demonstrations for the quickstart's warm start.")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokenizer", default=os.path.join(ROOT, "data/quickstart/policy"))
    parser.add_argument("--output", required=True)
    options = parser.parse_args()

    maker = DemonstrationMaker(random.Random(options.seed))
    with tempfile.TemporaryDirectory() as scratch, open(options.output, "w", encoding="utf-8") as output:
        texts, ids = os.path.join(scratch, "texts"), os.path.join(scratch, "ids")
        plans = []  # per demonstration: its question and who wrote each piece
        with open(texts, "w", encoding="utf-8") as file:
            for _ in range(options.count):
                question, rounds = maker.make()
                writers = []
                for writer, text in pieces(question, rounds):
                    writers.append(PROVENANCE[writer])
                    file.write(json.dumps(text) + "\n")
                plans.append((question, bytes(writers)))
        with open(texts, encoding="utf-8") as source, open(ids, "w", encoding="utf-8") as sink:
            subprocess.run([os.path.join(ROOT, "build/bin/routewright"), "tokenize", "--policy", options.tokenizer],
                           stdin=source, stdout=sink, check=True)
        with open(ids, encoding="utf-8") as file:
            for number, (question, writers) in enumerate(plans, 1):
                token_ids, provenance = [], []
                for writer in writers:
                    piece = json.loads(next(file))["ids"]
                    token_ids += piece
                    provenance += [writer] * len(piece)
                row = {"episode_id": f"demonstration/{number:07}", "question": {"question": question},
                       "status": "EPISODE_STATUS_ANSWERED", "token_ids": token_ids, "provenance": provenance}
                output.write(json.dumps(row, separators=(",", ":")) + "\n")
    print(f"{options.output}: {options.count} demonstrations")


if __name__ == "__main__":
    main()
