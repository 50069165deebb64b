"""Metrics for Prometheus: the real one scrapes a run, loads our rules and answers our dashboard; promtool reads it all.

Needs prometheus and promtool on the PATH, in $ROUTEWRIGHT_PROMETHEUS or where launch/test.sh unpacks them, else it skips.
"""
import functools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as grafana
from harness import ROOT, Run, kill_session, wait_until

FOLDER = ROOT / "launch/monitoring"
TOOLS = os.pathsep.join([os.environ.get("ROUTEWRIGHT_PROMETHEUS", ""), str(ROOT / "build/debian/prometheus/usr/bin"), os.environ["PATH"]])
PROMTOOL, PROMETHEUS = (shutil.which(tool, path=TOOLS) for tool in ("promtool", "prometheus"))
needs_prometheus = unittest.skipUnless(PROMTOOL and PROMETHEUS, "no Prometheus: launch/test.sh fetches it from Debian")

SERVED = {"trainer.prometheus.listen_address": "127.0.0.1:0", "worker.prometheus.listen_address": "127.0.0.1:0"}
# What a sound and short run does not show.
RARE = {"routewright_worker_lease_failures_total"}


def dashboard():
    return json.loads((FOLDER / "grafana_dashboard.json").read_text())


def dashboard_expressions():
    """Every query, as Grafana sends it."""
    return [target["expr"].replace("$__rate_interval", "10s").replace("$run", ".*")
            for panel in dashboard()["panels"] for target in panel["targets"]]


def rule_expressions():
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def promtool(*arguments, stdin=""):
    return subprocess.run([PROMTOOL, *map(str, arguments)], input=stdin, capture_output=True, text=True)


class DashboardTest(unittest.TestCase):
    def test_grafanas_own_model_knows_every_key_of_the_dashboard(self):
        ours = dashboard()
        theirs = json.loads(JSONEncoder().encode(grafana.Dashboard.from_json(ours)))
        self.assert_contains(theirs, ours, "dashboard")

    def assert_contains(self, whole, part, where):
        if isinstance(part, dict):
            self.assertIsInstance(whole, dict, where)
            for key, value in part.items():
                self.assertIn(key, whole, where)
                self.assert_contains(whole[key], value, f"{where}.{key}")
        elif isinstance(part, list):
            self.assertEqual(len(whole), len(part), where)
            for i, value in enumerate(part):
                self.assert_contains(whole[i], value, f"{where}[{i}]")
        else:
            self.assertEqual(whole, part, where)

    def test_rules_and_configuration_are_yaml(self):
        self.assertGreater(len(rule_expressions()), 5)
        self.assertIn("scrape_configs", yaml.safe_load((FOLDER / "prometheus.yml").read_text()))

    def test_panels_have_ids_of_their_own_and_do_not_overlap(self):
        panels = dashboard()["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(taken & cells, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24)
            taken |= cells


@needs_prometheus
class PromtoolTest(unittest.TestCase):
    def assert_good(self, result):
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_config_and_rules_are_sound(self):
        self.assert_good(promtool("check", "config", FOLDER / "prometheus.yml"))
        self.assert_good(promtool("check", "rules", FOLDER / "rules.yml"))
        self.assert_good(promtool("test", "rules", FOLDER / "rules_test.yml"))

    def test_every_alert_has_a_case(self):
        groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
        cases = (FOLDER / "rules_test.yml").read_text()
        for rule in (rule for group in groups for rule in group["rules"] if "alert" in rule):
            self.assertIn(f'alertname="{rule["alert"]}"', cases)

    def test_the_dashboards_queries_are_sound(self):
        rules = [{"record": f"query:{i}", "expr": expr} for i, expr in enumerate(dashboard_expressions())]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}, file)
            file.flush()
            self.assert_good(promtool("check", "rules", file.name))


class Prometheus:
    """The real one, with our config for one run's folder; scrapes every second."""

    def __init__(self, run):
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(FOLDER / "rules.yml")]
        sd = config["scrape_configs"][0]["file_sd_configs"][0]
        sd["files"] = [str(run.folder / "prometheus/*.json")]
        folder = run.parent / "prometheus"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with socket.socket() as taken:  # it cannot pick a port by itself
            taken.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % taken.getsockname()[1]
        self.process = run.start([PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                  f"--web.listen-address={address}"], "prometheus.log")
        self.url = f"http://{address}"
        wait_until(self.is_ready, "Prometheus")

    def is_ready(self):
        assert self.process.poll() is None, self.process.log.read_text()[-3000:]
        try:
            return urllib.request.urlopen(self.url + "/-/ready").status == 200
        except OSError:
            return False

    def ask(self, path, **query):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}") as answer:
            reply = json.load(answer)
        assert reply["status"] == "success", reply
        return reply["data"]

    def query(self, expression):
        return self.ask("query", query=expression)["result"]

    def value(self, expression):
        result = self.query(expression)
        return float(result[0]["value"][1]) if len(result) == 1 else None


@needs_prometheus
class ScrapeTest(unittest.TestCase):
    """One training of two ranks and two workers, long enough to be looked at."""

    @classmethod
    def setUpClass(cls):
        run = cls.enterClassContext(Run(ranks=2, overrides={**SERVED, "trainer.steps": 100000, "run.deterministic": "false",
                                                          "run.budget_usd": 1000}))
        run.start_pool()
        trainer = run.start_trainer()
        address = run.address(trainer)
        cls.run_, cls.trainer = run, trainer
        cls.workers = [run.start_worker(address, f"worker{i}") for i in range(2)]
        cls.prometheus = Prometheus(run)
        wait_until(lambda: (cls.prometheus.value("max(routewright_step)") or 0) >= 4, "four steps in Prometheus")
        wait_until(lambda: len(cls.prometheus.query('up{run="run"} == 1')) == 4, "four targets")

    def test_every_process_is_a_target_that_is_up(self):
        targets = self.prometheus.ask("targets")["activeTargets"]
        labels = sorted((t["labels"]["role"], t["labels"].get("rank", t["labels"].get("worker"))) for t in targets)
        self.assertEqual(labels, [("trainer", "0"), ("trainer", "1"), ("worker", "worker0"), ("worker", "worker1")])
        self.assertEqual([t["lastError"] for t in targets], [""] * 4)

    def test_every_process_metrics_are_clean(self):
        for path in sorted((self.run_.folder / "prometheus").glob("*.json")):
            (address,) = json.loads(path.read_text())[0]["targets"]
            text = urllib.request.urlopen(f"http://{address}/metrics").read().decode()
            result = promtool("check", "metrics", stdin=text)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""), path.name)

    def test_a_metric_is_that_of_metrics_jsonl(self):
        rows = self.run_.metrics
        def is_shown():
            row = rows()[-1]
            shown = self.prometheus.query(f"routewright_pool_share and on (instance) routewright_step == {row['step'] + 1}")
            if not shown or rows()[-1]["step"] != row["step"]:
                return False  # the run went on between the two
            return all(float(s["value"][1]) == row[f"pool/share:{s['metric']['model']}"] for s in shown)
        wait_until(is_shown, "a step's shares")

    def test_both_sides_say_how_long_they_waited(self):
        for name in ("trainer_wait_for_batch", "worker_wait_for_lease"):
            wait_until(lambda: (self.prometheus.value(f"sum(routewright_{name}_seconds_total)") or 0) > 0, name)
        row = self.run_.metrics()[-1]
        self.assertGreater(row["trainer/wait_for_batch_s"], 0)
        self.assertGreater(sum(row["worker/wait_for_lease_s"] for row in self.run_.metrics()), 0)

    def test_the_rules_are_evaluated_and_nothing_fires(self):
        def rules():
            return [rule for group in self.prometheus.ask("rules")["groups"] for rule in group["rules"]]
        wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "the rules' evaluation")
        self.assertEqual({rule["name"]: rule.get("lastError", "") for rule in rules()}, {rule["name"]: "" for rule in rules()})
        self.assertEqual(len(rules()), len(rule_expressions()))
        self.assertEqual([rule["name"] for rule in rules() if rule.get("state") == "firing"], [])

    def test_every_query_of_the_dashboard_has_an_answer(self):
        for expression in dashboard_expressions():
            wait_until(lambda: self.prometheus.query(expression), expression)

    def test_no_rule_or_panel_asks_for_a_name_that_nobody_has(self):
        names = set(self.prometheus.ask("label/__name__/values")) | RARE
        recorded = functools.partial(re.findall, r"(?<![\w:])routewright_\w+")
        for expression in dashboard_expressions() + rule_expressions():
            self.assertLessEqual(set(recorded(expression)), names, expression)

    def test_z_a_killed_worker_is_a_target_that_is_down(self):
        kill_session(self.workers[1])
        down = wait_until(lambda: self.prometheus.query("up == 0"), "a target that is down")
        self.assertEqual([(s["metric"]["role"], s["metric"]["worker"]) for s in down], [("worker", "worker1")])
        os.kill(self.workers[0].pid, 15)  # one that leaves by itself is none any more
        wait_until(lambda: len(self.prometheus.ask("targets")["activeTargets"]) == 3, "a target less")


if __name__ == "__main__":
    unittest.main()
