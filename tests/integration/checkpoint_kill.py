#!/usr/bin/env python3
"""Kills a process with SIGKILL at random moments of its saving, and checks what it left.

usage: checkpoint_kill.py build/bin/checkpoint_loop [--kills 200]      after: ninja -C build checkpoint_loop

After every kill all checkpoints that are there must be whole, bit by bit, and the newest must be the last one that the
process said was committed, or the one after it. The next process goes on from there. Prints JSON; exit 1 at the first
loss. Killed processes lose no page cache: power cuts are simulated in checkpoint_saver_test.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loop")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    counts = {"kills": 0, "committed": 0, "restored_to_the_last_said": 0, "restored_to_one_more": 0, "none_yet": 0}
    with tempfile.TemporaryDirectory() as folder:
        newest = -1
        for kill in range(arguments.kills):
            ranks = draw.choice((1, 2, 4))
            process = subprocess.Popen([arguments.loop, "save", folder, str(newest + 1), str(ranks)], text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            time.sleep(draw.uniform(0.001, 0.15))  # the moment is what is random here
            process.kill()
            said = [int(line) for line in process.communicate()[0].splitlines() if line]
            last = said[-1] if said else newest
            check = subprocess.run([arguments.loop, "check", folder], capture_output=True, text=True)
            found = int(check.stdout) if check.returncode == 0 else None
            if found not in (last, last + 1):
                print(f"checkpoint_kill.py: kill {kill}: step {last} was committed, found {found}: {check.stderr}",
                      file=sys.stderr)
                return 1
            counts["kills"] += 1
            counts["committed"] += len(said)
            counts["none_yet" if found < 0 else
                   "restored_to_the_last_said" if found == last else "restored_to_one_more"] += 1
            newest = found
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
