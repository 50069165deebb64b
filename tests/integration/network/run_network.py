#!/usr/bin/env python3
"""The quickstart's training over several hosts, on this machine: trainer ranks on two hosts by launch/mpirun.sh, workers
by launch/keep_worker.sh on a third and on one of the trainers', the pool on a fourth, between them links with little
bandwidth and much delay that go down and up.

  tests/integration/network/run_network.py [--no-install] [--keep]

Asserts that the links are as slow as asked for; that a run over them finishes; that one whose worker is cut off and
comes back, one whose trainer hosts are cut off from one another for a while, and ones that lose a trainer host and are
started again end with the same metrics, trajectories and weights, bit by bit; and that losing a host ends the ranks with
a report and status 1, and leaves nothing running. A host is a network and a name of its own (hosts.py), a link is
simulated (link_switch.py); host names, TCP, mpirun, gRPC and HTTP are real.
Needs root, network namespaces and TAP devices (else: exit status 77, a skip), and iproute2, which it installs with
apt-get (with --no-install: a skip). Two minutes on two cores, three when they are crowded.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import BINARY, CONFIG, Run, wait_for_exit, wait_until  # noqa: E402
from hosts import Hosts, run_inside, what_is_missing  # noqa: E402
from network_run import STEPS, NetworkRun  # noqa: E402
from training_run_test import trajectories_raw  # noqa: E402

SKIPPED = 77
NAMES = ("train0", "train1", "work0", "pool0")
MBIT, DELAY_MS = 200, 5


def say(text):
    print(text, flush=True)


def check_links(hosts):
    for first, second in (("train0", "train1"), ("work0", "train0"), ("pool0", "work0")):
        round_trip_ms = hosts.round_trip_s(first, second) * 1e3
        mbit = hosts.bits_per_s(first, second, num_bytes=4_000_000) / 1e6
        say(f"{first} to {second}: round trip {round_trip_ms:.1f} ms, {mbit:.0f} Mbit/s")
        assert round_trip_ms >= 2 * DELAY_MS, round_trip_ms
        assert mbit <= MBIT, mbit


def check_undisturbed(hosts, run):
    before = hosts.carried_bytes("train1", "train0")
    keepers = [run.keep_worker("work0"), run.keep_worker("train1")]
    run.start_ranks(ROUTEWRIGHT_INTERFACE="eth0")
    assert run.address(run.trainer).startswith("train0:"), "learner.address"
    run.finish(keepers)
    for host in ("work0", "train1"):
        assert run.times_in_worker_log(host, "leased episodes=") > 0, f"the worker on {host} served nothing"
    # A rank gives the other half of its gradient and takes the other's half: f32, of a million parameters.
    carried = hosts.carried_bytes("train1", "train0") - before
    assert carried > STEPS * 2_000_000, carried
    say(f"an undisturbed run: {STEPS} steps; {carried / 1e6:.0f} MB came over the link from train1 to train0")
    return run.outcome()


def check_worker_cut_off(hosts, run):
    keepers = {name: run.keep_worker(name) for name in ("work0", "train1")}
    run.start_ranks()
    run.come_to(lambda: run.steps() >= 2 and run.times_in_worker_log("work0", "leased episodes="), "two steps")
    before = run.steps()
    hosts.cut("work0")
    # The step under way may have its episodes; the next one needs those that the lost worker has leased.
    run.come_to(lambda: run.steps() >= before + 2, "the other worker taking over")
    # From here on only the worker that is cut off can bring the run to its end.
    keepers["train1"].send_signal(signal.SIGUSR1)
    assert wait_for_exit(keepers.pop("train1")) == 0
    run.come_to(lambda: run.times_in_worker_log("work0", "no leases: "), "the worker noticing")
    assert run.steps() < STEPS, "the run was over before the worker came back"
    hosts.heal("work0")
    run.finish(keepers.values())
    assert run.times_in_worker_log("work0", "registered run=") >= 2, run.worker_log("work0").read_text()
    assert any(int(row["attempt"]) > 1 for row in trajectories_raw(run)), "no lease was given out again"
    say("a worker was cut off, lost its leases and came back: every step once, every episode once")


def check_ranks_cut_off(hosts, run):
    keepers = [run.keep_worker("work0"), run.keep_worker("train1")]
    run.start_ranks()
    run.come_to(lambda: run.steps() >= 2 and run.times_in_worker_log("train1", "leased episodes="), "two steps")
    before = run.steps()
    hosts.cut("train0", "train1")
    # The break lasts until the worker on train1, cut off from the learner too, has waited in vain for worker.rpc_timeout_s.
    run.come_to(lambda: run.times_in_worker_log("train1", "no leases: "), "the worker noticing")
    assert run.steps() <= before + 1, "steps were made without the other rank"
    hosts.heal("train0", "train1")
    run.finish(keepers)
    say("the trainer hosts were cut off from one another for a while: the collective stalled and went on")


def check_learner_cut_off(hosts, run):
    """The learner's host is cut off for good, launched from a host without ranks. Its rank does not notice for long: it is
    stopped meanwhile, for it must not write into the folder that its host could not reach, either."""
    keeper = run.keep_worker("work0")
    run.start_ranks(launched_on="pool0", ROUTEWRIGHT_HANG_S="3")
    run.come_to(lambda: run.steps() >= 2, "two steps")
    learner = next(pid for pid, words in hosts["train0"].processes().items() if words.startswith(f"{BINARY} train"))
    hosts.cut("train0")
    os.kill(learner, signal.SIGSTOP)
    # Within the collective's deadline and ROUTEWRIGHT_HANG_S; mpirun itself would take eight minutes.
    assert wait_for_exit(run.trainer) == 1, run.end_of_log()
    for words in ("a rank was lost: ", "but mpirun does not return: killing it"):
        assert words in run.end_of_log(), run.end_of_log()
    report = (run.folder / "logs/lost_rank.txt").read_text()
    said = re.search(r" (rank 1 of 2 on train1, step (\d+), in '(\w+)' \(operation (\d+), ranks 0,1\)): .*\n"
                     r"  (rank 0 on train0 does not answer) \(stopped, or cut off\): it is missing from '\3' \(operation \4\)\n",
                     report)
    assert said, report
    assert int(said[2]) in (run.steps(), run.steps() - 1), f"{run.steps()} steps were made; the report:\n{report}"
    run.check_nothing_is_left("train1")
    before = run.steps()
    say(f"the learner's host was cut off: {said[1]}: {said[5]}; status 1, nothing is left on the other host")

    run.start_ranks(ranks={"train1": 2}, launched_on="pool0")
    run.come_to(lambda: run.steps() > before, "a step on the host that is left")
    hosts.heal("train0")
    os.kill(learner, signal.SIGCONT)
    wait_until(lambda: learner not in hosts["train0"].processes(), "the end of the learner that was cut off")
    run.finish([keeper])
    assert "| resumed" in run.trainer.log.read_text(), run.end_of_log()
    say("started again on the host that is left: resumed, undisturbed by the old learner, finished")


def check_host_lost(hosts, run):
    """mpirun is told to give a silent host up early, before the ranks' own deadline; its own status is 0 then."""
    keeper = run.keep_worker("work0")
    run.start_ranks(ROUTEWRIGHT_HOST_LOST_S="5")
    run.come_to(lambda: run.steps() >= 2, "two steps")
    hosts.cut("train1")
    on_lost_host = hosts["train1"].processes()
    for pid in on_lost_host:
        os.kill(pid, signal.SIGSTOP)
    assert wait_for_exit(run.trainer) == 1, run.end_of_log()
    for words in ("lost communication", "on node train1", "before the learner did: it lost a host"):
        assert words in run.end_of_log(), run.end_of_log()
    run.check_nothing_is_left("train0")
    say("a trainer host fell silent: mpirun's words name it, status 1, nothing is left on the other host")

    hosts.heal("train1")
    run.start_ranks(ROUTEWRIGHT_HANG_S="1")
    run.address(run.trainer)
    report = run.folder / "logs/lost_rank.txt"
    assert not report.exists(), report.read_text()
    old_rank = next(pid for pid, words in on_lost_host.items() if words.startswith(f"{BINARY} train"))
    os.kill(old_rank, signal.SIGCONT)
    run.come_to(lambda: report.exists() and " rank 1 of 2 on train1, " in report.read_text(), "the old rank's report")
    for pid in on_lost_host.keys() & hosts["train1"].processes().keys():
        os.kill(pid, signal.SIGKILL)
    run.finish([keeper])
    assert "| resumed" in run.trainer.log.read_text(), run.end_of_log()
    say("started again on both hosts: resumed, undisturbed by the late report of the old rank, finished")


def check_all(folder):
    with Hosts(NAMES, folder, MBIT, DELAY_MS) as hosts, Run(name="pool", folder=folder) as pool:
        check_links(hosts)
        address = hosts["pool0"].address
        emulator = pool.start(hosts["pool0"].command(
            [BINARY, "pool", "--config", CONFIG, "--set", f"pool_emulator.listen_host={address}"]), "pool.log")
        def url():
            assert emulator.poll() is None, emulator.log.read_text()
            return re.search(rf"http://{address}:\d+", emulator.log.read_text())
        pool_url = wait_until(url, "the pool emulator's address").group()

        with NetworkRun(hosts, folder / "undisturbed", pool_url) as run:
            expected = check_undisturbed(hosts, run)
        loses_a_host = {"trainer.communicator.deadline_s": 8}
        for check, overrides in ((check_worker_cut_off, {}), (check_ranks_cut_off, {}),
                                 (check_host_lost, loses_a_host), (check_learner_cut_off, loses_a_host)):
            with NetworkRun(hosts, folder / check.__name__, pool_url, overrides) as run:
                check(hosts, run)
                for what, seen, wanted in zip(("metrics", "trajectories", "weights"), run.outcome(), expected):
                    assert seen == wanted, f"{check.__name__}: the {what} are not those of the undisturbed run"
        say("metrics, trajectories and weights of all of them equal the undisturbed run's, bit by bit")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-install", action="store_true", help="skip (exit status 77) if iproute2 is not installed")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder, and say where it is")
    parser.add_argument("--inside", metavar="FOLDER", help=argparse.SUPPRESS)  # in namespaces of its own already
    flags = parser.parse_args()
    if flags.inside:
        return check_all(pathlib.Path(flags.inside))
    if not shutil.which("ip") and os.geteuid() == 0 and not flags.no_install:
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "iproute2"], check=True,
                       env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    if missing := what_is_missing():
        say(f"skipped: {missing}")
        return SKIPPED
    folder = tempfile.mkdtemp(prefix="routewright-network-")
    try:
        return run_inside([sys.executable, sys.argv[0], "--inside", folder])
    finally:
        if flags.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
