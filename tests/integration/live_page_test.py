"""The live page in a real Chromium: of a made-up run with a thousand workers and hostile texts, and of real ones.

Needs Chromium (launch/test.sh installs it), else it skips.
"""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from browser import VARIANTS, Browser, blank_plots, needs_chromium, overflow, shown_metrics
from harness import ROOT, Run, kill_session, run_command, wait_for_exit, wait_until

FIXTURE = os.environ.get("ROUTEWRIGHT_PAGE_FIXTURE", str(ROOT / "build/tests/page_fixture"))
TOKEN = "a-token-of-two-dozen-letters"
OWNED = "document.title.includes('owned') || document.querySelectorAll('img, i:not(.swatch), main script').length > 0"


class MadeUpRun:
    """page_fixture in a process of its own."""

    def __init__(self, *arguments, token=None, folder=None):
        self._temporary = None if folder else tempfile.TemporaryDirectory(prefix="routewright-")
        self.folder = pathlib.Path(folder or self._temporary.name)
        environment = dict(os.environ, **({"PAGE_TOKEN": token} if token else {}))
        self.process = subprocess.Popen([FIXTURE, self.folder, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True)
        self.url = self.process.stdout.readline().strip()
        assert self.url, "page_fixture did not start"

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def metrics(self):
        return [json.loads(line) for line in (self.folder / "made-up/metrics.jsonl").read_text().splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        kill_session(self.process)
        self.process.stdin.close()
        self.process.stdout.close()
        if self._temporary:
            self._temporary.cleanup()


def newest_metrics(rows):
    """{metric: (step, value)}: each metric's last row."""
    return {name: (row["step"], value) for row in rows for name, value in row.items() if name != "step" and value is not None}


@needs_chromium
class LivePageTestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = cls.enterClassContext(Browser())

    def assert_sound(self, page, url):
        self.assertEqual(page.errors, [])
        self.assertEqual([request for request in page.requests if not request.startswith((url, "data:"))], [])

    def wait_for_step(self, page, step):
        page.wait_for_function("step => [...document.querySelectorAll('[data-metric=\"step/time_s\"]')].some(e => +e.dataset.step >= step)", arg=step)


class MadeUpPageTest(LivePageTestCase):
    def test_is_whole_in_light_and_dark_narrow_and_wide(self):
        with MadeUpRun(150, 1000, 12) as run:
            for scheme, width in VARIANTS:
                with self.subTest(scheme=scheme, width=width):
                    page = self.browser.open(run.url, scheme, width)
                    self.wait_for_step(page, 149)
                    page.locator("#trajectory .segment").first.wait_for()
                    self.assertLessEqual(overflow(page), 0)
                    self.assertEqual(blank_plots(page), [])
                    self.assertGreater(page.locator("figure[data-plot]:visible canvas:visible").count(), 15)
                    self.assert_sound(page, run.url)
                    page.context.close()

    def test_every_number_is_that_of_metrics_jsonl(self):
        with MadeUpRun(131) as run:
            page = self.browser.open(run.url)
            self.wait_for_step(page, 130)
            expected = newest_metrics(run.metrics())
            shown = shown_metrics(page)
            self.assertGreater(len(shown), 25)
            for metric, (step, value) in shown.items():
                self.assertEqual((step, value), expected[metric], metric)
            run.tell("step")
            self.wait_for_step(page, 131)
            self.assertEqual(shown_metrics(page)["episode/reward_mean"], newest_metrics(run.metrics())["episode/reward_mean"])
            self.assert_sound(page, run.url)

    def test_what_models_pools_and_workers_say_is_text(self):
        with MadeUpRun(30) as run:
            page = self.browser.open(run.url)
            page.locator("#trajectory .segment.observation").first.wait_for()
            self.assertIn("<script>document.title='owned'</script>", page.locator("#trajectory").inner_text())
            self.assertIn("<i>Sage & Co</i>", page.locator("#pool-table").inner_text())
            page.select_option("#workers-sort", "id")
            page.locator("#workers-table", has_text="onerror=").wait_for()
            for colouring in ("writer", "logprob", "advantage"):
                page.select_option("#trajectory select", colouring)
                self.assertFalse(page.evaluate(OWNED))
            run.tell("end failed <img src=x onerror=\"document.title='owned'\">")
            page.locator("#notice", has_text="<img src=x").wait_for()
            self.assertFalse(page.evaluate(OWNED))
            self.assert_sound(page, run.url)

    def test_tokens_are_coloured_by_mask_and_by_advantage(self):
        with MadeUpRun(30, 10, 4, "127.0.0.1:0", "plain") as run:
            page = self.browser.open(run.url)
            observed = page.locator("#trajectory .token.observed")
            self.assertEqual(observed.first.inner_text(), "<information>The capital is Lima.</information>")
            # Rewards are 0.9 and 0, advantages half a unit above and 0.4 below.
            self.assertGreater(page.locator("#trajectory .segment.policy .token[class*=plus-], #trajectory .segment.policy .token[class*=minus-]").count(), 20)
            page.select_option("#trajectory select", "writer")
            self.assertEqual(page.locator("#trajectory .segment.policy .token:not(.written)").count(), 0)
            self.assertEqual(page.locator("#trajectory .token.observed .token").count(), 0)

    def test_a_thousand_workers_fit(self):
        with MadeUpRun(50, 1000) as run:
            for limit, expected in ((20, 20), (200, 200), (100_000, 200)):
                with urllib.request.urlopen(f"{run.url}api/workers?sort=lag&limit={limit}") as answer:
                    body = answer.read()
                self.assertEqual(len(json.loads(body)["rows"]), expected)
                self.assertLess(len(body), 60_000)
            with urllib.request.urlopen(run.url + "api/status") as answer:
                self.assertLess(len(answer.read()), 30_000)
            page = self.browser.open(run.url)
            page.locator("#workers-summary", has_text="990 live of 1,000").wait_for()
            self.assertEqual(page.locator("#workers-table tbody tr").count(), 20)
            self.assertEqual(page.locator("#workers-table tbody tr").first.locator(".tag.bad").inner_text(), "silent")
            page.select_option("#workers-limit", "200")
            page.wait_for_function("() => document.querySelectorAll('#workers-table tbody tr').length === 200")
            self.assert_sound(page, run.url)

    def test_ten_thousand_steps_stay_small(self):
        with MadeUpRun(10_000, 10) as run:
            page = self.browser.open(run.url)
            self.wait_for_step(page, 9999)
            rows = page.evaluate("data.steps.steps.length")
            self.assertTrue(1000 <= rows <= 2001, rows)
            run.tell("step")
            self.wait_for_step(page, 10_000)
            self.assertLessEqual(page.evaluate("data.steps.steps.length"), 2001)
            self.assertEqual(page.evaluate("Object.values(data.steps.metrics).every(v => v.length === data.steps.steps.length)"), True)

    def test_the_token_opens_the_page(self):
        with MadeUpRun(20, 10, token=TOKEN) as run:
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(run.url + "api/status")
            self.assertEqual(refused.exception.code, 401)
            page = self.browser.open(run.url)
            page.locator("#login").wait_for()
            self.assertFalse(page.locator("main").is_visible())
            page.fill("#token", "wrong")
            page.click("#login button")
            page.locator("#login-error", has_text="not this run's token").wait_for()
            page.fill("#token", TOKEN)
            page.click("#login button")
            self.wait_for_step(page, 19)
            self.assertNotIn(TOKEN, page.content())
            self.assertFalse([request for request in page.requests if TOKEN in request])
            by_address = self.browser.open(f"{run.url}#token={TOKEN}")
            self.wait_for_step(by_address, 19)
            self.assertNotIn(TOKEN, by_address.url)

    def test_outlives_the_learner_and_goes_on_with_the_next(self):
        with MadeUpRun(20, 10) as run:
            page = self.browser.open(run.url)
            self.wait_for_step(page, 19)
            kill_session(run.process)
            page.locator("#state", has_text="connection lost").wait_for()
            page.locator("#notice", has_text="Retrying").wait_for()
            self.assertEqual(shown_metrics(page)["episode/em"][0], 19, "what was known stays")
            address = run.url.removeprefix("http://").rstrip("/")
            with MadeUpRun(40, 10, 4, address, folder=run.folder) as again:
                self.assertEqual(again.url, run.url)
                self.wait_for_step(page, 39)
                page.locator("#state", has_text="running").wait_for()
                page.locator("#notice").wait_for(state="hidden")
                for state, text in (("preempted", "stopped, can go on"), ("finished", "finished")):
                    again.tell(f"end {state} x")
                    page.locator("#state", has_text=text).wait_for()
            page.locator("#notice", has_text="The run has ended (finished)").wait_for()

    def test_the_token_does_not_go_to_whoever_has_a_lost_learners_address(self):
        with MadeUpRun(20, 10, token=TOKEN) as run:
            page = self.browser.open(f"{run.url}#token={TOKEN}")
            self.wait_for_step(page, 19)
            kill_session(run.process)
            page.locator("#notice", has_text="Not retrying").wait_for()
            self.assertIsNone(page.evaluate("token"))
            self.assertIsNone(page.evaluate("sessionStorage.getItem('token')"))
            self.assertEqual(shown_metrics(page)["episode/em"][0], 19, "what was known stays")
            address = run.url.removeprefix("http://").rstrip("/")
            with MadeUpRun(40, 10, 4, address, token=TOKEN, folder=run.folder):
                page.click("#reconnect")
                self.wait_for_step(page, 39)
                self.assertFalse(page.locator("#reconnect").is_visible())

    def test_a_run_that_begins_has_empty_plots_that_say_so(self):
        with MadeUpRun(0, 0) as run:
            page = self.browser.open(run.url, width=375)
            page.locator("#tiles", has_text="The first step's metrics").wait_for()
            page.locator("#workers-summary", has_text="No worker has come yet").wait_for()
            page.locator("#trajectory-list", has_text="none yet").wait_for()
            self.assertGreater(page.locator("figure .empty:visible").count(), 5)
            self.assertLessEqual(overflow(page), 0)
            self.assert_sound(page, run.url)


class RealRunTest(LivePageTestCase):
    def test_a_run_is_watched_to_its_end_and_over_its_resume(self):
        with Run(overrides={"run.deterministic": "false", "trainer.steps": 3}) as run:
            run.start_pool()
            trainer = run.start_trainer()
            address = run.address(trainer)
            url = wait_until(lambda: (run.folder / "live_page.url").exists() and (run.folder / "live_page.url").read_text().strip(), "the page's address")
            self.assertIn(f"the run's page: {url}", trainer.log.read_text())
            page = self.browser.open(url)
            page.locator("#state", has_text="waiting for a worker").wait_for()
            worker = run.start_worker(address, "worker-a")
            self.assertEqual(wait_for_exit(trainer), 0)
            self.assertEqual(wait_for_exit(worker), 0)
            page.locator("#state", has_text="finished").wait_for()
            self.check_against(page, run, 2)
            self.assertEqual(page.locator("#pool-table tbody tr").count(), 6)
            page.locator("#trajectory .segment.policy").first.wait_for()
            # The next learner takes the same port, and the open page goes on.
            trainer = run.start_trainer(extra={"trainer.steps": 5})
            address = run.address(trainer)
            page.locator("#progress", has_text="step 3 of 5").wait_for()
            worker = run.start_worker(address, "worker-b")
            self.assertEqual((run.folder / "live_page.url").read_text().strip(), url)
            self.assertEqual(wait_for_exit(trainer), 0)
            wait_for_exit(worker)
            page.locator("#state", has_text="finished").wait_for()
            self.check_against(page, run, 4)
            steps = page.evaluate("pointsOf(data.steps, 'step/time_s').map(point => point.x).join()")
            self.assertEqual(steps, "0,1,2,3,4")
            self.assertEqual(page.evaluate("data.evaluations.steps.join()"), "0,2,3,4,5")  # 3 and 5: each run's last
            self.assertTrue((run.folder / "report.html").exists())

    def check_against(self, page, run, last):
        self.wait_for_step(page, last)
        expected = newest_metrics(run.metrics())
        for metric, shown in shown_metrics(page).items():
            self.assertEqual(shown, expected[metric], metric)

    def test_the_workers_and_advantages_of_a_real_run_are_shown(self):
        with Run(overrides={"run.deterministic": "false", "trainer.steps": 1000}) as run:
            run.start_pool()
            trainer = run.start_trainer()
            run.start_worker(run.address(trainer), "worker-a")
            page = self.browser.open((run.folder / "live_page.url").read_text().strip())
            page.locator("#workers-table", has_text="worker-a").wait_for()
            self.wait_for_step(page, 1)
            page.locator("#trajectory .segment.policy .token[class*=plus-], #trajectory .segment.policy .token[class*=minus-]").first.wait_for()
            self.assertEqual(page.errors, [])


class AccessTest(unittest.TestCase):
    """What is refused before a run begins."""

    def refused(self, *sets, environment=None):
        with tempfile.TemporaryDirectory() as folder:
            flags = [flag for value in (f"run.output_dir={folder}", *sets) for flag in ("--set", value)]
            result = run_command("train", "--config", ROOT / "configs/quickstart.yaml", *flags,
                                 environment={"ROUTEWRIGHT_POOL_URL": "http://127.0.0.1:9", **(environment or {})})
        self.assertEqual(result.returncode, 2, result.stderr)
        return result.stderr

    def test_off_loopback_a_token_is_demanded(self):
        self.assertIn("can be reached from other hosts: set token_env or token_file", self.refused("trainer.live_page.listen_address=0.0.0.0:0"))

    def test_a_token_that_cannot_be_had_is_named(self):
        self.assertIn("the environment variable NO_SUCH_TOKEN, which should hold the live page's token", self.refused("trainer.live_page.token_env=NO_SUCH_TOKEN"))
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(TOKEN)
            file.flush()
            os.chmod(file.name, 0o644)
            message = self.refused(f"trainer.live_page.token_file={file.name}")
            self.assertIn("can be read by others: chmod 600 it", message)
            self.assertNotIn(TOKEN, message)

    def test_a_short_token_is_refused_and_not_shown(self):
        message = self.refused("trainer.live_page.token_env=SHORT", environment={"SHORT": "hunter2"})
        self.assertIn("fewer than 16 characters", message)
        self.assertNotIn("hunter2", message)


if __name__ == "__main__":
    unittest.main()
