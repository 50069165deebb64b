#!/usr/bin/env python3
"""Whether learning holds: trains a config once a seed, evaluates each policy on the held-out questions, and prints a row a
run with mean, least and largest.

  learning_seeds.py --seeds 1-10
  learning_seeds.py --seeds 1-5 --name portable --environment MKL_CBWR=COMPATIBLE --environment ATEN_CPU_CAPABILITY=default
    --environment ONEDNN_MAX_CPU_ISA=SSE41 --environment ROUTEWRIGHT_CPU_LEVEL=portable
  learning_seeds.py --seeds 1-3 --name no_trials --set trainer.routing.trial_share=0

Needs build/bin/routewright. The pool is the emulator of the config. A run that was evaluated is not made again: the script
goes on where it was stopped, and adds its rows to those of NAME. A run takes minutes on two cores; let nothing run beside it if its time is to count. Rows as
JSON are in OUTPUT/NAME.jsonl; the curves of all runs in OUTPUT, by name, in OUTPUT/comparison.html.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALIVE = 0.01  # of the calls: a model with less counts as lost


def seeds_of(text):
    first, _, last = text.partition("-")
    seeds = list(range(int(first), int(last or first) + 1))
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text} names no seed: write the lower one first")
    return seeds


def run(command, environment, log):
    with open(log, "ab") as sink:
        done = subprocess.run([str(word) for word in command], cwd=ROOT, env={**os.environ, **environment}, stdout=sink,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"{command[0]} ended with {done.returncode}; its log: {log}")


def train_and_evaluate(options, seed, environment):
    """The row of one run."""
    name = f"{options.name}-{seed}"
    folder = options.output / name
    log = options.output / f"{name}.log"
    sets = ["--set", f"run.name={name}", "--set", f"run.output_dir={options.output}", "--set", f"run.seed={seed}"]
    for text in options.set:
        sets += ["--set", text]
    report = folder / "report.json"
    settings = folder / "learning_seeds.json"  # what this row is of: another's is not taken for it
    wanted = {"config": options.config, "set": options.set, "environment": options.environment, "ranks": options.ranks,
              "workers": options.workers}
    if settings.exists() and json.loads(settings.read_text()) != wanted:
        sys.exit(f"{folder} was made with other settings, {settings.read_text()}: give these another --name")
    if report.exists() and not settings.exists():
        sys.exit(f"{folder} does not say with which settings it was made: give these another --name")
    if not report.exists():
        folder.mkdir(exist_ok=True)
        settings.write_text(json.dumps(wanted) + "\n")
        run(["launch/local.sh", "--config", options.config, "--ranks", options.ranks, "--workers", options.workers, "--emulator",
             "--", *sets, "--resume", "auto"], environment, log)
        newest = sorted((folder / "checkpoints").glob("step-*"))[-1]
        run(["launch/with_pool.sh", "--config", options.config, "--log", folder / "pool.log", "--", "build/bin/routewright", "eval",
             "--config", options.config, *sets, "--policy", newest / "policy", "--baselines", "none", "--output", report,
             "--table", folder / "report.txt"], environment, log)
    trained = json.loads(report.read_text())["trained"]
    if trained["num_left_out"] > 0:
        sys.exit(f"{report}: the pool failed {trained['num_left_out']} questions, so that the rows can't be compared: remove it, "
                 "and start this again")
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    by_source = {source: row["em"] for source, row in trained.get("by_source", {}).items()}
    lowest = min(by_source, key=by_source.get) if by_source else ""
    return {"name": options.name, "seed": seed, "em": trained["em"], "lowest_source": lowest,
            "lowest_em": by_source.get(lowest, trained["em"]),
            "models_alive": sum(share >= ALIVE for share in trained["share"].values()),
            "cost_usd_per_1k": trained["cost_usd_per_1k"], "train_s": sum(row.get("step/time_s", 0) for row in steps)}


def table(rows):
    lines = [f"{'run':24} {'EM':>6} {'lowest source':>22} {'alive':>6} {'$ / 1k':>8} {'train s':>8}"]
    for row in rows:
        source = f"{row['lowest_source']} {row['lowest_em']:.3f}"
        lines.append(f"{row['name'] + '-' + str(row['seed']):24} {row['em']:6.3f} {source:>22} {row['models_alive']:6d} "
                     f"{row['cost_usd_per_1k']:8.5f} {row['train_s']:8.0f}")
    for what, of in (("mean", lambda values: sum(values) / len(values)), ("min", min), ("max", max)):
        column = lambda key: of([row[key] for row in rows])
        lines.append(f"{what:24} {column('em'):6.3f} {column('lowest_em'):22.3f} {column('models_alive'):6.1f} "
                     f"{column('cost_usd_per_1k'):8.5f} {column('train_s'):8.0f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("1-3"), help="1-10, or one")
    parser.add_argument("--config", default="configs/quickstart.yaml")
    parser.add_argument("--name", default="as_it_is")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "runs/learning_seeds")
    parser.add_argument("--ranks", default="2")
    parser.add_argument("--workers", default="2")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    options.output = options.output.resolve()
    options.output.mkdir(parents=True, exist_ok=True)
    environment = dict(text.split("=", 1) for text in options.environment)
    file = options.output / f"{options.name}.jsonl"
    rows = {row["seed"]: row for row in map(json.loads, file.read_text().splitlines())} if file.exists() else {}
    for seed in options.seeds:
        rows[seed] = train_and_evaluate(options, seed, environment)
        print(json.dumps(rows[seed]), flush=True)
        file.write_text("".join(json.dumps(rows[known]) + "\n" for known in sorted(rows)))
    print(table([rows[seed] for seed in sorted(rows)]))
    runs = sorted(path.parent for path in options.output.glob("*/report.json"))
    subprocess.run(["build/bin/routewright", "report", *runs, "--output", options.output / "comparison.html"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
