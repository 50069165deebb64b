#!/usr/bin/env python3
"""Kills a random rank, worker or pool of a running training every so often; prints JSON, exit 1 if anything was lost.

usage: random_kills.py [--minutes 5] [--every 20] [--seed 1] [--steps N]        after: launch/build.sh

launch/local.sh trains the quickstart deterministically with its default restarts. Asserted at the end: status 0, every
step once, the final checkpoint's tensors bit by bit those of an undisturbed run of the same steps. Reported: productive
time, the share of the wall time that went into steps which counted.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time

from launcher_test import Launch
from training_run_test import weights

SETTINGS = {"trainer.record_trajectories": 0.05, "trainer.checkpoint.every_steps": 5, "trainer.questions_per_step": 16,
            "trainer.episodes_per_question": 8, "trainer.evaluate_every": 0, "trainer.checkpoint.asynchronous": "true"}


class Seen:
    """What weights() asks of a run."""

    def __init__(self, folder):
        self.folder = folder

    def checkpoints(self):
        return sorted((self.folder / "checkpoints").glob("step-*"))


def rows(folder):
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def disturb(launch, draw, every, until):
    kills = {"train": 0, "worker": 0, "pool": 0}
    due = time.monotonic() + every
    while launch.process.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
        if time.monotonic() < due:
            continue
        victim = draw.choice(list(kills))
        pids = launch.running(victim)
        if pids:
            try:
                os.kill(draw.choice(pids), signal.SIGKILL)
                kills[victim] += 1
            except ProcessLookupError:
                pass
        due = time.monotonic() + every
    return kills


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--every", type=float, default=20, help="seconds between kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="default: as many as the minutes take here, undisturbed")
    arguments = parser.parse_args()
    os.chdir(pathlib.Path(__file__).resolve().parent)
    draw = random.Random(arguments.seed)
    steps = arguments.steps
    if not steps:  # how fast is this machine?
        with Launch({**SETTINGS, "trainer.steps": 20}) as trial:
            trial.start()
            trial.wait()
            mean_s = sum(row["step/time_s"] for row in rows(trial.folder)[5:]) / 15
            steps = max(20, int(arguments.minutes * 60 / mean_s))
    with Launch({**SETTINGS, "trainer.steps": steps}) as launch:
        started = time.monotonic()
        launch.start()
        kills = disturb(launch, draw, arguments.every, started + 60 * arguments.minutes)
        status = launch.process.wait(timeout=3600)
        wall_s = time.monotonic() - started
        disturbed_rows, disturbed = rows(launch.folder), weights(Seen(launch.folder))
        text = launch.log.read_text()
    with Launch({**SETTINGS, "trainer.steps": steps}) as undisturbed:
        undisturbed.start()
        undisturbed_status = undisturbed.process.wait(timeout=3600)
        expected = weights(Seen(undisturbed.folder))
    productive = sum(row["step/time_s"] for row in disturbed_rows) / wall_s
    losses = [what for is_bad, what in (
        (status != 0, f"status {status}"),
        (undisturbed_status != 0, f"undisturbed status {undisturbed_status}"),
        ([row["step"] for row in disturbed_rows] != list(range(steps)), "steps are missing or twice"),
        (disturbed != expected, "the final weights differ"),
    ) if is_bad]
    print(json.dumps({"steps": steps, "wall_s": round(wall_s, 1), "kills": kills,
                      "restarts_of_ranks": text.count("starting the ranks again"),
                      "productive_share": round(productive, 3), "losses": losses}))
    return 1 if losses else 0


if __name__ == "__main__":
    sys.exit(main())
