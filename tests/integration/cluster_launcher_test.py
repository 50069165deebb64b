"""launch/mpirun.sh and launch/keep_worker.sh, on this machine as the only host of a host file."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import unittest

from harness import BINARY, CONFIG, MPIRUN, ROOT, Run, kill_session, session_members, signal_session, wait_for_exit, wait_until

LAUNCHERS = {"ROUTEWRIGHT_BINARY": BINARY, "ROUTEWRIGHT_MPIRUN": MPIRUN}


class ClusterRun(Run):
    """A run started by the launchers for several hosts."""

    def __enter__(self):
        self.environment.update(LAUNCHERS)
        (self.parent / "hosts").write_text("# one host\nlocalhost slots=2\n")
        return super().__enter__()

    def start_ranks(self, *options, extra=None):
        (self.folder / "learner.address").unlink(missing_ok=True)
        return self.start([ROOT / "launch/mpirun.sh", "--config", self.config, "--hostfile", self.parent / "hosts", *options,
                           "--", *self._sets(extra)], "trainer.log")

    def keep_worker(self, name="kept", wait=60, extra=None):
        return self.start([ROOT / "launch/keep_worker.sh", "--config", self.config, "--run", self.folder, "--wait", wait,
                           "--log", self.folder / f"{name}-worker.log", "--", *self._sets(extra)], f"{name}.log")


def worker_processes(keeper):
    """The program's own processes in a keeper's session."""
    return [pid for pid in session_members(keeper)
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:2] == [BINARY.encode(), b"worker"]]


class ClusterLauncherTest(unittest.TestCase):
    def test_a_run_over_a_host_file_stops_with_75_goes_on_and_kept_workers_follow_it(self):
        with ClusterRun() as run:
            run.start_pool()
            keeper = run.keep_worker()  # before there is a learner
            trainer = run.start_ranks("--ranks-per-host", 2)
            # Workers on other hosts are told this host's name, since the learner listens on every interface.
            address = run.address(trainer)
            self.assertTrue(re.fullmatch(re.escape(socket.gethostname()) + r":[1-9]\d*", address), address)
            wait_until(lambda: (run.folder / "metrics.jsonl").exists() and run.metrics(), "a step")
            trainer.send_signal(signal.SIGUSR1)
            self.assertEqual(wait_for_exit(trainer), 75, trainer.log.read_text()[-3000:])
            self.assertEqual(session_members(trainer), [])
            trainer = run.start_ranks()  # two ranks by the file's slots
            self.assertEqual(wait_for_exit(trainer), 0, trainer.log.read_text()[-3000:])
            self.assertEqual(run.steps_made(), [0, 1, 2, 3])
            for part in ("2 ranks on 1 hosts", "resumed", "it fits"):
                self.assertIn(part, trainer.log.read_text())
            self.assertEqual(wait_for_exit(keeper), 0, keeper.log.read_text())
            self.assertIn("the run is over (finished)", keeper.log.read_text())

    def test_a_killed_worker_is_started_again_and_one_that_is_asked_leaves(self):
        with ClusterRun(overrides={"trainer.steps": 1000}) as run:
            run.start_pool()
            trainer = run.start_trainer()
            keepers = [run.keep_worker("first"), run.keep_worker("second")]
            wait_until(lambda: (run.folder / "metrics.jsonl").exists() and run.metrics(), "a step")
            worker_log = run.folder / "first-worker.log"
            # The step may have been the second worker's alone.
            wait_until(lambda: worker_log.exists() and "registered run=" in worker_log.read_text(), "the first worker")
            victim = wait_until(lambda: worker_processes(keepers[0]), "the first worker's process")
            os.kill(victim[0], signal.SIGKILL)
            wait_until(lambda: worker_log.read_text().count("registered run=") == 2, "another worker")
            self.assertIn("ended with status 137; again in 1 s", keepers[0].log.read_text())
            for keeper, number in zip(keepers, (signal.SIGUSR1, signal.SIGTERM)):
                # As Slurm does it: the keeper and its worker both get the signal.
                signal_session(keeper, number)
                self.assertEqual(wait_for_exit(keeper), 0, keeper.log.read_text())
                self.assertEqual(session_members(keeper), [])
                log = run.folder / keeper.log.name.replace(".log", "-worker.log")
                self.assertIn("giving episodes back", log.read_text())
            kill_session(trainer)

    def test_a_worker_without_a_learner_gives_up(self):
        with ClusterRun() as run:
            run.start_pool()
            keeper = run.keep_worker(wait=1)
            self.assertEqual(wait_for_exit(keeper), 1)
            self.assertIn("no learner for 1 s", keeper.log.read_text())
            # A learner that was killed has left its address, and "running" on record.
            run.folder.mkdir(exist_ok=True)
            (run.folder / "learner.address").write_text("127.0.0.1:1\n")
            (run.folder / "learner.json").write_text('{"state":"running","step":0,"message":""}\n')
            keeper = run.keep_worker("late", wait=1, extra={"worker.reconnect_timeout_s": 1})
            self.assertEqual(wait_for_exit(keeper), 1)
            self.assertIn("the worker reached no learner for 1 s", keeper.log.read_text())

    def test_a_worker_that_waits_says_so_and_leaves_when_asked(self):
        with ClusterRun() as run:
            run.start_pool()
            worker = run.start([BINARY, "worker", "--config", run.config, *run._sets()], "waiting")
            wait_until(lambda: "waiting for it" in worker.log.read_text(), "its word")
            os.kill(worker.pid, signal.SIGTERM)
            self.assertEqual(wait_for_exit(worker), 0, worker.log.read_text())
            result = subprocess.run(["launch/keep_worker.sh", "--config", "/nowhere.yaml", "--run", run.folder], cwd=ROOT,
                                    capture_output=True, text=True, env=run.environment, check=False)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn("cannot read /nowhere.yaml", result.stderr)

    def test_a_worker_with_other_settings_is_refused_and_both_sides_say_why(self):
        with ClusterRun() as run:
            run.start_pool()
            trainer = run.start_trainer()
            run.address(trainer)
            keeper = run.keep_worker(extra={"pool.models.0.input_price": 123456})
            refused = "with other prompt, episode or pool settings"
            wait_until(lambda: refused in trainer.log.read_text(), "the refusal")
            wait_until(lambda: refused in keeper.log.read_text(), "the worker's word")
            self.assertEqual(wait_for_exit(run.start_worker(run.address(trainer), "right")), 0)
            self.assertEqual(wait_for_exit(trainer), 0)

    def test_a_batch_script_tells_what_it_is_for_and_that_it_is_submitted(self):
        outside = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
        for name in ("train", "workers", "vllm_pool"):
            script = ROOT / f"launch/slurm/{name}.sbatch"
            shown = subprocess.run(["bash", script, "--help"], capture_output=True, text=True, env=outside, check=True).stdout
            self.assertIn(f"launch/slurm/{name}.sbatch", shown)
            self.assertNotIn("#", shown.splitlines()[0])
            self.assertNotIn("SBATCH --job-name", shown)
            result = subprocess.run(["bash", script, "--config", CONFIG], capture_output=True, text=True, env=outside, check=False)
            self.assertEqual((result.returncode, result.stdout), (2, ""))
            self.assertIn("submit it with sbatch", result.stderr)

    def test_bad_arguments_end_before_anything_runs(self):
        with ClusterRun() as run:
            hosts = run.parent / "hosts"
            for arguments, message in (
                (["--config", CONFIG], "--hostfile is missing"),
                (["--config", CONFIG, "--hostfile", run.parent / "none"], "cannot read"),
                (["--config", CONFIG, "--hostfile", hosts, "--ranks-per-host", "many"], "must be a number"),
                (["--config", CONFIG, "--hostfile", hosts, "--", "--set", "trainer.stps=3"], "did you mean steps"),
            ):
                result = subprocess.run(["launch/mpirun.sh", *map(str, arguments)], cwd=ROOT, capture_output=True,
                                        text=True, env=run.environment, check=False)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn(message, result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
