"""`routewright report`: report.html opened from the disk in a real Chromium, its metrics against their sources.

The pages need Chromium (launch/test.sh installs it), else they skip; the command itself is always tested.
"""
import json
import pathlib
import re
import shutil
import tempfile
import unittest

from browser import VARIANTS, Browser, blank_plots, needs_chromium, overflow, shown_metrics
from harness import ROOT, Run, run_command
from live_page_test import newest_metrics

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"


def arm(em, cost, left_out=0):
    interval = lambda value, half: [max(0, value - half), value + half]
    metrics = {"num_questions": 200 - left_out, "num_left_out": left_out, "em": em, "em_interval": interval(em, 0.05), "f1": em + 0.01,
               "f1_interval": interval(em + 0.01, 0.05), "em_two_hop": None, "cost_usd_per_1k": cost,
               "cost_usd_per_1k_interval": interval(cost, 0.1 * cost), "calls_per_question": 1.2, "trained_minus": {"em": 0.1, "em_interval": [0.05, 0.15], "cost_usd_per_1k": -0.001,
               "cost_usd_per_1k_interval": [-0.002, 0.0]}, "share": {"Atlas": 0.7, "Sage": 0.3},
               "share_entropy": 0.61}
    return {**metrics, "by_source": {source: metrics for source in ("capital", "sum")}}


EVALUATION = {"trained": arm(0.93, 0.0039), "untrained": arm(0.3, 0.0037), "random": arm(0.35, 0.0078), "forced:Atlas": arm(0.3, 0.0037),
              "forced:Sage": arm(0.86, 0.03, left_out=3), "oracle": arm(0.96, 0.0065)}


class MadeUpFolder:
    """A run's folder with a few steps. Use as a context manager."""

    def __init__(self, steps=40, evaluation=None, damage=()):
        self._temporary = tempfile.TemporaryDirectory(prefix="routewright-")
        self.folder = pathlib.Path(self._temporary.name)
        self.rows = [{"step": step, "episode/em": 0.2 + step / 100, "episode/f1": 0.3 + step / 100, "episode/reward_mean": 0.1 + step / 90,
                      "episode/cost_usd_per_1k": 0.007 - step / 1e5, "pool/share:Atlas": 0.5, "pool/share:Sage": 0.5, "run/cost_usd": 0.001 * step,
                      "step/time_s": 1.5, "step/update_s": 0.5, "step/publish_s": 0.1, "trainer/wait_for_batch_s": 0.9, "policy/loss": 0.1,
                      **({"evaluation/em": 0.4, "evaluation/count": 64, "evaluation/f1": 0.5} if step % 10 == 0 else {})} for step in range(steps)]
        lines = [json.dumps(row) for row in self.rows]
        for place, text in damage:
            lines.insert(place, text)
        (self.folder / "metrics.jsonl").write_text("".join(line + "\n" for line in lines))
        if steps == 0:
            (self.folder / "metrics.jsonl").unlink()
        (self.folder / "config.resolved.yaml").write_text((ROOT / "configs/quickstart.yaml").read_text())
        (self.folder / "environment.json").write_text(json.dumps({"code_version": "0.1.0+abc", "host": HOSTILE, "ranks": 2, "libraries": ["LibTorch 2.11.0"]}))
        (self.folder / "learner.json").write_text(json.dumps({"state": "finished", "step": steps, "message": ""}))
        if evaluation is not None:
            (self.folder / "report.json").write_text(evaluation)

    def report(self):
        result = run_command("report", self.folder)
        assert result.returncode == 0, result.stderr
        return result, (self.folder / "report.html").as_uri()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._temporary.cleanup()


class ReportCommandTest(unittest.TestCase):
    def test_prints_where_the_report_is(self):
        with MadeUpFolder() as run:
            result, _ = run.report()
            self.assertEqual(result.stdout.strip(), str(run.folder / "report.html"))
            self.assertEqual(result.stderr, "")
            other = run.folder / "elsewhere.html"
            self.assertEqual(run_command("report", str(run.folder) + "/", "--output", other).returncode, 0)
            self.assertTrue(other.exists())

    def test_a_folder_that_is_no_runs_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            result = run_command("report", folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("is not the folder of a run", result.stderr)
        self.assertEqual(run_command("report").returncode, 2)

    def test_what_is_damaged_is_said(self):
        with MadeUpFolder(damage=[(3, '{"step":3,"epi'), (9, "what?")], evaluation='{"trained": {}}') as run:
            result, _ = run.report()
        self.assertIn("metrics.jsonl: 2 damaged lines are left out (line 4, 10)", result.stderr)
        self.assertIn("report.json is left out: its row 'trained' is not what `routewright eval` writes", result.stderr)


@needs_chromium
class ReportPageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Browser())

    def assert_sound(self, page, url):
        self.assertEqual(page.errors, [])
        self.assertEqual([request for request in page.requests if request != url and not request.startswith("data:")], [])
        self.assertFalse("owned" in page.title())

    def test_is_whole_in_light_and_dark_narrow_wide_and_on_paper(self):
        with MadeUpFolder(evaluation=json.dumps(EVALUATION)) as run:
            _, url = run.report()
            for scheme, width in VARIANTS:
                with self.subTest(scheme=scheme, width=width):
                    page = self.browser.open(url, scheme, width)
                    self.assertLessEqual(overflow(page), 0)
                    self.assertEqual(blank_plots(page), [])
                    page.emulate_media(media="print")
                    self.assertEqual(blank_plots(page), [])
                    self.assertEqual(page.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
                    self.assert_sound(page, url)
                    page.context.close()

    def test_metrics_are_those_of_their_sources(self):
        with MadeUpFolder(evaluation=json.dumps(EVALUATION)) as run:
            _, url = run.report()
            page = self.browser.open(url)
            expected = newest_metrics(run.rows)
            shown = shown_metrics(page)
            self.assertGreater(len(shown), 10)
            for metric, found in shown.items():
                self.assertEqual(found, expected[metric], metric)
            cells = page.eval_on_selector_all("#evaluation-table [data-arm]", "all => all.map(e => [e.dataset.arm, e.dataset.key, +e.dataset.value])")
            self.assertEqual(len(cells), 3 * len(EVALUATION))
            for name, key, value in cells:
                self.assertEqual(value, EVALUATION[name][key], (name, key))
            self.assertIn("+0.100 [+0.050, +0.150]", page.locator("#evaluation-table").inner_text())
            self.assertIn("−$0.00100", page.locator("#evaluation-table").inner_text())
            self.assertIn("(3 left out)", page.locator("#evaluation-table").inner_text())
            self.assertEqual(page.locator("#cost-accuracy .legend", has_text="on the front").count(), 1)
            self.assertEqual(page.evaluate("paretoFront(Object.entries(data.evaluation).map(([name, a]) => ({name, em: a.em, cost: a.cost_usd_per_1k}))).map(a => a.name).join()"),
                             "untrained,trained")
            self.assertEqual(page.locator("#held-out-table tbody tr").count(), 4)
            self.assertIn(HOSTILE, page.locator("#environment").inner_text())
            self.assert_sound(page, url)

    def test_without_an_evaluation_it_says_how_to_make_one(self):
        with MadeUpFolder() as run:
            _, url = run.report()
            page = self.browser.open(url)
            self.assertIn("routewright eval --config", page.locator("#no-evaluation").inner_text())
            self.assertFalse(page.locator("#evaluation").is_visible())
            self.assert_sound(page, url)

    def test_without_steps_it_says_so(self):
        with MadeUpFolder(steps=0) as run:
            _, url = run.report()
            page = self.browser.open(url, width=375)
            self.assertIn("This run has no steps yet", page.locator("#no-steps").inner_text())
            self.assertFalse(page.locator("#curves").is_visible())
            self.assert_sound(page, url)

    def test_what_is_damaged_stands_at_the_top(self):
        with MadeUpFolder(damage=[(3, '{"step":3,"epi')], evaluation="{") as run:
            _, url = run.report()
            page = self.browser.open(url)
            problems = page.locator("#problems").inner_text()
            self.assertIn("1 damaged line is left out (line 4)", problems)
            self.assertIn("report.json is damaged", problems)
            self.assert_sound(page, url)


@needs_chromium
class ComparisonPageTest(unittest.TestCase):
    """Two seeds of one setting and a third run with another, of which one was evaluated beside the baselines."""

    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Browser())

    def setUp(self):
        self.parent = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="routewright-")))
        self.folders = []
        config = (ROOT / "configs/quickstart.yaml").read_text()
        for name, seed, steps, em in (("plain-1", 1, 40, 0.93), ("plain-2", 2, 30, 0.89), ("longer", 1, 60, 0.95)):
            with MadeUpFolder(steps=steps) as made:
                shutil.copytree(made.folder, self.parent / name)
            folder = self.parent / name
            changed = config.replace("name: quickstart", f"name: {name}").replace("seed: 1\n", f"seed: {seed}\n", 1)
            changed = re.sub(r"steps: \d+", f"steps: {60 if name == 'longer' else 40}", changed, count=1)
            (folder / "config.resolved.yaml").write_text(changed)
            evaluation = {"trained": arm(em, 0.004)} if name != "plain-1" else {**EVALUATION, "trained": arm(em, 0.004)}
            (folder / "report.json").write_text(json.dumps(evaluation))
            self.folders.append(folder)

    def open(self, scheme="light", width=1280):
        result = run_command("report", *self.folders)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout.strip(), str(self.parent / "comparison.html"))
        return self.browser.open((self.parent / "comparison.html").as_uri(), scheme, width)

    def test_groups_have_mean_least_and_largest(self):
        page = self.open()
        cells = page.eval_on_selector_all("#group-table [data-group]", "all => all.map(e => [e.dataset.group + ' ' + e.dataset.key, "
                                          "[+e.dataset.mean, +e.dataset.least, +e.dataset.largest]])")
        shown = dict(cells)
        self.assertEqual([round(value, 6) for value in shown["plain em"]], [0.91, 0.89, 0.93])
        self.assertEqual(shown["longer em"], [0.95, 0.95, 0.95])
        self.assertEqual(shown["plain time_s"], [52.5, 45, 60])
        table = page.locator("#group-table").inner_text()
        self.assertIn("trainer.steps: 40 -> 60", table)
        self.assertNotIn("seed", table)
        self.assertEqual(page.locator("#run-table tbody tr").count(), 3)
        self.assertEqual(page.evaluate("bandOf(groups[0].runs, 'evaluations', 'evaluation/em', 0).length"), 4)
        band = page.evaluate("bandOf(groups[0].runs, 'steps', 'run/cost_usd', 0).slice(-1)[0]")  # of the longer run alone
        self.assertEqual([band["x"], band["least"], band["largest"]], [39, 0.039, 0.039])
        self.assertEqual(page.locator("#cost-accuracy .legend li").count(), 2 + len(EVALUATION) - 1)
        self.assertEqual(page.locator("[data-plot^='Model share, ']:visible").count(), 2)
        self.assertEqual(page.errors, [])

    def test_is_whole_in_light_and_dark_narrow_wide_and_on_paper(self):
        for scheme, width in VARIANTS:
            with self.subTest(scheme=scheme, width=width):
                page = self.open(scheme, width)
                self.assertLessEqual(overflow(page), 0)
                self.assertEqual(blank_plots(page), [])
                page.emulate_media(media="print")
                self.assertEqual(blank_plots(page), [])
                self.assertEqual(page.errors, [])
                self.assertEqual([one for one in page.requests if not one.startswith(("file:", "data:"))], [])
                page.context.close()

    def test_without_evaluations_and_steps_it_says_so(self):
        for folder in self.folders:
            (folder / "report.json").unlink()
            (folder / "metrics.jsonl").unlink()
        page = self.open()
        self.assertTrue(page.locator("#no-evaluation").is_visible())
        self.assertFalse(page.locator("#curves").is_visible())
        self.assertEqual(page.errors, [])


class FinishedRunTest(unittest.TestCase):
    def test_a_run_leaves_its_report_and_eval_completes_it(self):
        with Run(overrides={"trainer.steps": 2}) as run:
            self.assertEqual(run.train(), 0)
            first = (run.folder / "report.html").read_text()
            environment = json.loads((run.folder / "environment.json").read_text())
            for fact in ("code_version", "host", "ranks", "devices", "libraries"):
                self.assertTrue(environment[fact], fact)
            self.assertIn('"evaluation":null', first)
            result = run_command("eval", "--config", run.config, *run._sets(), "--set", "evaluation.max_questions=4", "--baselines", "none",
                                 "--policy", run.checkpoints()[-1] / "policy", "--output", run.folder / "report.json",
                                 environment={"ROUTEWRIGHT_POOL_URL": run.pool_url})
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(run_command("report", run.folder).returncode, 0)
            self.assertIn('"evaluation":{"trained":{"num_questions":4', (run.folder / "report.html").read_text())


if __name__ == "__main__":
    unittest.main()
