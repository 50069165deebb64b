"""What shells, batch systems, containers and proxies leave in the environment: none of it decides whether a run on one
machine starts. Each group of cases is a training of one step by launch/local.sh, with all that they name in the
environment; if it fails, each case is tried alone, to say which it was."""
import os
import pathlib
import pwd
import shutil
import socket
import subprocess
import tempfile
import unittest

from harness import CONFIG, LIMIT_S, ROOT, SMALL

# As an allocation of Slurm's on another host leaves them in a shell.
SLURM = {f"SLURM_{name}": value for name, value in {
    "JOB_ID": "134", "JOBID": "134", "NNODES": "1", "JOB_NUM_NODES": "1", "NTASKS": "1", "NPROCS": "1", "TASKS_PER_NODE": "1",
    "JOB_CPUS_PER_NODE": "1", "CPUS_ON_NODE": "1", "PROCID": "0", "LOCALID": "0", "NODEID": "0", "STEP_ID": "0", "STEPID": "0",
    "NODELIST": "node07", "JOB_NODELIST": "node07", "STEP_NUM_TASKS": "1", "SUBMIT_DIR": "/tmp"}.items()}
PROXY = "http://127.0.0.1:9"  # nothing listens there
# name → what is set; None: unset
CASES = {
    "a proxy": {"http_proxy": PROXY, "https_proxy": PROXY, "grpc_proxy": PROXY, "all_proxy": PROXY, "HTTP_PROXY": PROXY,
                "HTTPS_PROXY": PROXY, "ALL_PROXY": PROXY, "no_proxy": None, "NO_PROXY": None},
    "no HOME": {"HOME": None, "USER": None, "LOGNAME": None},
    "an empty HOME": {"HOME": ""},
    "a HOME that is not there": {"HOME": "/nonexistent"},
    "Slurm's allocation of another host": SLURM,
    "Slurm's allocation of this host": {**SLURM, "SLURM_NODELIST": socket.gethostname(),
                                        "SLURM_JOB_NODELIST": socket.gethostname(),
                                        "SLURMD_NODENAME": socket.gethostname()},
    "a job of PBS": {"PBS_ENVIRONMENT": "PBS_BATCH", "PBS_JOBID": "7.server", "PBS_NODEFILE": "/nonexistent/nodes"},
    "a job of LSF": {"LSB_JOBID": "7", "LSB_HOSTS": "node07 node07", "LSB_AFFINITY_HOSTFILE": "/nonexistent/hosts"},
    "a job of Grid Engine": {"PE_HOSTFILE": "/nonexistent/hosts", "JOB_ID": "7", "NSLOTS": "2"},
    "a rank of another mpirun": {"PMIX_RANK": "3", "PMIX_NAMESPACE": "prterun-node07-9@1", "PMI_RANK": "3", "PMI_SIZE": "4",
                                 "PMIX_SERVER_URI41": "prterun-node07-9@0.0;tcp4://127.0.0.1:9",
                                 "OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"},
    "CDPATH": {"CDPATH": "/:/tmp"},
    "exported shell options": {"SHELLOPTS": "braceexpand:hashall:interactive-comments:noclobber:noglob"},
    "a POSIX shell": {"POSIXLY_CORRECT": "1"},
    "a time limit for input": {"TMOUT": "1"},
    "functions with the names of tools": {"BASH_FUNC_grep%%": '() { command grep --color=always "$@"; }',
                                          "BASH_FUNC_which%%": "() { echo no; }", "BASH_FUNC_rm%%": "() { false; }"},
    "BASH_ENV": {"BASH_ENV": "/nonexistent/profile", "ENV": "/nonexistent/profile"},
    "a locale that is not installed": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "LANGUAGE": "tr"},
    "no TERM": {"TERM": None, "COLUMNS": "0"},
    "odd numbers of threads": {"OMP_NUM_THREADS": "64", "OMP_PLACES": "cores", "OMP_PROC_BIND": "true", "MKL_NUM_THREADS": "0"},
    "no GPU to be seen": {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"},
    "somebody's Python": {"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent", "VIRTUAL_ENV": "/nonexistent"},
}
# Cases that do not speak of the same variables.
GROUPS = [
    ["CDPATH", "exported shell options", "a POSIX shell", "a time limit for input", "functions with the names of tools", "BASH_ENV", "a locale that is not installed", "no TERM"],
    ["a proxy", "odd numbers of threads", "no GPU to be seen", "somebody's Python"],
    ["no HOME", "Slurm's allocation of another host", "a job of PBS"],
    ["an empty HOME", "a job of LSF", "a rank of another mpirun"],
    ["a HOME that is not there", "Slurm's allocation of this host", "a job of Grid Engine"],
]
SHORT = {**SMALL, "trainer.steps": 1, "trainer.evaluate_questions": 1}


class Training:
    """A training of one step in a folder of its own."""

    def __init__(self, environment):
        self._temporary = tempfile.TemporaryDirectory(prefix="routewright-")
        self.parent = pathlib.Path(self._temporary.name)
        self.environment = {**os.environ, "TMPDIR": str(self.parent), **environment}
        self.environment = {name: value for name, value in self.environment.items() if value is not None}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._temporary.cleanup()

    def run(self, before=(), **options):
        settings = {**SHORT, "run.name": "run", "run.output_dir": self.parent}
        sets = [f"{key}={value}" for key, value in settings.items()]
        return subprocess.run(
            [*before, str(ROOT / "launch/local.sh"), "--config", str(CONFIG), "--ranks", "2", "--workers", "1", "--emulator",
             "--", *[word for item in sets for word in ("--set", item)]],
            cwd=ROOT, env=self.environment, text=True, errors="replace", capture_output=True, start_new_session=True,
            timeout=LIMIT_S, **{"stdin": subprocess.DEVNULL, **options})

    def state(self):
        record = self.parent / "run/learner.json"
        return record.read_text() if record.exists() else ""


class EnvironmentTest(unittest.TestCase):
    def assert_trains(self, training, result):
        logs = "".join(path.read_text(errors="replace")[-1500:] for path in (training.parent / "run/logs").glob("*.log"))
        self.assertEqual(result.returncode, 0, result.stdout[-1500:] + result.stderr[-3000:] + logs)
        self.assertIn('"state":"finished"', training.state())

    def test_a_run_on_one_machine_starts_whatever_the_environment_holds(self):
        self.assertEqual(sorted(name for group in GROUPS for name in group), sorted(CASES))
        for group in GROUPS:
            with Training({key: value for name in group for key, value in CASES[name].items()}) as training:
                if training.run().returncode == 0 and '"state":"finished"' in training.state():
                    continue
            num_right = 0
            for name in group:
                with self.subTest(name), Training(CASES[name]) as alone:
                    self.assert_trains(alone, alone.run())
                    num_right += 1
            self.assertLess(num_right, len(group), f"only together do these keep a run from starting: {', '.join(group)}")

    def test_an_environment_with_nothing_but_a_path_and_no_standard_input(self):
        with Training({name: None for name in os.environ}) as training:
            training.environment = {"PATH": "/usr/bin:/bin"}
            for name in ("ROUTEWRIGHT_BINARY", "ROUTEWRIGHT_MPIRUN"):
                if name in os.environ:
                    training.environment[name] = os.environ[name]
            self.assert_trains(training, training.run(before=["bash", "-c", 'exec "$@" <&-', "bash"]))

    def test_a_machine_without_setpriv_runs_too(self):
        with Training({}) as training:
            tools = training.parent / "tools"
            tools.mkdir()
            for folder in ("/bin", "/usr/bin"):
                for tool in pathlib.Path(folder).iterdir():
                    if tool.name != "setpriv" and not (tools / tool.name).is_symlink():
                        (tools / tool.name).symlink_to(tool)
            training.environment["PATH"] = str(tools)
            self.assert_trains(training, training.run())

    def assert_keeper_finds_the_folder(self, training):
        """Of a run that is not there: it waits for its learner."""
        result = subprocess.run([ROOT / "launch/keep_worker.sh", "--config", CONFIG, "--wait", "1", "--", "--set",
                                 f"run.output_dir={training.parent}"], cwd=ROOT, capture_output=True, text=True,
                                env=training.environment, stdin=subprocess.DEVNULL, timeout=LIMIT_S)
        self.assertIn(f"no learner for 1 s: nothing listens for {training.parent}/quickstart", result.stderr)

    def test_a_keeper_of_workers_that_srun_or_mpirun_started_finds_the_runs_folder(self):
        for rank in ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK"):
            with self.subTest(rank), Training({rank: "1"}) as training:
                self.assert_keeper_finds_the_folder(training)

    def test_what_a_container_says_besides_and_its_ends_of_lines_do_not_matter(self):
        with Training({}) as training:
            container = training.parent / "container"
            container.write_text('#!/bin/sh\necho hello\n"$@" >"$0.out"\nstatus=$?\nsed "s/$/\\r/" "$0.out"\necho bye\nexit $status\n')
            container.chmod(0o755)
            training.environment["ROUTEWRIGHT_CONTAINER"] = str(container)
            self.assert_keeper_finds_the_folder(training)

    def test_a_long_temporary_folder_is_fine(self):
        with Training({}) as training:
            folder = training.parent / "/".join(["job-00000001234567.cluster.example.org"] * 4)
            folder.mkdir(parents=True)
            training.environment["TMPDIR"] = str(folder)
            self.assert_trains(training, training.run())

    def test_a_temporary_folder_that_is_none_is_named(self):
        for folder in ("/nonexistent/scratch", "/etc/passwd"):
            with self.subTest(folder), Training({"TMPDIR": folder}) as training:
                result = training.run()
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(f"TMPDIR is {folder}, which is no folder that can be written", result.stderr)
                self.assertEqual(training.state(), "")

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_a_user_whom_the_machine_does_not_know(self):
        uid = 12345
        self.assertRaises(KeyError, pwd.getpwuid, uid)
        with Training({"HOME": None, "USER": None, "LOGNAME": None}) as training:
            # Everything that a user of this checkout can read; root's folders need not be open to others.
            readable = subprocess.run(["setpriv", "--reuid", str(uid), "--clear-groups", "test", "-x", str(ROOT)]).returncode
            if readable != 0:
                self.skipTest(f"{ROOT} is closed to other users")
            shutil.chown(training.parent, uid, uid)
            result = training.run(before=["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"])
            self.assert_trains(training, result)


if __name__ == "__main__":
    unittest.main()
