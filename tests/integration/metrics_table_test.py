"""trainer/METRICS.md lists exactly what runs emit: every algorithm is run once, briefly, with all that adds metrics."""
import json
import re
import unittest

from harness import ROOT, Run, run_command

TABLE = ROOT / "trainer/METRICS.md"
# Metrics that only some settings bring: a KL penalty, truncated importance weights, who ran the episodes.
EVERYTHING = {
    "trainer.steps": 2,
    "trainer.evaluate_every": 1,
    "trainer.evaluate_questions": 32,
    "run.deterministic": "false",
    "run.budget_usd": 1000,
    "trainer.loss.kl_coefficient": 0.01,
    "trainer.loss.importance_cap": 2,
    "trainer.collapse_alarm_nats": 100,
}


def rows_of_table():
    """(names, unit, meaning) of each row; `/em` takes its noun from the row's first name."""
    rows = []
    for line in TABLE.read_text().splitlines():
        if not line.startswith("| `"):
            continue
        names, unit, meaning = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        names = re.findall(r"`([^`]+)`", names)
        noun = names[0].split("/")[0]
        rows.append(([noun + name if name.startswith("/") else name for name in names], unit, meaning))
    return rows


def emitted(rows):
    kind = lambda name: ":MODEL" if "/share:" in name else ":SOURCE"
    return {re.sub(":.*", kind(name), name) for row in rows for name in row if name != "step"}


class MetricsTableTest(unittest.TestCase):
    def test_every_metric_has_one_row_with_unit_and_meaning(self):
        names = [name for row, _, _ in rows_of_table() for name in row]
        self.assertEqual(sorted(names), sorted(set(names)))
        for row, unit, meaning in rows_of_table():
            self.assertTrue(unit and meaning, row)
            for name in row:
                self.assertRegex(name, r"^[a-z]+/[a-z0-9_]+(:MODEL|:SOURCE)?$")
                if name.endswith(("_s", "_ms")) and not name.endswith("_per_s"):
                    self.assertEqual(unit, name.rsplit("_", 1)[1], name)

    def test_runs_emit_what_the_table_lists_and_nothing_else(self):
        listed = {name for names, _, _ in rows_of_table() for name in names}
        seen = set()
        with Run(name="grpo", overrides=EVERYTHING) as run:
            self.assertEqual(run.train(), 0)
            seen |= emitted(run.metrics())
            seen |= emitted(self.supervised(run))
            log = (run.folder / "logs/rank-0.log").read_text()
            self.assertEqual(log.count("routing collapses onto one model"), 1, "once, not at every step")
        with Run(name="ppo", overrides={**EVERYTHING, "trainer.algorithm": "ppo", "trainer.advantage": "null",
                                        "reward.usd_weight": "null", "reward.cost_form": "budget",
                                        "reward.budget_usd_per_question": 0.000004}) as run:
            self.assertEqual(run.train(), 0)
            seen |= emitted(run.metrics())
        self.assertEqual(sorted(seen - listed), [], "emitted, but not in trainer/METRICS.md")
        self.assertEqual(sorted(listed - seen), [], "in trainer/METRICS.md, but no run emits it")

    def supervised(self, run):
        """Learns from the trajectories that `run` has recorded."""
        paths = ",".join(str(path) for path in sorted((run.folder / "trajectories").glob("*.jsonl")))
        result = run_command("train", "--config", ROOT / "configs/quickstart_warm_start.yaml", "--set", "run.name=supervised",
                             "--set", f"run.output_dir={run.parent}", "--set", f"data.demonstrations=[{paths}]",
                             "--set", "trainer.steps=1", "--set", "trainer.questions_per_step=4",
                             "--set", "policy.path=data/quickstart/policy", "--set", "trainer.optimizer.warmup_steps=0")
        self.assertEqual(result.returncode, 0, result.stderr[-3000:])
        return [json.loads(line) for line in (run.parent / "supervised/metrics.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    unittest.main()
