"""Starts real runs for the integration tests: pool emulator, trainer ranks under mpirun, rollout workers.

Every process is started in a session of its own and ended, with all its children, when the Run is left. Nothing waits
for a fixed time: conditions are polled up to a generous limit.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("ROUTEWRIGHT_BINARY", str(ROOT / "build/bin/routewright"))
MPIRUN = os.environ.get("ROUTEWRIGHT_MPIRUN", str(ROOT / ".venv/bin/mpirun"))
CONFIG = ROOT / "configs/quickstart.yaml"
LIMIT_S = 240  # for a condition that comes in seconds on an idle machine

# A run small enough for a test, and everything that the real one does.
SMALL = {
    "trainer.steps": 4,
    "trainer.questions_per_step": 4,
    "trainer.episodes_per_question": 4,
    "trainer.evaluate_every": 2,
    "trainer.evaluate_questions": 8,
    "trainer.checkpoint.every_steps": 1,
    "trainer.record_trajectories": 1,
    "trainer.threads_per_rank": 1,
    "trainer.rollout_service.lease_timeout_s": 5,
    "worker.reconnect_timeout_s": 30,  # a run that finishes from its journal may end before its worker asks for work
    "run.deterministic": "true",
}


def wait_until(condition, what):
    """Polls until condition() is true and returns its value; fails naming `what`."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"gave up waiting for {what} after {LIMIT_S} s")


class Run:
    """One run in a folder of its own. Use as a context manager."""

    def __init__(self, name="run", folder=None, ranks=1, overrides=None, config=CONFIG, pool_overrides=None):
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="routewright-")
        self.parent = pathlib.Path(folder or self._temporary.name)
        self.folder = self.parent / name
        self.config = str(config)
        self.ranks = ranks
        self.overrides = {**SMALL, "run.name": name, "run.output_dir": self.parent, **(overrides or {})}
        self.pool_overrides = pool_overrides or {}
        self.environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                                OMP_NUM_THREADS="1")
        self.processes = []
        self.pool_url = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            kill_session(process)
        if self._temporary:
            self._temporary.cleanup()

    def _sets(self, extra=None):
        flags = []
        for key, value in {**self.overrides, **(extra or {})}.items():
            flags += ["--set", f"{key}={value}"]
        return flags

    def start(self, command, log):
        self.parent.mkdir(parents=True, exist_ok=True)
        with open(self.parent / log, "ab") as out:
            process = subprocess.Popen([str(c) for c in command], cwd=ROOT, env=self.environment, stdout=out, stderr=out,
                                       stdin=subprocess.DEVNULL, start_new_session=True)
        process.log = self.parent / log
        self.processes.append(process)
        return process

    def start_pool(self):
        process = self.start([BINARY, "pool", "--config", self.config, "--port", 0] + self._sets(self.pool_overrides),
                             "pool.log")
        def url():
            assert process.poll() is None, process.log.read_text()
            found = re.search(r"http://127\.0\.0\.1:\d+", process.log.read_text())
            return found and found.group(0)
        self.pool_url = wait_until(url, "the pool emulator's address")
        self.environment["ROUTEWRIGHT_POOL_URL"] = self.pool_url
        return process

    def start_trainer(self, *flags, extra=None):
        # Who reads the address must not find an earlier learner's.
        address = self.folder / "learner.address"
        address.unlink(missing_ok=True)
        command = [BINARY, "train", "--config", self.config, *self._sets(extra), *flags]
        if self.ranks > 1:
            command = [MPIRUN, "-n", self.ranks, "--oversubscribe", "--bind-to", "none"] + command
        return self.start(command, "trainer.log")

    def address(self, trainer):
        def read():
            assert trainer.poll() is None, trainer.log.read_text()[-3000:]
            path = self.folder / "learner.address"
            return path.exists() and path.read_text().strip()
        return wait_until(read, "learner.address")

    def start_worker(self, address, name):
        return self.start([BINARY, "worker", "--config", self.config, "--learner", address, "--id", name, *self._sets()],
                          f"{name}.log")

    def train(self, *flags, workers=1, extra=None):
        """Pool, trainer and workers to the trainer's end; returns its exit status."""
        if self.pool_url is None:
            self.start_pool()
        trainer = self.start_trainer(*flags, extra=extra)
        address = self.address(trainer)
        started = [self.start_worker(address, f"worker{i}") for i in range(workers)]
        status = wait_for_exit(trainer)
        for worker in started:
            wait_for_exit(worker)
        return status

    def metrics(self):
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").read_text().splitlines()]

    def steps_made(self):
        """The steps that have a line, in the lines' order; so has the evaluation after the last one, which is no step."""
        return [row["step"] for row in self.metrics() if "step/time_s" in row]

    def checkpoints(self):
        return sorted((self.folder / "checkpoints").glob("step-*"))


def ledger(folder):
    """Every paid call of a run's folder, oldest first; each process writes a file."""
    calls = [json.loads(line) for path in (folder / "pool_ledger").glob("*.jsonl") for line in path.read_text().split("\n")[:-1]]
    return sorted(calls, key=lambda call: call["time"])


def wait_for_exit(process):
    try:
        return process.wait(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{process.args[:3]} did not end; its log:\n{process.log.read_text()[-3000:]}")


def session_members(process):
    """Pids of live processes in the session that `process` leads."""
    members = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == process.pid and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members


def signal_session(process, number):
    """Sends a signal to every process of the session; one that has ended since, such as a keeper's `sleep`, needs none."""
    for pid in session_members(process):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def kill_session(process):
    signal_session(process, signal.SIGKILL)
    process.wait()


def run_command(*arguments, environment=None, stdin=""):
    """Runs `routewright <arguments>` to its end; returns the CompletedProcess with text output."""
    return subprocess.run([BINARY, *map(str, arguments)], cwd=ROOT, input=stdin, capture_output=True, text=True,
                          timeout=LIMIT_S, env=dict(os.environ, **(environment or {})))


if __name__ == "__main__":
    sys.exit("harness.py is imported by the tests of this folder")
