"""The launchers: whatever moment they are interrupted at, nothing is left running and the last checkpoint stays."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest
import uuid

from harness import CONFIG, LIMIT_S, ROOT, SMALL, ledger, wait_until


class Launch:
    """launch/local.sh with the emulator, in a session and with a mark of its own."""

    def __init__(self, overrides=None, ranks=2, workers=2, restarts=3, arguments=()):
        self._temporary = tempfile.TemporaryDirectory(prefix="routewright-")
        self.parent = pathlib.Path(self._temporary.name)
        self.folder = self.parent / "run"
        self.mark = f"ROUTEWRIGHT_TEST_MARK={uuid.uuid4()}"
        self.log = self.parent / "launch.log"
        settings = {**SMALL, "run.name": "run", "run.output_dir": self.parent, **(overrides or {})}
        sets = [flag for key, value in settings.items() for flag in ("--set", f"{key}={value}")]
        self.command = [ROOT / "launch/local.sh", "--config", CONFIG, "--ranks", ranks, "--workers", workers,
                        "--restarts", restarts, "--emulator", "--", *sets, *arguments]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._temporary.cleanup()

    def start(self, **environment):
        name, value = self.mark.split("=")
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen([str(c) for c in self.command], cwd=ROOT, stdout=out, stderr=out,
                                            stdin=subprocess.DEVNULL, start_new_session=True,
                                            env=dict(os.environ, TMPDIR=str(self.parent), **{name: value}, **environment))

    def members(self):
        """Pids of live processes that descend from the launcher, whatever their session."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                if self.mark.encode() in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def wait(self):
        return self.process.wait(timeout=LIMIT_S)

    def running(self, command):
        """Pids of the program's processes that run this command."""
        pids = []
        for pid in self.members():
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words[0].endswith(b"/routewright") and words[1:2] == [command.encode()]:
                pids.append(pid)
        return sorted(pids)

    def kill(self, command):
        """SIGKILLs one of them."""
        os.kill(wait_until(lambda: self.running(command), f"a {command}")[-1], signal.SIGKILL)

    def steps(self):
        metrics = self.folder / "metrics.jsonl"
        return metrics.read_text().count('"step/time_s"') if metrics.exists() else 0

    def checkpoints(self):
        return sorted((self.folder / "checkpoints").glob("step-*/manifest.json"))

    def text(self):
        return self.log.read_text()[-3000:]


MOMENTS = {
    "the start": lambda launch: launch.members(),
    "the pool's start": lambda launch: (launch.folder / "logs/pool.log").exists(),
    "the learner's address": lambda launch: (launch.folder / "learner.address").exists(),
    "a step": lambda launch: launch.steps() >= 2,
}


class LauncherTest(unittest.TestCase):
    def assert_nothing_left(self, launch):
        wait_until(lambda: not launch.members(), f"the end of {launch.members()}; log:\n{launch.text()}")
        self.assertEqual({path.name for path in launch.parent.iterdir()} - {"run", "launch.log"}, set())  # nor in $TMPDIR

    def test_interrupted_at_any_moment_nothing_is_left_running(self):
        for moment, has_come in MOMENTS.items():
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(moment=moment, signal=number.name), Launch({"trainer.steps": 1000}) as launch:
                    launch.start()
                    wait_until(lambda: has_come(launch), moment)
                    launch.process.send_signal(number)
                    self.assertNotEqual(launch.wait(), 0, launch.text())
                    self.assert_nothing_left(launch)
                    if moment == "a step":
                        self.assertEqual(launch.process.returncode, 75, launch.text())
                        self.assertTrue(launch.checkpoints(), launch.text())

    def test_an_interrupted_run_goes_on_where_it_stopped(self):
        with Launch({"trainer.steps": 6}) as launch:
            launch.start()
            wait_until(lambda: launch.steps() >= 1, "a step")
            launch.process.send_signal(signal.SIGINT)
            self.assertEqual(launch.wait(), 75, launch.text())
            launch.start()
            self.assertEqual(launch.wait(), 0, launch.text())
            self.assertEqual(launch.steps(), 6)
            self.assertIn("resumed", launch.text())
            self.assert_nothing_left(launch)

    def test_a_second_signal_ends_everything_at_once(self):
        with Launch({"trainer.steps": 1000, "trainer.questions_per_step": 2000}, workers=1) as launch:
            launch.start()
            wait_until(lambda: ledger(launch.folder), "the first pool call")
            launch.process.send_signal(signal.SIGINT)
            wait_until(lambda: "finishing this step" in launch.text(), "the answer to the first signal")
            launch.process.send_signal(signal.SIGINT)
            self.assertNotEqual(launch.wait(), 0)
            self.assert_nothing_left(launch)

    def test_killed_ranks_workers_and_pools_are_started_again_and_the_run_finishes(self):
        with Launch({"trainer.steps": 12}, arguments=["--resume", "none"]) as launch:
            launch.start()
            wait_until(lambda: list(launch.parent.glob("routewright-mpi.*/ompi.*")), "mpirun's files in a folder of their own")
            for step, command in ((1, "train"), (3, "worker"), (5, "pool"), (7, "train")):
                wait_until(lambda: launch.steps() >= step, f"step {step}")
                launch.kill(command)
            self.assertEqual(launch.wait(), 0, launch.text())
            self.assertEqual(launch.steps(), 12)
            self.assertEqual(list(launch.folder.glob("previous-*")), [], "the ranks' next start began anew")
            for part in ("a rank was lost", "starting the ranks again (1 of 3 in a row)", "the worker ended with status",
                         "the pool died: starting it again"):
                self.assertIn(part, launch.log.read_text())
            logs = [log.read_text() for log in (launch.folder / "logs").glob("worker-*.log")]
            self.assertTrue(any("the learner was started again" in log for log in logs), logs)  # one process for both
            self.assert_nothing_left(launch)

    def test_without_restarts_a_killed_rank_ends_the_job(self):
        with Launch({"trainer.steps": 1000}, restarts=0) as launch:
            launch.start(PRTE_MCA_prte_tmpdir_base=str(launch.parent / "run"))  # mpirun takes no second such setting
            wait_until(lambda: launch.steps() >= 1, "a step")
            launch.kill("train")
            self.assertEqual(launch.wait(), 1, launch.text())
            self.assertIn("a rank was lost", launch.text())
            self.assertIn(" is dead: ", (launch.folder / "logs" / "lost_rank.txt").read_text())
            self.assert_nothing_left(launch)

    def test_a_learner_that_gives_up_before_its_first_step_is_no_accident(self):
        for key, value, words in (
            ("trainer.rollout_service.listen_address", "192.0.2.1:0", "cannot listen on 192.0.2.1:0"),  # nobody's address
            ("trainer.prometheus.listen_address", "192.0.2.1:0", "cannot serve Prometheus' metrics at 192.0.2.1:0"),
            ("trainer.live_page.token_env", "NO_SUCH_TOKEN", "NO_SUCH_TOKEN"),
        ):
            with self.subTest(key), Launch({key: value}) as launch:
                launch.start(ROUTEWRIGHT_DOCTOR="off")
                self.assertEqual(launch.wait(), 1, launch.text())
                self.assertIn(words, launch.text())
                self.assertNotIn("starting the ranks again", launch.log.read_text())
                record = json.loads((launch.folder / "learner.json").read_text())
                self.assertEqual(record["state"], "failed")
                self.assertIn(words, record["message"])
                self.assert_nothing_left(launch)

    def test_what_doctor_finds_ends_before_anything_runs(self):
        with Launch() as launch:
            launch.command.remove("--emulator")
            launch.start(ROUTEWRIGHT_POOL_URL="")
            self.assertEqual(launch.wait(), 1, launch.text())
            for part in ("endpoint Sage", "ROUTEWRIGHT_POOL_URL", "with_pool.sh", "doctor found"):
                self.assertIn(part, launch.text())
            self.assertFalse((launch.folder / "learner.json").exists())
            self.assert_nothing_left(launch)

    def test_without_a_pool_the_last_worker_to_fail_ends_the_run_and_says_why(self):
        with Launch() as launch:
            launch.command.remove("--emulator")
            launch.start(ROUTEWRIGHT_POOL_URL="", ROUTEWRIGHT_DOCTOR="off")
            self.assertEqual(launch.wait(), 1, launch.text())
            for part in ("no worker is left", "ROUTEWRIGHT_POOL_URL", "with_pool.sh"):
                self.assertIn(part, launch.text())
            self.assert_nothing_left(launch)

    def test_bad_config_ends_before_anything_runs(self):
        with Launch({"trainer.stps": 3}) as launch:
            launch.start()
            self.assertEqual(launch.wait(), 2, launch.text())
            self.assertIn("did you mean steps", launch.text())
            self.assert_nothing_left(launch)


class QuickstartTest(unittest.TestCase):
    def test_trains_evaluates_prints_the_table_and_is_done_when_run_again(self):
        seed = uuid.uuid4().int % 10**9  # of a run folder that nobody uses
        folder = ROOT / f"runs/quickstart-{seed}"
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        command = ["launch/quickstart.sh", "--no-install", "--seed", str(seed), "--steps", "2"]
        first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(first.returncode, 0, first.stderr[-3000:])
        for part in ("step 2/2", "trained", "untrained", "random", "forced:Sage", "oracle", "gap to the oracle"):
            self.assertIn(part, first.stdout)
        report = json.loads((folder / "report.json").read_text())
        self.assertEqual(report["trained"]["num_questions"], 1194)
        paid = ledger(folder)
        again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(again.returncode, 0, again.stderr[-3000:])
        self.assertIn((folder / "report.txt").read_text(), again.stdout)
        self.assertEqual(ledger(folder), paid)  # nothing was paid for again


if __name__ == "__main__":
    unittest.main(verbosity=2)
