#!/usr/bin/env python3
"""Kills (SIGKILL) or stops (SIGSTOP) one of four ranks in each collective, at random moments, and looks at what is left.

usage: lost_rank.py LOOP MPIRUN [--seeds N] [--deadline S] [--operation NAME] [--signal kill|stop]
  LOOP is build/bin/collective_loop. For every seed, operation and signal the others must end, with a status of mpirun
  that is not 0, each with its part of the report, which names the lost rank and the operation; no process may be left.
  Prints one JSON line: of each signal the runs, and the seconds from the signal to the end of the last rank
  (median, most). No time is asserted.
"""
import argparse, json, os, random, re, signal, statistics, subprocess, sys, tempfile, time

RANKS = 4
OPERATIONS = ["gather", "reduce_scatter", "all_reduce", "barrier"]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(pids, limit_s):
    """Seconds until none of the processes is alive."""
    start = time.monotonic()
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() - start > limit_s:
            raise AssertionError(f"left over after {limit_s} s: {[pid for pid in pids if is_alive(pid)]}")
        time.sleep(0.005)
    return time.monotonic() - start


def run_once(args, operation, how, seed):
    draw = random.Random(f"{operation} {how} {seed}")
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.txt")
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        command = [args.mpirun, "--with-ft", "ulfm", "-n", str(RANKS), "--oversubscribe", "--bind-to", "none",
                   args.loop, operation, str(args.deadline), report]
        errors = open(os.path.join(folder, "stderr"), "w+")
        job = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        pids = {}
        try:
            while len(pids) < RANKS:
                line = job.stdout.readline()
                assert line, "the ranks did not start"
                found = re.match(r"rank (\d+) pid (\d+)", line)
                if found:
                    pids[int(found[1])] = int(found[2])
            time.sleep(draw.uniform(0.0, 0.2))
            victim = draw.randrange(RANKS)
            others = [pid for rank, pid in pids.items() if rank != victim]
            os.kill(pids[victim], signal.SIGKILL if how == "kill" else signal.SIGSTOP)
            others_s = wait_for_end(others, args.deadline + 60)
            all_s = others_s + wait_for_end(list(pids.values()), 30)
            status = job.wait(timeout=60)
        except Exception:
            errors.seek(0)
            print(f"{operation} {how} seed {seed}:\n{errors.read()}", file=sys.stderr)
            raise
        finally:
            for pid in pids.values():
                if is_alive(pid):
                    os.kill(pid, signal.SIGKILL)
            job.kill()
        text = open(report).read() if os.path.exists(report) else ""
        where = f"{operation} {how} seed {seed} victim {victim}"
        for rank in range(RANKS):
            has_part = re.search(rf"^\S+ rank {rank} of {RANKS} on ", text, re.M) is not None
            assert has_part == (rank != victim), f"{where}: the part of rank {rank} in\n{text}"
        fate = "is dead" if how == "kill" else "does not answer"
        assert re.search(rf"rank {victim} {fate}.*", text), f"{where}: the lost rank in\n{text}"
        assert f"missing from '{operation}'" in text or "no operation was under way" in text, f"{where}:\n{text}"
        return others_s, all_s, status, f"missing from '{operation}'" in text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("loop")
    parser.add_argument("mpirun")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=3.0)
    parser.add_argument("--operation", choices=OPERATIONS)
    parser.add_argument("--signal", choices=["kill", "stop"])
    args = parser.parse_args()
    figures = {}
    for how in [args.signal] if args.signal else ["kill", "stop"]:
        runs = [run_once(args, operation, how, seed)
                for operation in ([args.operation] if args.operation else OPERATIONS) for seed in range(args.seeds)]
        seconds = [run[0] for run in runs]
        figures[how] = {"runs": len(runs), "others_end_median_s": round(statistics.median(seconds), 3),
                        "others_end_most_s": round(max(seconds), 3), "all_end_most_s": round(max(run[1] for run in runs), 3),
                        "mpirun_status": sorted({run[2] for run in runs}),
                        "names_the_operation": sum(run[3] for run in runs)}
    print(json.dumps({"deadline_s": args.deadline, **figures}))


if __name__ == "__main__":
    main()
