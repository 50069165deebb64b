"""The commands that people run by hand after a training: eval, ask, inspect, convert."""
import json
import pathlib
import re
import shutil
import tempfile
import unittest

from harness import CONFIG, ROOT, Run, ledger, run_command

POLICY = ROOT / "data/quickstart/policy"
MODELS = ("Atlas", "Curie", "Ledger", "Nomad", "Parrot", "Sage")


class CommandTableTest(unittest.TestCase):
    def test_every_file_of_a_command_has_a_row_and_the_rows_are_in_order(self):
        listed = re.findall(r"^  (\w+) ", run_command("--help").stdout, re.M)
        files = {path.stem for path in (ROOT / "launch/commands").glob("*.cc")} - {"commands"}
        self.assertEqual(listed, sorted(files))
        for command in listed:
            self.assertIn(f"routewright {command} ", run_command(command, "--help").stdout, "no example")


class CommandsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_ = Run(name="commands", overrides={"trainer.steps": 2})
        cls.addClassCleanup(cls.run_.__exit__)
        assert cls.run_.train() == 0, cls.run_.parent.joinpath("trainer.log").read_text()[-3000:]
        cls.sets = ["--set", f"run.output_dir={cls.run_.parent}", "--set", "evaluation.max_questions=40"]
        cls.environment = {"ROUTEWRIGHT_POOL_URL": cls.run_.pool_url}
        cls.checkpoint = cls.run_.checkpoints()[-1]

    def call(self, *arguments, code=0):
        result = run_command(*arguments, environment=self.environment)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def evaluate(self, *flags):
        output = self.run_.parent / "report.json"
        output.unlink(missing_ok=True)
        result = self.call("eval", "--config", CONFIG, *self.sets, "--policy", self.checkpoint / "policy",
                           "--output", output, *flags)
        return result.stdout, json.loads(output.read_text())

    def test_eval_reports_every_arm_and_the_same_twice(self):
        table, report = self.evaluate()
        arms = {"trained", "untrained", "random", "oracle", *(f"forced:{model}" for model in MODELS)}
        self.assertEqual(set(report), arms)
        for name, arm in report.items():
            for key in ("em", "f1", "em_two_hop", "cost_usd_per_1k", "calls_per_question", "share"):
                self.assertIn(key, arm, name)
            self.assertLessEqual(arm["em_interval"][0], arm["em"])
            self.assertLessEqual(arm["em"], arm["em_interval"][1])
            self.assertIn(name, table)
        self.assertEqual(report["forced:Sage"]["share"]["Sage"], 1)
        self.assertGreaterEqual(report["oracle"]["em"], max(report[f"forced:{model}"]["em"] for model in MODELS))
        self.assertEqual(self.evaluate()[0], table)
        _, alone = self.evaluate("--baselines", "none")
        self.assertEqual(alone, {"trained": report["trained"]})

    def test_an_arm_that_the_pool_failed_is_no_zero(self):
        output = self.run_.parent / "failed.json"
        deaf = ("--set", "pool.max_retries=0", "--set", "pool.retry_base_s=null", "--set", "pool.retry_max_s=null",
                "--set", "episode.max_attempts=1", "--set", "evaluation.max_questions=4")
        arguments = ("eval", "--config", CONFIG, *self.sets, "--policy", self.checkpoint / "policy", "--output", output, *deaf)
        nobody = [flag for i in range(len(MODELS)) for flag in ("--set", f"pool.models.{i}.base_url=http://127.0.0.1:1/v1")]
        result = self.call(*arguments, *nobody, "--baselines", "none", code=1)
        self.assertIn("trained: the pool failed every question", result.stderr)
        self.assertFalse(output.exists())
        last = ("--set", f"pool.models.{len(MODELS) - 1}.base_url=http://127.0.0.1:1/v1")
        result = self.call(*arguments, *last, code=1)
        self.assertIn(f"forced:{MODELS[-1]}: the pool failed every question", result.stderr)
        report = json.loads(output.read_text())
        self.assertNotIn(f"forced:{MODELS[-1]}", report)
        self.assertIn(f"forced:{MODELS[0]}", report)

    def test_a_reward_is_composed_anew_as_the_run_composed_it(self):
        config = self.run_.folder / "config.resolved.yaml"
        lines = [line for path in (self.run_.folder / "trajectories").glob("*.jsonl") for line in path.read_text().splitlines()]
        self.assertTrue(lines)
        rewards = [json.loads(line).get("reward", 0) for line in lines]
        result = run_command("reward", "--config", config, environment=self.environment, stdin="\n".join(lines))
        self.assertEqual([json.loads(line)["reward"] for line in result.stdout.splitlines()], rewards, result.stderr)

    def test_a_run_that_is_named_twice_is_one(self):
        link = self.run_.parent / "link"
        link.symlink_to(self.run_.folder)
        output = self.run_.parent / "one.html"
        self.call("report", self.run_.folder, f"{self.run_.folder}/.", link, "--output", output)
        self.assertNotIn("comparison.js", output.read_text())
        self.assertEqual(output.read_text().count(f'"run":"{self.run_.folder.name}"'), 1)

    def test_ask_shows_every_round_and_what_it_cost(self):
        text = self.call("ask", "--config", CONFIG, *self.sets, "--policy", POLICY, "What is the capital of Peru?").stdout
        for part in ("round 1", "<search>", "tokens in", "$0.0000", "round 2", "answer"):
            self.assertIn(part, text)

    def test_inspect_shows_checkpoints_policies_weights_and_trajectories(self):
        trajectories = sorted((self.run_.folder / "trajectories").glob("*.jsonl"))[0]
        run = json.loads(self.call("inspect", "--json", self.run_.folder).stdout)
        self.assertEqual([row["step"] for row in run["checkpoints"]], [1, 2])
        for path in (self.run_.folder, self.checkpoint, POLICY, POLICY / "model.safetensors", trajectories):
            self.assertGreater(len(self.call("inspect", path).stdout), 100)
            self.assertIsInstance(json.loads(self.call("inspect", "--json", path).stdout), dict)
        self.assertIn("/nowhere", self.call("inspect", "/nowhere", code=1).stderr)

    def test_a_checkpoint_becomes_a_policy_folder_that_answers_as_it_did(self):
        folder = self.run_.parent / "converted"
        self.call("convert", "--from", self.checkpoint, "--to", folder)
        request = json.dumps({"ids": [5, 6, 7], "max_tokens": 8, "temperature": 0}) + "\n"
        answers = [run_command("generate", "--policy", policy, stdin=request).stdout
                   for policy in (folder, self.checkpoint / "policy")]
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(len(json.loads(answers[0])["ids"]), 8)
        self.assertIn(str(folder), self.call("convert", "--from", self.checkpoint, "--to", folder, code=1).stderr)

    def doctor(self, *flags, code=0, **environment):
        # A run of its own: what it probes is written into that run's ledger.
        result = run_command("doctor", "--config", CONFIG, "--json", "--set", f"run.output_dir={self.run_.parent}",
                             "--set", "run.name=doctor", *flags, environment={**self.environment, **environment})
        self.assertEqual(result.returncode, code, result.stderr + result.stdout)
        return {finding["subject"]: finding for finding in json.loads(result.stdout)}, result

    def test_doctor_finds_a_sound_config_well_and_writes_down_what_its_calls_cost(self):
        found, _ = self.doctor()
        self.assertEqual({finding["level"] for finding in found.values()}, {"ok"}, found)
        for subject in ("policy", "prompt", "data", "mpi", "gpu", "port", "disk", "memory",
                        *(f"{what} {model}" for what in ("endpoint", "pool") for model in MODELS)):
            self.assertIn(subject, found)
        self.assertEqual({call["model"] for call in ledger(self.run_.parent / "doctor")}, set(MODELS))
        self.assertRegex(found["pool Sage"]["text"], r"for \$\d")

    def test_doctor_names_what_would_fail_and_the_remedy(self):
        for flags, environment, subject, parts in (
            (("--set", "policy.path=/nowhere"), {}, "policy", ("/nowhere", "policy.path")),
            (("--set", "prompt.template_path=/nowhere.txt"), {}, "prompt", ("/nowhere.txt",)),
            (("--set", "episode.max_prompt_tokens=5"), {}, "prompt", ("no episode can begin", "raise episode.max_prompt_tokens to")),
            (("--set", "data.source_weights={two_hops: 3}"), {}, "data", ("'two_hops'; there are capital",)),
            (("--set", "data.train.0.path=/nowhere.jsonl"), {}, "data", ("/nowhere.jsonl", "data.train")),
            (("--set", "pool.models.0.api_key_env=NO_SUCH_KEY"), {}, "endpoint Atlas", ("NO_SUCH_KEY",)),
            (("--set", "pool.models.0.base_url=${NODE}/v1"), {"NODE": "node17:8000"}, "endpoint Atlas", ("http://HOST:PORT",)),
            (("--set", "pool.models.0.base_url=http://127.0.0.1:1/v1"), {}, "pool Atlas", ("cannot connect", "start")),
            (("--set", "trainer.rollout_service.listen_address=192.0.2.1:0"), {}, "port", ("192.0.2.1", "listen_address")),
            (("--set", "run.output_dir=/proc/nowhere"), {}, "disk", ("run.output_dir",)),
            (("--ranks", "1024", "--set", "trainer.max_micro_batch_tokens=2000000"), {}, "memory", ("--set trainer.",)),
        ):
            found, _ = self.doctor(*flags, code=1, **environment)
            self.assertEqual(found[subject]["level"], "failure", (subject, found[subject]))
            for part in parts:
                self.assertIn(part, found[subject]["text"] + found[subject]["remedy"])

    def test_doctor_warns_of_prompts_and_prices_that_were_hardly_meant_so(self):
        found, _ = self.doctor("--no-probe", "--set", "episode.max_prompt_tokens=20", "--set", "pool.models.0.input_price=2",
                               "--set", "pool.models.0.output_price=2")
        for subject, part in (("prompt", "do not begin"), ("prices", "Atlas all but free")):
            self.assertEqual(found[subject]["level"], "warning", found[subject])
            self.assertIn(part, found[subject]["text"])
        self.assertIn("Sage $0.40 in, $2.00 out", found["prices"]["text"])

    def test_doctor_never_shows_a_key_and_calls_nobody_if_told_so(self):
        key = "sk-very-secret-0123456789"
        flags = ("--set", "pool.models.0.api_key_env=MY_KEY", "--no-probe", "--set", "run.name=silent")
        found, result = self.doctor(*flags, MY_KEY=key)
        self.assertIn("with a key", found["endpoint Atlas"]["text"])
        self.assertNotIn(key, result.stdout + result.stderr)
        self.assertNotIn("pool Atlas", found)
        self.assertFalse((self.run_.parent / "silent").exists())

    def test_eval_names_what_is_missing_before_it_pays_for_anything(self):
        arguments = ("eval", "--config", CONFIG, *self.sets, "--policy", POLICY)
        folder = self.run_.folder.parent / "quickstart"
        before = ledger(folder)
        self.assertIn("is a folder", self.call(*arguments, "--output", self.run_.parent, code=2).stderr)
        missing = pathlib.Path("/nowhere/questions.jsonl")
        self.assertIn(str(missing), self.call(*arguments, "--data", missing, "--output", "/tmp/x.json", code=1).stderr)
        self.assertEqual(ledger(folder), before)


class PlanTest(unittest.TestCase):
    """train --dry-run, for ranks and devices that are not here, from a policy folder without weights."""

    def plan(self, folder, *flags):
        return run_command("train", "--config", CONFIG, "--set", f"policy.path={folder}", "--dry-run", *flags,
                           environment={"ROUTEWRIGHT_POOL_URL": "http://127.0.0.1:1/v1"})

    def test_a_plan_needs_no_weights_and_names_what_makes_it_fit(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("config.json", "tokenizer.json"):
                shutil.copy(ROOT / "data/quickstart/policy" / name, folder)
            config = json.loads((pathlib.Path(folder) / "config.json").read_text())
            config.update(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
                          num_key_value_heads=8, head_dim=128)
            (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
            alone = self.plan(folder, "--ranks", "1", "--device", "h100")
            self.assertEqual(alone.returncode, 0, alone.stderr)
            for part in ("optimizer", "it does not fit", "no micro-batch would", "the cheapest change that fits", "MFU",
                         "# memory of a worker, at most: weights", "has none yet"):
                self.assertIn(part, alone.stdout)
            many = self.plan(folder, "--ranks", "8", "--device", "h100")
            self.assertIn("trainer.sharding.stage=", many.stdout)
            for part in ("# time of a step's update, planned,", "MFU",
                         "26.8 TFLOP/s a rank (0.4 of the H100's datasheet) assumed"):
                self.assertIn(part, many.stdout)

    def test_qwen_of_three_billion_is_planned_from_its_public_shape_for_1_2_and_8_ranks(self):
        config = {"model_type": "qwen2", "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36,
                  "num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151936,
                  "max_position_embeddings": 32768, "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
                  "tie_word_embeddings": True, "eos_token_id": 151645, "torch_dtype": "bfloat16"}
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ROOT / "data/quickstart/policy/tokenizer.json", folder)
            (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
            for ranks in (1, 2, 8):
                flags = ("--set", "policy.compute_type=bf16", "--ranks", str(ranks), "--device", "h100")
                plan = self.plan(folder, *flags)
                self.assertEqual(plan.returncode, 0, plan.stderr)
                for part in ("36 layers, width 2048, vocabulary 151936: 3085938688 parameters",
                             f"on {ranks} rank", "# it does not fit (H100: 80.00 GiB", "MFU", "has none yet"):
                    self.assertIn(part, plan.stdout)
                found = re.search(r"^# the cheapest change that fits:((?: --set \S+)+), which takes", plan.stdout, re.M)
                changed = self.plan(folder, *flags, *found.group(1).split())
                self.assertEqual(changed.returncode, 0, changed.stderr)
                self.assertRegex(changed.stdout, r"# it fits \(H100: [^)]*\); at most \d+ tokens at once would")

    def test_a_step_takes_half_the_time_at_twice_the_ceiling_or_ranks(self):
        def seconds(*flags):
            result = self.plan("data/quickstart/policy", *flags)
            self.assertEqual(result.returncode, 0, result.stderr)
            amount, unit = re.search(r"^#   arithmetic +(\S+) (m?s)  ", result.stdout, re.M).groups()
            return float(amount) / (1000 if unit == "ms" else 1)

        one = seconds("--ranks", "1", "--ceiling-tflops", "0.1")
        self.assertAlmostEqual(seconds("--ranks", "1", "--ceiling-tflops", "0.2") / one, 0.5, delta=0.01)
        self.assertAlmostEqual(seconds("--ranks", "2", "--ceiling-tflops", "0.1") / one, 0.5, delta=0.01)

    def test_a_cpus_ceiling_is_measured_if_none_is_given(self):
        result = self.plan("data/quickstart/policy")
        self.assertRegex(result.stdout, r"#   with \S+ [GT]FLOP/s a rank measured here and now")

    def test_a_rate_that_is_none_is_a_usage_error(self):
        for flag in ("--ceiling-tflops", "--link-gbytes-per-s"):
            for rate in ("0", "-1", "nan", "inf", "fast", ""):
                result = self.plan("data/quickstart/policy", f"{flag}={rate}")
                self.assertEqual(result.returncode, 2, f"{flag}={rate}")
                self.assertIn(flag, result.stderr)
        beyond = self.plan("data/quickstart/policy", "--device", "h100", "--ceiling-tflops", "500")
        self.assertEqual(beyond.returncode, 2)
        self.assertIn("--ceiling-tflops 500 is more than the H100's datasheet has in f32", beyond.stderr)

    def test_flags_of_a_plan_are_for_a_dry_run(self):
        for flag, value in (("--ranks", "2"), ("--device", "h100"), ("--ceiling-tflops", "1"),
                            ("--link-gbytes-per-s", "1")):
            result = run_command("train", "--config", CONFIG, flag, value)
            self.assertEqual(result.returncode, 2)
            self.assertIn("--dry-run", result.stderr)

    def test_an_unknown_device_is_a_usage_error(self):
        result = self.plan("data/quickstart/policy", "--device", "abacus")
        self.assertEqual(result.returncode, 2)
        self.assertIn("abacus", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
