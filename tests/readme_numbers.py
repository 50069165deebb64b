#!/usr/bin/env python3
"""The numbers of README.md: what the quickstart came to, and on what.

usage: readme_numbers.py [--run runs/quickstart] [--seeds FILE…] [--write]

--run: what launch/quickstart.sh has made. --seeds: files with rows of tests/benchmarks/learning_seeds.py, such as
runs/learning_seeds/as_it_is.jsonl, each of one setting of the machine; all their rows count. Prints the lines that stand in README.md between the two comments
"numbers"; --write puts them there.
"""
import argparse
import json
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- numbers: printed by tests/readme_numbers.py --write -->\n", "<!-- end of numbers -->\n"
ROWS = ("trained", "untrained", "random", "forced:Sage", "oracle")


def minutes(seconds):
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def typical(values, worst):
    """The median; of an even number the worse one of the middle two."""
    return statistics.median_low(values) if worst is min else statistics.median_high(values)


def seeds_in_words(seeds):
    """1 to 10, or 1, 2, 5."""
    whole = list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if seeds == whole and len(seeds) > 2 else ", ".join(map(str, seeds))


def over_seeds(files):
    """The typical run and the worst one, of every file of rows."""
    rows_of = {path: [json.loads(line) for line in path.read_text().splitlines()] for path in files}
    rows = [row for of_file in rows_of.values() for row in of_file]
    if not all(rows_of.values()):
        sys.exit("a file of --seeds has no rows: run tests/benchmarks/learning_seeds.py")
    names = [of_file[0]["name"] for of_file in rows_of.values()]
    parts = [f"{name.replace('_', ' ')} (seeds {seeds_in_words(sorted(row['seed'] for row in of_file))})"
             for name, of_file in zip(names, rows_of.values())]
    lines = [f"{'':23} {'typical':>8} {'worst':>8}"]
    for title, key, worst, shown in (("EM", "em", min, ".3f"), ("EM, lowest source", "lowest_em", min, ".3f"),
                                     ("models alive", "models_alive", min, "d"), ("cost", "cost_usd_per_1k", max, ".5f")):
        values = [row[key] for row in rows]
        lines.append(f"{title:23} {typical(values, worst):>8{shown}} {worst(values):>8{shown}}")
    table = "\n".join(line.rstrip() for line in lines)
    return f"\nA claim needs more than one run. {len(rows)} came to, {', '.join(parts)}:\n\n```\n{table}\n```\n"


def numbers(run, seeds=None):
    table = (run / "report.txt").read_text().splitlines()
    head = next(line for line in table if line.split()[:1] == ["EM"])
    first = {}  # the table is the first that names them
    for line in table:
        first.setdefault(line.split()[0] if line.split() else "", line)
    rows = [first[name] for name in ROWS if name in first]
    if len(rows) != len(ROWS):
        sys.exit(f"{run}/report.txt lacks one of the rows {', '.join(ROWS)}: run launch/quickstart.sh")
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [row for row in metrics if "step/time_s" in row]
    environment = json.loads((run / "environment.json").read_text())
    shown = "\n".join(line[: head.index("entropy")].rstrip() for line in [head, *rows])
    return (f"```\n{shown}\n```\n\n"
            f"Measured on {environment['started'][:10]}, with seed 1, on {environment['cores']} cores of an "
            f"{environment['processor']}:\n{len(steps)} steps in {minutes(sum(row['step/time_s'] for row in steps))}. "
            "`cost` is in dollars per 1,000 questions.\n" + (over_seeds(seeds) if seeds else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=pathlib.Path, default=ROOT / "runs/quickstart")
    parser.add_argument("--seeds", type=pathlib.Path, nargs="+")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    text = numbers(arguments.run, arguments.seeds)
    if not arguments.write:
        print(text, end="")
        return
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    readme.write_text(before + BEGIN + text + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
