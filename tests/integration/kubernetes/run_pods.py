#!/usr/bin/env python3
"""The manifests of launch/kubernetes/quickstart as pods on this machine (pods.py), and what evictions do to them.

  tests/integration/kubernetes/run_pods.py [--no-install] [--keep]

Starts pool, trainer pods with real sshds, launcher and workers with their own users, volumes, names and addresses, then
evicts one pod after another as the kubelet does it (TERM to process 1, KILL after the grace period), kills a trainer
pod outright, and asserts that the training saves, stops, goes on without a step lost or made twice, and finishes.
Fetches Debian's openssh-server with apt-get, unpacked into build/ (with --no-install: exits with 77, a skip, if there is
none), and kubectl likewise. Needs root. About a minute on two cores.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import yaml  # noqa: E402
from harness import ROOT, wait_until  # noqa: E402
from debian_packages import fetch  # noqa: E402
from manifests import render  # noqa: E402
from operator_stand_in import config_map, host_templates, launcher_template  # noqa: E402
from pods import Cluster, enter_namespaces  # noqa: E402

SKIPPED = 77
STEPS = 150  # more than a fast machine makes between the checks
# The quickstart, made small, as a user would edit the config.
SMALL = {"steps": STEPS, "questions_per_step": 4, "episodes_per_question": 4, "communicator": {"deadline_s": 20},
         "rollout_service": {"lease_timeout_s": 5}}


def say(text):
    print(text, flush=True)


def make_small(manifests):
    configs = next(o for o in manifests if o["kind"] == "ConfigMap" and o["metadata"]["name"] == "routewright-configs")
    config = yaml.safe_load(configs["data"]["quickstart.yaml"])
    config["trainer"].update(SMALL)
    configs["data"]["quickstart.yaml"] = yaml.safe_dump(config)
    return manifests


class Quickstart:
    """The pods of the quickstart, and what their controllers do when one ends."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.job = cluster.find("MPIJob", "routewright")
        cluster.manifests.append(config_map(self.job))
        self.hosts = dict(host_templates(self.job))
        self.run = cluster.folder / "claims/routewright/runs/quickstart"
        self.launchers = 0

    def start(self):
        pool = self.cluster.start("routewright-pool-1", self.cluster.find("Deployment", "routewright-pool")["spec"]["template"])
        pool.wait_to_say("http://")
        for name in self.hosts:
            self.start_host(name)
        self.start_launcher()
        self.workers = [self.start_worker(i) for i in range(2)]

    def start_host(self, name, keys="keys"):
        self.cluster.start(name, self.hosts[name], keys).wait_to_say("Server listening")

    def start_launcher(self):
        """A Job's pod has a name of its own each time."""
        self.launchers += 1
        self.launcher = self.cluster.start(f"routewright-launcher-{self.launchers}", launcher_template(self.job))

    def start_worker(self, i):
        return self.cluster.start(f"routewright-workers-{i}",
                                  self.cluster.find("Deployment", "routewright-workers")["spec"]["template"])

    def steps(self):
        path = self.run / "metrics.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [row["step"] for row in rows if "step/time_s" in row]

    def come_to(self, number, log=None):
        """Waits for so many steps more."""
        wanted = len(self.steps()) + number
        def has_come():
            assert self.launcher.is_running(), self.everything()
            return len(self.steps()) >= wanted
        try:
            wait_until(has_come, f"step {wanted}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.everything()}") from None

    def everything(self):
        return "\n".join(f"---- {name}:\n{pod.log()[-3000:]}" for name, pod in self.cluster.pods.items())

    def expect(self, condition, what):
        assert condition, f"{what}\n{self.everything()}"


def check_trainer_pod_is_evicted(quickstart, name):
    before, starts = len(quickstart.steps()), quickstart.launcher.log().count("ranks on 2 hosts")
    status = quickstart.cluster.pods[name].end()
    quickstart.expect(status == 75, f"{name} ended with {status}")
    quickstart.expect('"state":"preempted"' in (quickstart.run / "learner.json").read_text(), "no preempted run")
    quickstart.expect(before <= len(quickstart.steps()) < STEPS, "steps")
    quickstart.launcher.wait_to_say(f"waiting for {name}")
    quickstart.start_host(name)
    quickstart.launcher.wait_to_say("ranks on 2 hosts", times=starts + 1)
    quickstart.come_to(2)
    say(f"{name} evicted: the ranks saved and stopped, it ended with 75; once it was back they went on, at another address")


def check_launcher_is_evicted(quickstart):
    status = quickstart.launcher.end()
    quickstart.expect(status == 75, f"the launcher ended with {status}")
    quickstart.start_launcher()
    quickstart.come_to(2)
    quickstart.expect("resumed" in quickstart.launcher.log(), "not resumed")
    say("the launcher evicted: saved, stopped, ended with 75; the Job's next pod went on")


def check_launcher_vanishes(quickstart):
    quickstart.launcher.vanish()
    before = len(quickstart.steps())
    wait_until(lambda: len(quickstart.steps()) > before, "the ranks to go on without it")
    quickstart.start_launcher()
    quickstart.launcher.wait_to_say("still has ranks or a daemon")
    quickstart.launcher.wait_to_say("ranks on 2 hosts")
    quickstart.expect('"state":"preempted"' in (quickstart.run / "learner.json").read_text(), "no preempted run")
    quickstart.come_to(2)
    say("the launcher's node vanished: the ranks went on; the next launcher had them save, and went on")


def check_worker_is_evicted(quickstart):
    status = quickstart.workers[0].end()
    quickstart.expect(status == 0, f"the worker ended with {status}")
    quickstart.expect("asked to leave" in quickstart.workers[0].log(), "not asked")
    quickstart.workers[0] = quickstart.start_worker(2)
    quickstart.come_to(2)
    say("a worker evicted: it left with 0, another took its place")


def check_trainer_pod_is_lost(quickstart):
    quickstart.cluster.pods["routewright-worker-1"].kill()
    status = wait_until(lambda: not quickstart.launcher.is_running() and (quickstart.launcher.process.returncode or 1),
                        "the launcher to notice")
    quickstart.expect(status == 1, f"the launcher ended with {status}")
    quickstart.expect("lost" in quickstart.launcher.log(), "no word")
    check_launcher_waits_for_the_true_host(quickstart)
    quickstart.start_host("routewright-worker-1")
    quickstart.start_launcher()
    quickstart.come_to(2)
    say("a trainer pod killed: the launcher ended with 1; the Job's next pod went on from the last checkpoint")


def check_launcher_waits_for_the_true_host(quickstart):
    """After that pod was killed: nobody else's key will do, and a launcher that only waits leaves at once."""
    quickstart.start_launcher()
    quickstart.launcher.wait_to_say("waiting for routewright-worker-1")
    quickstart.cluster.make_keys("strange")
    shutil.copy(quickstart.cluster.folder / "keys/authorized_keys", quickstart.cluster.folder / "strange")
    quickstart.start_host("routewright-worker-1", keys="strange")
    stranger = quickstart.cluster.pods["routewright-worker-1"]
    stranger.wait_to_say("Connection closed by", times=2)  # by the launcher, before it said who it is
    quickstart.expect("Accepted publickey" not in stranger.log(), "the launcher came in")
    quickstart.expect(quickstart.launcher.end() == 1, "the waiting launcher's status")
    quickstart.expect("asked to leave before" in quickstart.launcher.log(), "no word")
    quickstart.expect(stranger.end() == 75, "the idle host's status")
    say("a pod with another host key: refused; the waiting launcher evicted: ended with 1")


def check_everything_is_deleted(quickstart):
    """As `kubectl delete -k` does it: all pods are asked at once."""
    pods = [quickstart.launcher, *quickstart.workers, *(quickstart.cluster.pods[name] for name in quickstart.hosts)]
    for pod in pods:
        pod.ask_to_end()
    statuses = [pod.wait() for pod in pods]
    quickstart.expect(statuses == [75, 0, 0, 75, 75], f"statuses {statuses}")
    quickstart.expect('"state":"preempted"' in (quickstart.run / "learner.json").read_text(), "no preempted run")
    for name in quickstart.hosts:
        quickstart.start_host(name)
    quickstart.start_launcher()
    quickstart.workers = [quickstart.start_worker(i) for i in range(2)]
    quickstart.come_to(2)
    say("everything deleted at once: saved; applied again, it went on")


def check_the_end(quickstart):
    wait_until(lambda: not quickstart.launcher.is_running(), "the run's end")
    quickstart.expect(quickstart.launcher.process.returncode == 0, "the launcher's status")
    quickstart.expect('"state":"finished"' in (quickstart.run / "learner.json").read_text(), "learner.json")
    quickstart.expect(quickstart.steps() == list(range(STEPS)), f"steps {quickstart.steps()}")
    for pod in quickstart.workers:
        wait_until(lambda: not pod.is_running(), f"{pod.name} to leave")
        quickstart.expect(pod.process.returncode == 0, f"{pod.name}: {pod.process.returncode}")
    for name in quickstart.hosts:  # as cleanPodPolicy: Running deletes them
        quickstart.expect(quickstart.cluster.pods[name].end() == 75, name)
    say(f"finished: {STEPS} steps, each once; the workers left")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-install", action="store_true", help="skip (exit status 77) if sshd or kubectl is missing")
    parser.add_argument("--keep", action="store_true", help="print every pod's log at the end")
    flags = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: namespaces are made as root here")
        sys.exit(SKIPPED)
    sshd = fetch("openssh-server", "libwrap0", program="sshd", may_fetch=not flags.no_install)
    manifests = render(ROOT / "launch/kubernetes/quickstart", may_fetch=not flags.no_install)
    if sshd is None or manifests is None:
        print("skipped: no sshd or no kubectl: run this without --no-install")
        sys.exit(SKIPPED)
    enter_namespaces()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="routewright-pods-"))
    try:
        with Cluster(folder, make_small(manifests), sshd) as cluster:
            quickstart = Quickstart(cluster)
            quickstart.start()
            quickstart.come_to(2)
            say("running: two ranks in two pods, two workers, the pool")
            check_trainer_pod_is_evicted(quickstart, "routewright-worker-1")
            check_trainer_pod_is_evicted(quickstart, "routewright-worker-0")
            check_launcher_is_evicted(quickstart)
            check_launcher_vanishes(quickstart)
            check_worker_is_evicted(quickstart)
            check_trainer_pod_is_lost(quickstart)
            check_everything_is_deleted(quickstart)
            check_the_end(quickstart)
            if flags.keep:
                print(quickstart.everything())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
