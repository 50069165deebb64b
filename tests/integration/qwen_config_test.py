"""configs/qwen2.5_3b_h100.yaml and the page that leads to it: what the page shows is what the program prints, and the config
itself trains, on CPUs, with a small random policy of the same family and servers that stand for vLLM's."""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "policy/parity"))
from harness import BINARY, ROOT, Run, run_command, wait_until  # noqa: E402
from qwen_policy import CONFIG as QWEN  # noqa: E402
from qwen_policy import make_qwen_policy  # noqa: E402

CONFIG = ROOT / "configs/qwen2.5_3b_h100.yaml"
PAGE = (ROOT / "configs/qwen2.5_3b_h100.md").read_text()
POOL = {"ROUTEWRIGHT_POOL_SMALL_URL": "Qwen/Qwen2.5-7B-Instruct", "ROUTEWRIGHT_POOL_MEDIUM_URL": "microsoft/phi-4",
        "ROUTEWRIGHT_POOL_LARGE_URL": "Qwen/Qwen2.5-72B-Instruct"}
KEY = {"ROUTEWRIGHT_POOL_KEY": "a-key"}
URLS = dict.fromkeys(POOL, "http://127.0.0.1:1")


def shown(command):
    """The lines that the page shows under a command, without those that it leaves out."""
    block = next(b for b in re.findall(r"```\n(.+?)```", PAGE, re.DOTALL) if b.startswith(f"$ {command}"))
    text = block.replace("\\\n", "")
    return [line for line in text.splitlines()[1:] if line not in ("…", "")]


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="routewright-qwen-")))
        cls.policy = cls.folder / "policy"
        make_qwen_policy(cls.policy)

    def findings(self, *flags, **environment):
        result = run_command("doctor", "--config", CONFIG, "--set", f"policy.path={self.policy}", "--json", "--ranks", 16,
                             "--ranks-per-host", 8, *flags, environment=environment)
        return result.returncode, {row["subject"]: row for row in json.loads(result.stdout)}

    def test_the_dry_run_plans_what_the_page_shows(self):
        result = run_command("train", "--config", CONFIG, "--set", f"policy.path={self.policy}", "--dry-run", "--ranks", 16,
                             "--ranks-per-host", 8)
        self.assertEqual(result.returncode, 0, result.stderr)
        lines = shown("build/bin/routewright train")
        self.assertGreater(len(lines), 15)
        for line in lines:
            self.assertIn(line, result.stdout.splitlines())
        self.assertIn("# it fits (H100", "\n".join(lines))

    def test_doctor_names_the_variables_that_are_not_exported_yet(self):
        status, findings = self.findings("--no-probe", ROUTEWRIGHT_POOL_KEY="", **dict.fromkeys(POOL, ""))
        self.assertEqual(status, 1)
        for subject in ("endpoint Qwen2.5-7B", "endpoint Phi-4", "endpoint Qwen2.5-72B"):
            self.assertEqual(findings[subject]["level"], "failure")
            self.assertIn("ROUTEWRIGHT_POOL_", findings[subject]["text"])
        self.assertEqual(findings["policy"]["level"], "failure")  # the weights are missing here
        self.assertIn("weights", findings["policy"]["remedy"])

    def test_doctor_is_content_with_prompt_data_and_endpoints(self):
        _, findings = self.findings("--no-probe", **URLS, **KEY)
        for subject in ("prompt", "data", "endpoint Phi-4", "port", "memory"):
            self.assertEqual(findings[subject]["level"], "ok", findings[subject])
        self.assertFalse([s for s in findings if s.startswith("pool ")])  # nobody was called

    def test_doctor_says_which_server_does_not_answer(self):
        _, findings = self.findings(*(f"--set=pool.{key}" for key in ("max_retries=0", "connect_timeout_s=1")), **URLS, **KEY)
        for name in ("Qwen2.5-7B", "Phi-4", "Qwen2.5-72B"):
            self.assertEqual(findings[f"pool {name}"]["level"], "failure")

    def test_the_page_and_the_config_speak_of_the_same_models(self):
        for variable, model in POOL.items():
            self.assertIn(f"{variable}={model}", PAGE)
            self.assertIn(f'base_url: "${{{variable}}}/v1"\n      served_model: {model}\n', CONFIG.read_text())

    def test_every_file_that_the_page_names_is_there(self):
        for path in re.findall(r"\b((?:launch|configs|data)/[\w./-]+\w)", PAGE):
            self.assertTrue((ROOT / path).exists(), path)
        for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
            self.assertTrue((ROOT / "configs" / target).exists(), target)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class TrainingTest(unittest.TestCase):
    # What no CPU can do, or not soon. All else is the config's own.
    SMALL = {"policy.device": "cpu", "policy.compute_type": "f32", "trainer.steps": 2, "trainer.questions_per_step": 2,
             "trainer.episodes_per_question": 2, "episode.max_round_tokens": 8, "trainer.evaluate_every": 1,
             "trainer.evaluate_questions": 2, "trainer.optimizer.warmup_steps": 1, "worker.threads": 1}

    def test_the_config_trains_and_evaluates_with_a_small_policy(self):
        # Its own settings, not the harness's for the quickstart.
        with Run(name="qwen", ranks=2, config=CONFIG) as run:
            run.overrides = {**self.SMALL, "policy.path": run.parent / "policy", "run.name": "qwen", "run.output_dir": run.parent}
            (run.parent / "config.json").write_text(json.dumps(
                {**QWEN, "hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2}))
            make_qwen_policy(run.parent / "tokenizer")
            made = run_command("convert", "--random", run.parent / "config.json", "--tokenizer", run.parent / "tokenizer",
                               "--to", run.parent / "policy")
            self.assertEqual(made.returncode, 0, made.stderr)
            run.environment.update(KEY, VLLM_API_KEY=KEY["ROUTEWRIGHT_POOL_KEY"])
            for variable, model in POOL.items():
                port = free_port()
                run.environment[variable] = f"http://127.0.0.1:{port}"
                server = run.start([sys.executable, ROOT / "tests/integration/slurm/fake_vllm.py", "serve", model, "--host",
                                    "127.0.0.1", "--port", port], f"{variable}.log")
                wait_until(lambda: server.poll() is None and server.log.read_text(), model)
            run.pool_url = "the three servers"
            self.assertEqual(run.train(workers=1), 0, (run.parent / "trainer.log").read_text()[-3000:])
            rows = run.metrics()
            self.assertEqual(run.steps_made(), [0, 1])
            self.assertIn("evaluation/em", " ".join(rows[-1]))
            self.assertTrue(run.checkpoints())


if __name__ == "__main__":
    unittest.main(verbosity=2)
