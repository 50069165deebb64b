#!/usr/bin/env python3
"""Kills a random rank, worker or pool of a running training every so often; prints JSON, exit 1 if anything was lost.

usage: random_kills.py [--minutes 5] [--every 20] [--seed 1] [--steps N]        after: launch/build.sh

launch/local.sh trains the quickstart deterministically with its default restarts, first disturbed, then undisturbed.
Asserted: status 0; every step once; the final checkpoint's tensors bit by bit those of the undisturbed run; each call
of an episode that was learnt from is in the ledger once, at its price, and that episode was not called for again.
Reported: productive_share, the disturbed run's steps a second, from its first step until so long after the last kill as
is between two, over those that it made while it was left alone (from QUIET_AFTER_S after a kill to the next one): both
of one run, since a machine's speed may change between two. wall_share compares with the undisturbed run all the same.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import sys
import time

from harness import ledger
from launcher_test import Launch
from training_run_test import trajectories_raw, weights

SETTINGS = {"trainer.record_trajectories": 1, "trainer.checkpoint.every_steps": 2, "trainer.questions_per_step": 16,
            "trainer.episodes_per_question": 8, "trainer.evaluate_every": 1000}
QUIET_AFTER_S = 8
LIMIT_S = 3600
VICTIMS = ("train", "worker", "pool")


class Outcome:
    """A run that ended: what it left. Has what weights() and trajectories_raw() ask for."""

    def __init__(self, launch, wall_s):
        self.folder = launch.folder
        self.status = launch.process.returncode
        self.wall_s = wall_s
        self.text = launch.log.read_text()
        self.rows = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        self.weights = weights(self)
        self.ledger_faults, self.paid_usd, self.learnt_from_usd = self.check_ledger()

    def checkpoints(self):
        return sorted((self.folder / "checkpoints").glob("step-*"))

    def check_ledger(self):
        lines = ledger(self.folder)
        place = {line["charge_id"]: i for i, line in enumerate(lines)}
        faults = [] if len(place) == len(lines) else ["a charge id is in the ledger twice"]
        last_of_episode = {line["call_id"].rsplit("/", 2)[0]: i for i, line in enumerate(lines)}
        seen, learnt_from = set(), 0
        for row in trajectories_raw(self):
            episode, calls = row["episode_id"], row.get("pool_calls", [])
            for call in calls:
                charge = call.get("charge_id")
                if charge not in place or charge in seen:
                    faults.append(f"{episode}: charge {charge} is not in the ledger, or belongs to two episodes")
                    continue
                seen.add(charge)
                learnt_from += int(call.get("cost_picousd", 0))
                if lines[place[charge]]["cost_picousd"] != call.get("cost_picousd", "0"):
                    faults.append(f"{episode}: charge {charge} has another price in the ledger")
            if calls and last_of_episode[episode] > max(place.get(call.get("charge_id"), 0) for call in calls):
                faults.append(f"{episode} was called for again after it was committed")
        paid = sum(int(line["cost_picousd"]) for line in lines)
        return faults, paid * 1e-12, learnt_from * 1e-12


def steps_in(samples, begin, end):
    """Steps and seconds between the first and the last sample of that time. samples: (time, steps done), at each step."""
    inside = [sample for sample in samples if begin <= sample[0] <= end]
    return (inside[-1][1] - inside[0][1], inside[-1][0] - inside[0][0]) if inside else (0, 0)


def productive_share(samples, kills_at, every):
    if not kills_at:
        return None
    ends = [*kills_at[1:], kills_at[-1] + every]
    quiet = [steps_in(samples, kill + QUIET_AFTER_S, end) for kill, end in zip(kills_at, ends)]
    quiet_steps, quiet_seconds = (sum(part) for part in zip(*quiet))
    steps, seconds = steps_in(samples, 0, ends[-1])
    if not quiet_steps or not seconds:
        return None  # no step was left alone: a lower rate of kills would tell
    return round(steps / seconds / (quiet_steps / quiet_seconds), 3)


def train(steps, disturb=lambda launch: None):
    with Launch({**SETTINGS, "trainer.steps": steps}) as launch:
        started = time.monotonic()
        launch.start()
        disturb(launch)
        launch.process.wait(timeout=LIMIT_S)
        return Outcome(launch, time.monotonic() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--every", type=float, default=20, help="seconds between kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="default: as many as the minutes take here, undisturbed")
    arguments = parser.parse_args()
    if not QUIET_AFTER_S < arguments.every < 60 * arguments.minutes:
        parser.error(f"--every must be above {QUIET_AFTER_S} s and below --minutes")
    os.chdir(pathlib.Path(__file__).resolve().parent)
    draw = random.Random(arguments.seed)
    kills = dict.fromkeys(VICTIMS, 0)

    samples, kills_at = [], []

    def disturb(launch):
        end = time.monotonic() + 60 * arguments.minutes
        due = time.monotonic() + arguments.every
        metrics, bytes_seen = launch.folder / "metrics.jsonl", 0
        while launch.process.poll() is None:
            time.sleep(0.05)
            now = time.monotonic()
            if now > end + LIMIT_S:
                raise SystemExit(f"the run has not ended {LIMIT_S} s after the kills; it said: {launch.text()}")
            if metrics.exists() and metrics.stat().st_size != bytes_seen:
                bytes_seen = metrics.stat().st_size
                samples.append((now, launch.steps()))
            if now < due or now > end:
                continue
            due = time.monotonic() + arguments.every
            victim = draw.choice(VICTIMS)
            pids = launch.running(victim)
            if pids:
                os.kill(draw.choice(pids), signal.SIGKILL)
                kills[victim] += 1
                kills_at.append(now)

    steps = arguments.steps
    if not steps:  # how fast is this machine?
        rows = train(20).rows
        steps = max(20, int(arguments.minutes * 60 / (sum(row["step/time_s"] for row in rows[5:]) / 15)))
    disturbed = train(steps, disturb)
    undisturbed = train(steps)
    faults = disturbed.ledger_faults + undisturbed.ledger_faults
    faults += [what for is_bad, what in (
        (disturbed.status != 0, f"status {disturbed.status}; it said: {disturbed.text[-2000:]}"),
        (undisturbed.status != 0, f"undisturbed: status {undisturbed.status}; it said: {undisturbed.text[-2000:]}"),
        ([row["step"] for row in disturbed.rows] != list(range(steps)), "steps are missing or twice"),
        (disturbed.weights != undisturbed.weights, "the final weights differ"),
    ) if is_bad]
    print(json.dumps({
        "steps": steps, "kills": kills, "restarts_of_ranks": disturbed.text.count("starting the ranks again"),
        "wall_s": round(disturbed.wall_s, 1), "undisturbed_s": round(undisturbed.wall_s, 1),
        "productive_share": productive_share(samples, kills_at, arguments.every),
        "wall_share": round(undisturbed.wall_s / disturbed.wall_s, 3),
        "in_steps_that_count_share": round(sum(row["step/time_s"] for row in disturbed.rows) / disturbed.wall_s, 3),
        "paid_usd": disturbed.paid_usd, "learnt_from_usd": disturbed.learnt_from_usd, "faults": faults[:20]}))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
