#!/usr/bin/env python3
"""Kills (SIGKILL) or stops (SIGSTOP) one of four ranks in each collective, at random moments, and looks at what is left.

usage: lost_rank.py LOOP MPIRUN [--seeds N] [--deadline S] [--operation NAME] [--signal kill|stop] [--within S]
  LOOP is build/bin/collective_loop. For every seed, operation and signal: every other rank must end within --within seconds
  (2) of a kill, within the deadline and half of that of a stop, each with its part of the notice, which names the lost rank and the
  operation that it did not enter; mpirun's status is not 0; no process is left. Else exits with 1 and says in which run.
  Prints one JSON line: of each signal the runs, and the seconds from the signal to the end of the last rank
  (median, most).
"""
import argparse, contextlib, json, os, random, re, signal, socket, statistics, subprocess, sys, tempfile, time

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


def processes_of(folder):
    """Those that live and name `folder` among their arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if folder.encode() in file.read() and is_alive(pid):
                    found.append(int(pid))
        except OSError:
            pass
    return found


def check_notice(text, operation, how, victim, entered):
    """Every other rank's part says that `victim` is missing from the operation after the last, or last, that it came to."""
    parts = dict(re.findall(rf"^\S+ rank (\d+) of {RANKS} on (.*?)(?=^\S+ rank \d+ of {RANKS} on |\Z)", text, re.M | re.S))
    assert sorted(map(int, parts)) == [rank for rank in range(RANKS) if rank != victim], f"parts of {sorted(parts)} in\n{text}"
    fate = "is dead" if how == "kill" else r"does not answer \(stopped, or cut off\)"
    for rank, part in parts.items():
        missing = re.search(rf"^  rank {victim} on {re.escape(socket.gethostname())} {fate}: it is missing from '{operation}' \(operation (\d+)\)$", part, re.M)
        assert missing, f"rank {rank} does not say what the lost rank is missing from:\n{text}"
        # One that it came to may be unfinished elsewhere, and one that it is inside may not need it any more.
        assert int(missing[1]) in (entered, entered + 1), f"rank {rank}: the lost rank came to operation {entered}:\n{text}"
        assert f"in '{operation}' (operation {missing[1]}, ranks 0-{RANKS - 1})" in part, f"rank {rank}:\n{text}"
        step = re.search(r", step (\d+), ", part)
        assert step and int(step[1]) in (entered - 1, entered, entered + 1), f"rank {rank}: step {entered} was made:\n{text}"


def run_once(args, operation, how, seed):
    draw = random.Random(f"{operation} {how} {seed}")
    with tempfile.TemporaryDirectory() as folder:
        notice = os.path.join(folder, "notice.txt")
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        command = [args.mpirun, "--with-ft", "ulfm", "-n", str(RANKS), "--oversubscribe", "--bind-to", "none",
                   args.loop, operation, str(args.deadline), notice]
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
            left = processes_of(folder)
            assert not left, f"left over: {left}"
        except Exception:
            errors.seek(0)
            print(errors.read(), file=sys.stderr)
            raise
        finally:
            for pid in pids.values():
                if is_alive(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            job.kill()
        with open(f"{notice}.{victim}", "rb") as file:
            entered = int.from_bytes(file.read(), sys.byteorder)
        text = open(notice).read() if os.path.exists(notice) else ""
        check_notice(text, operation, how, victim, entered)
        limit_s = args.within if how == "kill" else args.deadline + args.within / 2
        assert others_s <= limit_s, f"the others ended after {others_s:.3f} s, more than {limit_s} s"
        assert status != 0, "mpirun's status is 0"
        return others_s, all_s, status


def run_all(args, how):
    runs = []
    for operation in [args.operation] if args.operation else OPERATIONS:
        for seed in range(args.seeds):
            try:
                runs.append(run_once(args, operation, how, seed))
            except Exception as error:
                sys.exit(f"lost_rank.py: {operation} {how} seed {seed}: {error}")  # status 1
    return runs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("loop")
    parser.add_argument("mpirun")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--deadline", type=float, default=3.0)
    parser.add_argument("--within", type=float, default=2.0)
    parser.add_argument("--operation", choices=OPERATIONS)
    parser.add_argument("--signal", choices=["kill", "stop"])
    args = parser.parse_args()
    results = {}
    for how in [args.signal] if args.signal else ["kill", "stop"]:
        runs = run_all(args, how)
        seconds = [run[0] for run in runs]
        results[how] = {"runs": len(runs), "others_end_median_s": round(statistics.median(seconds), 3),
                        "others_end_most_s": round(max(seconds), 3), "all_end_most_s": round(max(run[1] for run in runs), 3),
                        "mpirun_status": sorted({run[2] for run in runs})}
    print(json.dumps({"deadline_s": args.deadline, **results}))


if __name__ == "__main__":
    main()
