"""Each kind of bad input ends in one clear sentence that names the thing and the remedy, with the right exit code, and
leaves nothing half-written. (A full disk and a missing system package are tested beside the file layer and build.sh.)"""
import os
import pathlib
import shutil
import socket
import subprocess
import unittest

from harness import BINARY, CONFIG, LIMIT_S, MPIRUN, ROOT, Run, run_command, wait_for_exit

POLICY = ROOT / "data/quickstart/policy"


class BadInputTest(unittest.TestCase):
    def setUp(self):
        self.run_ = Run(name="bad")
        self.addCleanup(self.run_.__exit__)
        self.environment = {"ROUTEWRIGHT_POOL_URL": "http://127.0.0.1:9"}

    def train(self, *flags, **overrides):
        sets = []
        for key, value in {**self.run_.overrides, **overrides}.items():
            sets += ["--set", f"{key}={value}"]
        return run_command("train", "--config", CONFIG, *sets, *flags, environment=self.environment)

    def assert_fails(self, result, code, *words):
        self.assertEqual(result.returncode, code, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def copy_of_policy(self):
        folder = self.run_.parent / "policy"
        shutil.copytree(POLICY, folder)
        return folder

    def test_a_missing_policy_folder(self):
        self.assert_fails(self.train(**{"policy.path": "/nowhere/policy"}), 1, "/nowhere/policy")

    def test_a_truncated_safetensors_file(self):
        folder = self.copy_of_policy()
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        self.assert_fails(self.train(**{"policy.path": folder}), 1, "model.safetensors")

    def test_a_misspelt_config_key(self):
        config = self.run_.parent / "misspelt.yaml"
        config.write_text(pathlib.Path(CONFIG).read_text().replace("questions_per_step:", "question_per_step:"))
        result = run_command("train", "--config", config, environment=self.environment)
        self.assert_fails(result, 2, "misspelt.yaml:", "question_per_step", "questions_per_step")
        result = self.train(**{"trainer.lose.clip_low": 0.1})
        self.assert_fails(result, 2, "trainer.lose", "loss")

    def test_a_value_out_of_range(self):
        self.assert_fails(self.train(**{"trainer.loss.clip_low": 1.5}), 2, "trainer.loss.clip_low", "(0, 1)")

    def test_a_training_without_its_sections(self):
        config = self.run_.parent / "short.yaml"
        config.write_text("run: {name: short}\npolicy: {path: data/quickstart/policy}\n")
        for flags in ((), ("--dry-run",)):
            result = run_command("train", "--config", config, *flags, environment=self.environment)
            self.assert_fails(result, 2, "prompt.template_path", "pool.models", "data.train")

    def test_a_missing_checkpoint(self):
        for flags in ((), ("--dry-run",)):
            self.assert_fails(self.train("--resume", "/nowhere/step-000002", *flags), 1, "/nowhere/step-000002")

    def test_a_missing_prompt_template(self):
        for flags in ((), ("--dry-run",)):
            self.assert_fails(self.train(*flags, **{"prompt.template_path": "/nowhere/prompt.txt"}), 1,
                              "/nowhere/prompt.txt")

    def test_ranks_that_were_started_differently_say_in_what(self):
        sets = [word for key, value in self.run_.overrides.items() for word in ("--set", f"{key}={value}")]
        rank = ["-n", "1", BINARY, "train", "--config", str(CONFIG), *map(str, sets)]
        result = subprocess.run(
            [MPIRUN, "--oversubscribe", "--bind-to", "none", *rank, ":", *rank, "--set", "trainer.steps=77"], cwd=ROOT,
            capture_output=True, text=True, timeout=LIMIT_S,
            env=dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", **self.environment))
        self.assertNotEqual(result.returncode, 0)
        for part in ("rank 1: was started with", "steps: 77", "rank 0 with", "--set"):
            self.assertIn(part, result.stderr)

    def test_a_missing_config(self):
        self.assert_fails(run_command("train", "--config", "/nowhere.yaml"), 2, "/nowhere.yaml")

    def test_a_bad_line_in_a_dataset(self):
        data = self.run_.parent / "questions.jsonl"
        data.write_text('{"id":"a","question":"What?","golden_answers":["x"]}\n{"id":"b","question":\n')
        config = self.run_.parent / "dataset.yaml"
        text = pathlib.Path(CONFIG).read_text()
        config.write_text(text.replace("data/quickstart/questions.train.jsonl", str(data)))
        result = run_command("train", "--config", config, "--set", f"run.output_dir={self.run_.parent}",
                             environment=self.environment)
        self.assert_fails(result, 1, "questions.jsonl:2")

    def test_a_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = self.train(**{"trainer.rollout_service.listen_address": f"127.0.0.1:{port}"})
            self.assert_fails(result, 1, f"127.0.0.1:{port}", "in use")
            result = run_command("pool", "--config", CONFIG, "--port", port, environment=self.environment)
            self.assert_fails(result, 1, str(port), "in use")

    def test_an_unreachable_pool(self):
        result = run_command("ask", "--config", CONFIG, "--policy", POLICY, "--set", "pool.max_retries=1",
                             "What is the capital of Peru?", environment=self.environment)
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("127.0.0.1:9", result.stdout + result.stderr)

    def test_a_real_pool_without_its_model(self):
        def with_pool(*flags):
            return subprocess.run([ROOT / "launch/with_pool.sh", *flags, "--", "true"], capture_output=True, text=True)

        self.assert_fails(with_pool("--gguf", "/nowhere/m.gguf", "--name", "m"), 1, "there is no file /nowhere/m.gguf")
        self.assert_fails(with_pool("--gguf", "/nowhere/m.gguf"), 2, "--name is missing")
        self.assert_fails(with_pool("--gguf", "m.gguf", "--name", "m", "--config", CONFIG), 2, "give one")

    def test_an_unreachable_learner(self):
        command = ["worker", "--config", CONFIG, "--learner", "127.0.0.1:9", "--set", "worker.reconnect_timeout_s=1"]
        token = self.run_.parent / "learner.token"
        result = run_command(*command, "--token-file", token, environment=self.environment)
        self.assert_fails(result, 1, str(token), "no learner for 1s")
        token.write_text("0123456789abcdef0123456789abcdef\n")
        result = run_command(*command, "--token-file", token, environment=self.environment)
        self.assert_fails(result, 1, "127.0.0.1:9")
        self.assertNotIn("0123456789abcdef", result.stderr)

    def test_an_unknown_command_and_a_missing_option(self):
        self.assert_fails(run_command("trian"), 2, "trian")
        self.assert_fails(run_command("train"), 2, "--config")

    def test_a_flipped_bit_in_a_checkpoint(self):
        with Run(name="flip") as run:
            self.assertEqual(run.train(extra={"trainer.steps": 2}), 0)
            newest = run.checkpoints()[-1]
            target = sorted(newest.rglob("*.safetensors"))[0]
            data = bytearray(target.read_bytes())
            data[len(data) // 2] ^= 1
            target.write_bytes(data)
            # By name: refused. With auto: said, and the one before it is used.
            trainer = run.start_trainer("--resume", str(newest))
            self.assertEqual(wait_for_exit(trainer), 1)
            self.assertIn(target.name, trainer.log.read_text())
            before = len(run.metrics())
            self.assertEqual(run.train("--resume", "auto", extra={"trainer.steps": 2}), 0)
            self.assertIn(newest.name, trainer.log.read_text())
            self.assertEqual(len(run.metrics()), before)


class BuildScriptTest(unittest.TestCase):
    def test_a_missing_system_package_is_named_with_the_remedy(self):
        with Run(name="packages") as run:
            fake = run.parent / "dpkg-query"
            fake.write_text("#!/bin/sh\nfor last; do :; done\n[ \"$last\" = libabsl-dev ] && exit 1\n"
                            "printf 'install ok installed'\n")
            fake.chmod(0o755)
            environment = dict(run.environment, PATH=f"{run.parent}:{run.environment['PATH']}")
            result = subprocess.run([ROOT / "launch/build.sh", "--no-install"], env=environment, capture_output=True,
                                    text=True)
            self.assertEqual(result.returncode, 1)
            self.assertIn("libabsl-dev", result.stderr)
            self.assertIn("apt-get install", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
