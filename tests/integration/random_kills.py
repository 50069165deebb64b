#!/usr/bin/env python3
"""Kills a random rank, worker or pool of a running training every so often; prints JSON, exit 1 if anything was lost.

usage: random_kills.py [--minutes 5] [--every 20] [--seed 1] [--steps N]        after: launch/build.sh

launch/local.sh trains the quickstart deterministically with its default restarts twice, disturbed and undisturbed, in
pieces of one kill each: one run is stopped (it saves and leaves with 75) and the other makes the same steps, so that a
machine whose speed changes within minutes changes for both.
Asserted: each piece's status; every step once; the final checkpoint's tensors bit by bit those of the undisturbed run;
each call of an episode that was learnt from is in the ledger once, at its price, and that episode was not called for
again. Reported: wall_share, the undisturbed run's seconds over the disturbed one's, summed over the pieces, each from the
first to the last step that both made in it; lost_s_a_kill, their difference over the kills; productive_share, what that
leaves of --every seconds; and the standard error of each, by how far the pieces differ.
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

SETTINGS = {"trainer.record_trajectories": 1, "trainer.checkpoint.every_steps": 1, "trainer.questions_per_step": 16,
            "trainer.episodes_per_question": 8, "trainer.evaluate_every": 1000}
LIMIT_S = 3600
VICTIMS = ("train", "worker", "pool")


class Outcome:
    """A run that ended: what it left. Has what weights() and trajectories_raw() ask for."""

    def __init__(self, launch):
        self.folder = launch.folder
        rows = [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]
        self.rows = [row for row in rows if "step/time_s" in row]  # the last evaluation's is no step's
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


class Killer:
    """Kills a victim half of `every` seconds after a piece's first step, and then every so many seconds."""

    def __init__(self, every, seed):
        self.every = every
        self.draw = random.Random(seed)
        self.kills = dict.fromkeys(VICTIMS, 0)
        self.last = "nobody"

    def begin(self, now):
        self.last = "nobody"
        self.due = now + self.every / 2

    def tick(self, launch, now):
        if now < self.due:
            return
        self.due += self.every
        victim = self.draw.choice(VICTIMS)
        pids = launch.running(victim)
        if pids:
            try:
                os.kill(self.draw.choice(pids), signal.SIGKILL)
            except ProcessLookupError:  # it has ended by itself just now
                return
            self.kills[victim] += 1
            self.last = victim


class Piece:
    """Runs a launch until it has made `target` steps, the last ones of its training if is_last.

    begun and done: monotonic time at which a number of steps was there for the first time, and for the last time: a
    rank that is killed takes the steps since its checkpoint with it.
    """

    def __init__(self, launch, target, is_last, killer=None):
        self.begun, self.done = {}, {}
        before = seen = launch.steps()
        is_told_to_stop, num_bytes = False, 0
        metrics = launch.folder / "metrics.jsonl"
        limit = time.monotonic() + LIMIT_S
        launch.start()
        while launch.process.poll() is None:
            time.sleep(0.02)
            now = time.monotonic()
            if now > limit:
                raise SystemExit(f"{target} steps are not there after {LIMIT_S} s; the run said: {launch.text()}")
            steps = seen
            if metrics.exists() and metrics.stat().st_size != num_bytes:
                num_bytes = metrics.stat().st_size
                steps = launch.steps()
            if steps > max(before, seen):
                if killer and not self.begun:
                    killer.begin(now)
                self.begun.setdefault(steps, now)
                self.done[steps] = now
            seen = steps
            if is_told_to_stop:
                continue
            if steps >= target and not is_last:  # the last piece ends by itself
                launch.process.send_signal(signal.SIGTERM)
                is_told_to_stop = True
            elif killer and self.begun and steps < target:
                killer.tick(launch, now)
        status = launch.process.returncode
        self.faults = [] if status == (0 if is_last else 75) else [
            f"a piece of {launch.folder} ended with {status}; it said: {launch.text()}"]


def seconds(piece, other):
    """Of the piece, for the steps that both made."""
    common = piece.begun.keys() & other.begun.keys()
    return piece.done[max(common)] - piece.begun[min(common)]


def losses(pairs, kills, every):
    """What is printed. pairs: of each piece the seconds of the undisturbed and of the disturbed run."""
    undisturbed, disturbed = (sum(side) for side in zip(*pairs))
    share = undisturbed / disturbed
    lost = (disturbed - undisturbed) / kills

    def error(deviations):  # of their sum
        return (sum(x**2 for x in deviations) * len(pairs) / (len(pairs) - 1)) ** 0.5

    mean = (disturbed - undisturbed) / len(pairs)
    lost_error = error([d - u - mean for u, d in pairs]) / kills
    share_error = error([u - share * d for u, d in pairs]) / disturbed  # Cochran, Sampling Techniques, 2.11
    return {
        "undisturbed_s": round(undisturbed, 1), "disturbed_s": round(disturbed, 1),
        "wall_share": [round(share, 3), round(share_error, 3)],
        "lost_s_a_kill": [round(lost, 2), round(lost_error, 2)],
        "productive_share": [round(1 - lost / every, 3), round(lost_error / every, 3)],
    }


def settings(steps):
    return {**SETTINGS, "trainer.steps": steps}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--every", type=float, default=20, help="seconds between kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="default: as many as the minutes take here, undisturbed")
    arguments = parser.parse_args()
    count = round(60 * arguments.minutes / arguments.every) if arguments.every > 0 else 0
    if count < 2:
        parser.error("--minutes must have time for two kills, one in every --every seconds")
    os.chdir(pathlib.Path(__file__).resolve().parent)

    steps = arguments.steps
    if not steps:  # how fast is this machine?
        with Launch(settings(20)) as launch:
            Piece(launch, 20, is_last=True)
            rows = Outcome(launch).rows
        steps = max(5 * count, int(arguments.minutes * 60 / (sum(row["step/time_s"] for row in rows[5:]) / 15)))
    killer = Killer(arguments.every, arguments.seed)
    pairs, faults = [], []  # pairs: seconds of the undisturbed and the disturbed run, a piece
    with Launch(settings(steps)) as disturbed, Launch(settings(steps)) as undisturbed:
        for i in range(count):
            target, is_last = steps * (i + 1) // count, i + 1 == count
            order = [(disturbed, killer), (undisturbed, None)]
            pieces = {launch: Piece(launch, target, is_last, kills)
                      for launch, kills in (order if i % 2 == 0 else reversed(order))}
            faults += pieces[disturbed].faults + pieces[undisturbed].faults
            if faults:
                break
            pairs.append((seconds(pieces[undisturbed], pieces[disturbed]), seconds(pieces[disturbed], pieces[undisturbed])))
            print(f"piece {i + 1} of {count}: to step {target}, killed {killer.last}; "
                  "undisturbed {:.1f} s, disturbed {:.1f} s".format(*pairs[-1]), file=sys.stderr, flush=True)
        left, whole = Outcome(disturbed), Outcome(undisturbed)
        restarts = disturbed.log.read_text().count("starting the ranks again")
    faults += left.ledger_faults + whole.ledger_faults
    if [row["step"] for row in left.rows] != list(range(steps)):
        faults.append("steps are missing or twice")
    if not sum(killer.kills.values()):
        faults.append("nobody was killed: every piece ended sooner")
    if left.weights != whole.weights:
        faults.append("the final weights differ")
    print(json.dumps({
        "steps": steps, "kills": killer.kills, "restarts_of_ranks": restarts,
        **(losses(pairs, sum(killer.kills.values()), arguments.every) if not faults else {}),
        "paid_usd": left.paid_usd, "learnt_from_usd": left.learnt_from_usd, "faults": faults[:20]}))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
