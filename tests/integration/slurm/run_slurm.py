#!/usr/bin/env python3
"""A real Slurm on this machine, in a temporary folder, and the batch scripts of launch/slurm in it.

  tests/integration/slurm/run_slurm.py [--no-install] [--keep]

Brings up munged, slurmctld and three slurmd, submits the quickstart's training (two ranks on two nodes, two workers on
the third) and extra workers, sends the signal that Slurm sends before a time limit, and asserts that the training saves,
exits with 75, is queued again, goes on without a step lost or made twice and finishes with the metrics of a run that
nobody disturbed; and what becomes of a bad config, a forbidden requeue, workers without a learner, a frozen node and a
pool of (stand-ins for) vLLM.
No process may be left. Installs Debian's slurm-wlm and munge
with apt-get if they are missing (with --no-install: exits with 77, a skip). A minute or two on two cores.
"""
import argparse
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1])]
from harness import CONFIG, ROOT, Run, wait_until  # noqa: E402
from training_run_test import without_times  # noqa: E402
from vllm_checks import check_vllm_pool  # noqa: E402

SKIPPED = 77
NODES = ("n1", "n2", "n3")
MARK = f"ROUTEWRIGHT_TEST_MARK={uuid.uuid4()}"
STEPS = 10


def install(may_install):
    needed = {"munged": "munge", "slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm"}
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = sorted({package for program, package in needed.items() if not shutil.which(program)})
    if not missing and os.geteuid() == 0:
        return
    if os.geteuid() != 0:
        print("skipped: Slurm's daemons run as root here")
        sys.exit(SKIPPED)
    if not may_install:
        print(f"skipped: {' '.join(missing)} of Debian is not installed")
        sys.exit(SKIPPED)
    subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing], check=True,
                   env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Cluster:
    """munged, slurmctld and a slurmd for each node. A context manager; on leaving everything marked is ended."""

    def __init__(self, folder):
        self.folder = folder
        name, value = MARK.split("=")
        self.environment = dict(os.environ, **{name: value}, SLURM_CONF=str(folder / "slurm.conf"))
        for variable in [v for v in self.environment if v.startswith(("SLURM_", "SBATCH_")) and v != "SLURM_CONF"]:
            del self.environment[variable]
        self.daemons = []

    def __enter__(self):
        try:
            self._write_config()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.daemons:
            subprocess.run(["scancel", "--quiet", "--user=root"], env=self.environment, timeout=60, check=False,
                           stderr=subprocess.DEVNULL)
        for daemon in reversed(self.daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for pid in marked():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _write_config(self):
        host = socket.gethostname()
        controller, *ports = free_ports(1 + len(NODES))
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=4 RealMemory=1000"
            for node, port in zip(NODES, ports))
        for name in ("state", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        (self.folder / "munge.key").chmod(0o600)
        (self.folder / "slurm.conf").write_text(f"""ClusterName=routewright
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={self.folder}/munge.sock,cred_expire=5
SlurmUser=root
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool.%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=1
JobCompType=jobcomp/none
{nodes}
PartitionName=all Nodes={','.join(NODES)} Default=YES MaxTime=INFINITE State=UP
""")

    def _daemon(self, *command):
        with open(self.folder / f"{pathlib.Path(command[0]).name}.log", "ab") as log:
            self.daemons.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log,
                                                 stdin=subprocess.DEVNULL, start_new_session=True))

    def _start(self):
        path = self.folder
        self._daemon("munged", "--foreground", "--force", f"--key-file={path}/munge.key", f"--socket={path}/munge.sock",
                     f"--pid-file={path}/munged.pid", f"--log-file={path}/munged.log", f"--seed-file={path}/munged.seed")
        wait_until((path / "munge.sock").exists, "munged's socket")
        self._daemon("slurmctld", "-D", "-f", str(path / "slurm.conf"))
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node, "-f", str(path / "slurm.conf"))
        wait_until(lambda: self._ask("sinfo", "-h", "-o", "%t %D").strip() == f"idle {len(NODES)}",
                   "the nodes to be idle")

    def _ask(self, *command):
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60,
                              check=False).stdout

    def submit(self, *arguments, **environment):
        result = subprocess.run(["sbatch", "--parsable", *map(str, arguments)], cwd=self.folder, capture_output=True,
                                text=True, env=dict(self.environment, **environment), timeout=60, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip().split(";")[0]

    def job(self, number):
        """The fields that Slurm knows of a job (of a heterogeneous one: of its first component)."""
        text = self._ask("scontrol", "show", "job", "-o", number).splitlines()
        return dict(re.findall(r"(\w+)=(\S*)", text[0])) if text else {}

    def wait_for(self, number, state):
        def has_come():
            job = self.job(number)
            if job.get("JobState") == "PENDING" and job.get("Restarts") != "0":
                # Only the backfill scheduler starts a requeued heterogeneous job, and an idle one may sleep.
                self._ask("scontrol", "update", f"jobid={number}", "comment=wake")
            ended = job.get("JobState") in ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")
            assert not ended or job["JobState"] == state, f"job {number}: {job}\n{self.log(number)[-4000:]}"
            return job.get("JobState") == state and job
        return wait_until(has_come, f"job {number} to be {state}")

    def signal(self, number, name):
        subprocess.run(["scancel", "--batch", f"--signal={name}", number], env=self.environment, check=True, timeout=60)

    def log(self, number):
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob(f"routewright*-{number}.out")))


def marked():
    """Pids of live processes that descend from the cluster's daemons."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if MARK.encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def say(text):
    print(text, flush=True)


def check_requeue(cluster, pool_url):
    overrides = {"trainer.steps": STEPS, "trainer.checkpoint.every_steps": 0}
    with Run(name="same", ranks=2, overrides=overrides) as undisturbed:
        assert undisturbed.train(workers=2) == 0, (undisturbed.parent / "trainer.log").read_text()[-3000:]
        expected = without_times(undisturbed.metrics())
    say(f"an undisturbed run: {len(expected)} lines of metrics")

    run = Run(name="same", folder=cluster.folder / "runs", overrides=overrides)
    train = cluster.submit("--nodes=2", "--ntasks-per-node=1", ":", "--nodes=1", "--ntasks-per-node=2",
                           ROOT / "launch/slurm/train.sbatch", "--config", CONFIG, *run._sets(), "--resume", "none",
                           ROUTEWRIGHT_POOL_URL=pool_url, OMP_NUM_THREADS="1")
    extra = cluster.submit("--ntasks-per-node=1", ROOT / "launch/slurm/workers.sbatch", "--config", CONFIG, *run._sets(),
                           ROUTEWRIGHT_POOL_URL=pool_url, OMP_NUM_THREADS="1")
    say(f"submitted: training {train}, extra workers {extra}")
    logs = run.folder / "logs"

    def served(job, times):
        text = "".join(path.read_text() for path in logs.glob(f"worker-*-{job}.*.log"))
        return len(re.findall("registered run=", text)) >= times
    def steps():
        return len(run.steps_made()) if (run.folder / "metrics.jsonl").exists() else 0
    def come_to(condition, what):
        def has_come():
            for number in (train, extra):
                assert cluster.job(number).get("JobState") not in ("FAILED", "CANCELLED"), cluster.log(number)[-4000:]
            return condition()
        return wait_until(has_come, what + "; the job's log:\n" + cluster.log(train)[-3000:])

    come_to(lambda: served(train, 2) and served(extra, 1) and steps() >= 2, "three workers and two steps")
    address = (run.folder / "learner.address").read_text()
    before = steps()
    cluster.signal(train, "USR1")
    say(f"after {before} steps: sent the signal of the time limit; workers were at {address.strip()}")
    come_to(lambda: "ended with 75" in cluster.log(train), "exit status 75")
    wait_until(lambda: cluster.job(train).get("Restarts") == "1", "the requeue")
    stopped = steps()
    assert before <= stopped < STEPS, stopped
    say(f"exit status 75 with {stopped} steps made; queued again")
    # Slurm restarts the job after cred_expire; the extra workers, which stayed, find the new learner.
    done = cluster.wait_for(train, "COMPLETED")
    assert done["ExitCode"] == "0:0" and done["Restarts"] == "1", done
    text = cluster.log(train)
    assert "start 2:" in text and "resumed" in text, text[-4000:]
    assert run.steps_made() == list(range(STEPS)), run.metrics()
    assert not list(run.folder.glob("previous-*")), "--resume none was obeyed again"
    assert without_times(run.metrics()) == expected, "the metrics are not those of the undisturbed run"
    assert (run.folder / "learner.json").read_text().startswith('{"state":"finished"')
    say("started again, resumed and finished with 0; metrics equal the undisturbed run's")
    ended = cluster.wait_for(extra, "COMPLETED")
    assert ended["ExitCode"] == "0:0", ended
    assert served(extra, 2), "the extra worker did not join the second learner"
    for path in logs.glob("worker-*.log"):
        assert "the run is finished" in path.read_text(), path.read_text()[-2000:]
    say("workers joined both learners and left when the run was over")


def submit_small(cluster, pool_url, name, steps, extra=None, options=(), **environment):
    """A training of two ranks on two nodes and two workers, in whose run the log tells of a step."""
    run = Run(name=name, folder=cluster.folder / "runs", overrides={"trainer.steps": steps, **(extra or {})})
    number = cluster.submit(*options, "--nodes=2", "--ntasks-per-node=1", ":", *options, "--nodes=1", "--ntasks-per-node=2",
                            ROOT / "launch/slurm/train.sbatch", "--config", CONFIG, *run._sets(), "--resume", "none",
                            ROUTEWRIGHT_POOL_URL=pool_url, OMP_NUM_THREADS="1", **environment)
    def has_stepped():
        assert cluster.job(number).get("JobState") not in ("FAILED", "CANCELLED"), cluster.log(number)[-4000:]
        return "step 2/" in cluster.log(number)
    wait_until(has_stepped, "two steps")
    return run, number


def interface():
    """A network interface with an IPv4 address for the jobs to use, if there is one beside the loopback."""
    text = subprocess.run(["ip", "-o", "-4", "addr", "show", "up"], capture_output=True, text=True, check=False).stdout
    names = [line.split()[1] for line in text.splitlines() if line.split()[1] != "lo"]
    return {"ROUTEWRIGHT_INTERFACE": names[0]} if names else {}


def check_requeue_is_forbidden(cluster, pool_url):
    again = "sbatch --nodes=2 --ntasks-per-node=1 : --nodes=1 --ntasks-per-node=2"
    run, number = submit_small(cluster, pool_url, "forbidden", STEPS, options=["--no-requeue"], ROUTEWRIGHT_SUBMIT=again,
                               **interface())
    if interface():  # then workers are told an address, not a name
        assert re.match(r"[\d.]+:\d+$", (run.folder / "learner.address").read_text()), "learner.address"
    cluster.signal(number, "USR1")
    job = cluster.wait_for(number, "FAILED")
    assert job["ExitCode"] == "75:0", job
    submitted = re.search(r"Submitted batch job (\d+)", cluster.log(number))
    assert submitted, cluster.log(number)[-3000:]
    assert cluster.wait_for(submitted.group(1), "COMPLETED")["ExitCode"] == "0:0"
    assert run.steps_made() == list(range(STEPS)), run.metrics()
    assert not list(run.folder.glob("previous-*")), "--resume none was obeyed again"
    say("where a requeue is forbidden: exit status 75, submitted again, resumed and finished")


def check_frozen_node(cluster, pool_url):
    """mpirun waits for ever for a daemon that is stopped: the job ends all the same, with a report."""
    run, number = submit_small(cluster, pool_url, "frozen", 1000, {"trainer.communicator.deadline_s": 5},
                               ROUTEWRIGHT_HANG_S="3")
    frozen = []
    for pid in marked():
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if b"SLURMD_NODENAME=n2" in environment and command[0].rsplit(b"/")[-1] in (b"prted", b"routewright"):
            frozen.append(pid)
            os.kill(pid, signal.SIGSTOP)
    assert len(frozen) >= 2, frozen
    job = cluster.wait_for(number, "FAILED")
    assert job["ExitCode"] == "1:0", job
    for part in ("mpirun does not return", "a rank was lost"):
        assert part in cluster.log(number), cluster.log(number)[-3000:]
    assert "rank 1" in (run.folder / "logs/lost_rank.txt").read_text()
    say("a frozen node: reported, mpirun killed, exit status 1")


def check_workers_leave(cluster):
    """Workers that wait for a learner leave when asked, and give up after a limit."""
    run = Run(name="nobody", folder=cluster.folder / "runs")
    arguments = ["--ntasks-per-node=2", ROOT / "launch/slurm/workers.sbatch", "--config", CONFIG, *run._sets()]
    asked = cluster.submit(*arguments, ROUTEWRIGHT_POOL_URL="http://127.0.0.1:1")
    alone = cluster.submit(*arguments, ROUTEWRIGHT_POOL_URL="http://127.0.0.1:1", ROUTEWRIGHT_WAIT_S="1")
    wait_until(lambda: "workers on" in cluster.log(asked), "the workers' start")
    cluster.signal(asked, "TERM")
    assert cluster.wait_for(asked, "COMPLETED")["ExitCode"] == "0:0"
    assert cluster.wait_for(alone, "FAILED")["ExitCode"] == "1:0"
    assert "no learner for 1 s" in cluster.log(alone), cluster.log(alone)
    say("workers without a learner leave when asked, and give up after ROUTEWRIGHT_WAIT_S")


def check_bad_config(cluster):
    run = Run(name="bad", folder=cluster.folder / "runs", overrides={"trainer.stps": 3})
    number = cluster.submit(ROOT / "launch/slurm/train.sbatch", "--config", CONFIG, *run._sets())
    job = cluster.wait_for(number, "FAILED")
    assert job["ExitCode"] == "2:0", job
    assert "did you mean steps" in cluster.log(number), cluster.log(number)
    say("a bad config: exit status 2 before a rank starts")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-install", action="store_true", help="skip (exit status 77) if Slurm is not installed")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder, and say where it is")
    flags = parser.parse_args()
    install(may_install=not flags.no_install)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="routewright-slurm-"))
    try:
        with Run(name="pool") as pool, Cluster(folder) as cluster:
            pool.start_pool()
            os.environ["ROUTEWRIGHT_POOL_URL"] = pool.pool_url
            say(f"Slurm is up: {', '.join(NODES)}")
            check_bad_config(cluster)
            check_vllm_pool(cluster, say)
            check_requeue(cluster, pool.pool_url)
            check_workers_leave(cluster)
            check_requeue_is_forbidden(cluster, pool.pool_url)
            check_frozen_node(cluster, pool.pool_url)
            daemons = {daemon.pid for daemon in cluster.daemons}
            wait_until(lambda: set(marked()) <= daemons, "the end of every process of the jobs")
        assert not marked(), marked()
        say("nothing is left running")
    finally:
        if flags.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
