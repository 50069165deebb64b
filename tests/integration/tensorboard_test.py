"""A run's event files, read by TensorBoard itself: its Python loader and its server with the data server it ships."""
import html
import json
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request

import numpy
from harness import Run, kill_session, wait_until
from tensorboard import plugin_util
from tensorboard.backend.event_processing import event_accumulator, event_file_loader
from tensorboard.util import tensor_util

PREFIX = "events.out.tfevents."
HISTOGRAMS = {"episode/reward_histogram": "episode/reward_mean", "episode/policy_tokens_histogram": "episode/policy_tokens"}
TEXTS = {"evaluation/trajectory": [0, 2, 4], "episode/trajectory": [1, 3]}


def finite_metrics(run):
    """{tag: {step: value}} of metrics.jsonl."""
    metrics = {}
    for row in run.metrics():
        step = row.pop("step")
        for name, value in row.items():
            if value is not None:
                metrics.setdefault(name, {})[step] = value
    return metrics


def event_files(run):
    return sorted(run.folder.glob(PREFIX + "*"))


def num_events(path):
    return len(list(event_file_loader.EventFileLoader(str(path)).Load()))


class TensorBoardTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Four steps, then a power cut tears the last record, and the run goes on from its second step."""
        cls.run_ = cls.enterClassContext(Run(overrides={"run.deterministic": "false", "trainer.checkpoint.keep_last": 4}))
        assert cls.run_.train() == 0, (cls.run_.parent / "trainer.log").read_text()[-3000:]
        cls.first = event_files(cls.run_)
        cls.events_of_first = [num_events(path) for path in cls.first]
        content = cls.first[0].read_bytes()
        cls.first[0].write_bytes(content[:-100])
        checkpoint = cls.run_.folder / "checkpoints/step-000002"
        assert cls.run_.train("--resume", checkpoint) == 0, (cls.run_.parent / "trainer.log").read_text()[-3000:]

    def test_no_event_is_lost(self):
        self.assertEqual(self.events_of_first, [2 + 4 + 1])  # version, start, steps, last evaluation
        self.assertEqual([num_events(path) for path in event_files(self.run_)], [2 + 2, 2 + 2 + 1])

    def test_a_wrong_checksum_would_have_been_noticed(self):
        content = bytearray(event_files(self.run_)[1].read_bytes())
        content[-30] ^= 1
        with tempfile.NamedTemporaryFile(prefix=PREFIX) as damaged:
            damaged.write(content)
            damaged.flush()
            self.assertEqual(num_events(damaged.name), 2 + 2)

    def test_the_python_loader_finds_every_metric_once(self):
        accumulator = event_accumulator.EventAccumulator(str(self.run_.folder),
                                                         event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE)
        accumulator.Reload()
        metrics = finite_metrics(self.run_)
        self.assertEqual(set(accumulator.Tags()["tensors"]), set(metrics) | set(HISTOGRAMS) | set(TEXTS))
        self.assertGreater(len(metrics), 50)
        for tag, expected in metrics.items():
            events = accumulator.Tensors(tag)
            self.assertEqual([event.step for event in events], sorted(expected), tag)
            self.assertEqual(accumulator.SummaryMetadata(tag).plugin_data.plugin_name, "scalars")
            for event in events:
                self.assertEqual(tensor_util.make_ndarray(event.tensor_proto), numpy.float32(expected[event.step]), tag)

    def test_the_python_loader_finds_histograms_whose_means_are_the_metrics(self):
        accumulator = event_accumulator.EventAccumulator(str(self.run_.folder),
                                                         event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE)
        accumulator.Reload()
        metrics = finite_metrics(self.run_)
        for tag, mean in HISTOGRAMS.items():
            events = accumulator.Tensors(tag)
            self.assertEqual([event.step for event in events], [0, 1, 2, 3])
            for event in events:
                rows = tensor_util.make_ndarray(event.tensor_proto)
                self.assertEqual(rows.shape[1], 3)
                left, right, count = rows.T
                self.assertEqual(count.sum(), metrics["episode/count"][event.step])
                half_bucket = (right - left).max() / 2
                middle = float((count * (left + right) / 2).sum() / count.sum())
                self.assertAlmostEqual(middle, metrics[mean][event.step], delta=half_bucket + 1e-9)

    def test_a_trajectory_is_shown_to_the_letter(self):
        accumulator = event_accumulator.EventAccumulator(str(self.run_.folder),
                                                         event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE)
        accumulator.Reload()
        for tag, steps in TEXTS.items():
            events = accumulator.Tensors(tag)
            self.assertEqual([event.step for event in events], steps)
            for event in events:
                (markdown,) = event.tensor_proto.string_val
                text = "\n".join(line[4:] for line in markdown.decode().splitlines())
                self.assertRegex(text, r"^question\n    .+\ngolden answers\n(    .+\n)+round 1\n")
                self.assertIn("<think>", text)
                self.assertRegex(text, r"reward .*, EM [01], F1 ")
                shown = plugin_util.markdown_to_safe_html(markdown)
                block = re.fullmatch(r"(?s)<pre><code>(.*)</code></pre>", shown.strip())
                self.assertIsNotNone(block, shown)
                self.assertEqual(html.unescape(block.group(1)).strip(), text.strip())

    def test_what_a_pool_says_is_data(self):
        hostile = "x</code></pre><script>alert(1)</script>\n\n# heading\n- [a](javascript:b) `c`\n<!-- "
        shown = plugin_util.markdown_to_safe_html("    " + hostile.replace("\n", "\n    "))
        block = re.fullmatch(r"(?s)<pre><code>([^<]*)</code></pre>", shown.strip())
        self.assertEqual(html.unescape(block.group(1)).rstrip(), hostile.rstrip())

    def test_the_server_shows_every_metric_once(self):
        for fast in ("true", "false"):  # the data server in Rust, and the loader in Python
            with self.subTest(load_fast=fast):
                self.check_server(fast)

    def check_server(self, fast):
        server = self.run_.start([sys.executable, "-m", "tensorboard.main", "--logdir", self.run_.parent, "--port", 0,
                                  "--load_fast", fast, "--samples_per_plugin", "text=100"], f"tensorboard-{fast}.log")
        def url():
            assert server.poll() is None, server.log.read_text()
            return re.search(r"http://localhost:\d+/", server.log.read_text())
        base = wait_until(url, "TensorBoard's address").group(0)

        def ask(path, **query):
            with urllib.request.urlopen(base + "data/" + path + "?" + urllib.parse.urlencode(query)) as answer:
                return json.load(answer)
        metrics = finite_metrics(self.run_)
        wait_until(lambda: len(ask("plugin/scalars/tags").get("run", {})) == len(metrics), "TensorBoard's tags")
        last = sorted(metrics)[-1]
        wait_until(lambda: [p[1] for p in ask("plugin/scalars/scalars", run="run", tag=last)] == sorted(metrics[last]),
                   "TensorBoard's last step")
        for tag, expected in metrics.items():
            points = ask("plugin/scalars/scalars", run="run", tag=tag)
            self.assertEqual([(step, numpy.float32(value)) for _, step, value in points],
                             [(step, numpy.float32(expected[step])) for step in sorted(expected)], tag)
        for tag in HISTOGRAMS:
            self.assertEqual([p[1] for p in ask("plugin/histograms/histograms", run="run", tag=tag)], [0, 1, 2, 3])
        for tag, steps in TEXTS.items():
            texts = ask("plugin/text/text", run="run", tag=tag)
            self.assertEqual([text["step"] for text in texts], steps)
            self.assertTrue(all(text["text"].startswith("<pre><code>question") for text in texts))
        kill_session(server)
        self.assertNotRegex(server.log.read_text(), r"(?i)error|traceback|corrupt|bad crc")


if __name__ == "__main__":
    unittest.main()
