"""Whole runs: the emulated pool, trainer ranks, rollout workers."""
import json
import re
import signal
import unittest

from harness import Run, kill_session, ledger, session_members, wait_for_exit, wait_until

# What two runs of the same seed may differ in.
TIMING = ("_s", "_ms")


def without_times(rows):
    return [{key: value for key, value in row.items() if not key.endswith(TIMING)} for row in rows]


def weights(run):
    """The newest checkpoint's tensors, byte by byte, put together from the pieces that its ranks wrote."""
    newest = run.checkpoints()[-1]
    pieces = {}
    for path in sorted(newest.rglob("*.safetensors")):
        content = path.read_bytes()
        start = 8 + int.from_bytes(content[:8], "little")
        for name, tensor in json.loads(content[8:start]).items():
            if name == "__metadata__":
                continue
            whole, begin = re.fullmatch(r"(.*?)(?:\[(\d+):\d+\])?", name).groups()
            first, last = tensor["data_offsets"]
            key = str(path.parent.relative_to(newest)), whole
            pieces.setdefault(key, []).append((int(begin or 0), content[start + first : start + last]))
    return {key: b"".join(data for _, data in sorted(found)) for key, found in pieces.items()}


def trajectories(run):
    """Recorded trajectories by episode, without who ran them and how long it took."""
    rows = {}
    for path in sorted((run.folder / "trajectories").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            for key in ("workerId", "workerEpoch", "sequenceNumber", "attempt", "generateMs", "poolWaitMs",
                        "worker_id", "worker_epoch", "sequence_number", "generate_ms", "pool_wait_ms"):
                row.pop(key, None)
            for call in row.get("pool_calls", row.get("poolCalls", [])):
                for key in ("latencyMs", "latency_ms", "callId", "call_id", "charge_id", "attempts", "time"):
                    call.pop(key, None)
            rows[row.get("episode_id", row.get("episodeId"))] = row
    return rows


class TrainingRunTest(unittest.TestCase):
    def test_two_ranks_and_two_workers_finish_a_run(self):
        with Run(ranks=2) as run:
            self.assertEqual(run.train(workers=2), 0, run.parent.joinpath("trainer.log").read_text()[-3000:])
            self.assertEqual(run.steps_made(), [0, 1, 2, 3])
            self.assertIn("evaluation/em", run.metrics()[-1])  # of the last weights
            self.assertTrue((run.folder / "config.resolved.yaml").exists())
            # Each call that a trajectory reports is in the ledger, at the same price.
            prices = {}
            for call in ledger(run.folder):
                prices[call["charge_id"]] = call.get("cost_picousd", "0")
            calls = [call for row in trajectories_with_calls(run) for call in row]
            self.assertGreater(len(calls), 0)
            for call in calls:
                self.assertEqual(prices[call["charge_id"]], call.get("cost_picousd", "0"))
            for process in run.processes:
                if process.args[1] != "pool":
                    self.assertEqual(session_members(process), [])

    def test_any_number_of_workers_gives_the_same_run_bitwise(self):
        seen = []
        for workers in (1, 2, 3):
            with Run(name="same") as run:
                self.assertEqual(run.train(workers=workers), 0)
                seen.append((without_times(run.metrics()), weights(run), trajectories(run)))
        for other in seen[1:]:
            self.assertEqual(seen[0][0], other[0])
            self.assertEqual(seen[0][1], other[1])
            self.assertEqual(seen[0][2], other[2])

    def test_killed_and_resumed_equals_never_stopped_bitwise(self):
        with Run(name="same") as whole:
            self.assertEqual(whole.train(), 0)
            expected = (without_times(whole.metrics()), weights(whole))
        with Run(name="same") as run:
            run.start_pool()
            trainer = run.start_trainer()
            worker = run.start_worker(run.address(trainer), "worker")
            wait_until(lambda: len(run.checkpoints()) >= 2 or trainer.poll() is not None, "two checkpoints")
            kill_session(trainer)
            kill_session(worker)
            self.assertEqual(run.train("--resume", "auto"), 0)
            self.assertEqual(without_times(run.metrics()), expected[0])
            self.assertEqual(weights(run), expected[1])

    def test_a_sharded_run_resumes_with_the_same_bits_and_goes_on_unsharded(self):
        sharded = {"trainer.sharding.stage": "full", "trainer.recompute_activations": "true"}
        with Run(name="same", ranks=2) as whole:
            self.assertEqual(whole.train(extra=sharded), 0)
            expected = (without_times(whole.metrics()), weights(whole))
        with Run(name="same", ranks=2) as run:
            run.start_pool()
            trainer = run.start_trainer(extra=sharded)
            worker = run.start_worker(run.address(trainer), "worker")
            wait_until(lambda: len(run.checkpoints()) >= 2 or trainer.poll() is not None, "two checkpoints")
            kill_session(trainer)
            kill_session(worker)
            self.assertEqual(run.train("--resume", "auto", extra=sharded), 0)
            self.assertEqual(without_times(run.metrics()), expected[0])
            self.assertEqual(weights(run), expected[1])
            run.ranks = 1  # the checkpoint knows nothing of shards
            self.assertEqual(run.train("--resume", "auto", extra={"trainer.steps": 5}), 0)
            self.assertEqual(run.steps_made(), [0, 1, 2, 3, 4])
            self.assertRegex((run.parent / "trainer.log").read_text(), r"differ from the checkpoint's: .*trainer\.steps: 4 -> 5")

    def test_what_a_killed_learner_had_acknowledged_is_not_paid_for_twice(self):
        """Killed before its first checkpoint, at whatever moment: every episode in the journal is run once."""
        with Run(name="same") as whole:
            self.assertEqual(whole.train(), 0)
            expected = (without_times(whole.metrics()), weights(whole))
        with Run(name="same") as run:
            run.start_pool()
            trainer = run.start_trainer(extra={"trainer.checkpoint.every_steps": 0})
            worker = run.start_worker(run.address(trainer), "worker")
            wait_until(lambda: len(run.metrics() if (run.folder / "metrics.jsonl").exists() else []) >= 2, "two steps")
            kill_session(trainer)
            kill_session(worker)
            self.assertEqual(run.checkpoints(), [])
            journal = sorted((run.folder / "journal").glob("step-*.bin"))
            self.assertGreaterEqual(len(journal), 2)
            before = ledger_by_episode(run)
            # Steps 0 and 1 are learnt from again, from the journal alone: no worker is needed.
            self.assertEqual(run.train("--resume", "auto"), 0)
            self.assertEqual(without_times(run.metrics()), expected[0])
            self.assertEqual(weights(run), expected[1])
            after = ledger_by_episode(run)
            for episode, calls in before.items():
                if episode.split("/")[1] in ("000000", "000001"):
                    self.assertEqual(after[episode], calls, f"{episode} was paid for again")

    def test_a_killed_worker_costs_nothing_and_another_may_join(self):
        with Run(name="same") as whole:
            self.assertEqual(whole.train(), 0)
            expected = (without_times(whole.metrics()), weights(whole))
        with Run(name="same") as run:
            run.start_pool()
            trainer = run.start_trainer()
            address = run.address(trainer)
            victim = run.start_worker(address, "victim")
            other = run.start_worker(address, "other")
            wait_until(lambda: ledger(run.folder), "the first pool call")
            kill_session(victim)
            joined = run.start_worker(address, "joined")
            self.assertEqual(wait_for_exit(trainer), 0)
            for worker in (other, joined):
                wait_for_exit(worker)
            self.assertEqual(without_times(run.metrics()), expected[0])
            self.assertEqual(weights(run), expected[1])

    def test_sigusr1_saves_and_exits_75_and_the_run_goes_on(self):
        with Run(name="same") as whole:
            self.assertEqual(whole.train(), 0)
            expected = weights(whole)
        with Run(name="same", ranks=2) as run:
            run.start_pool()
            trainer = run.start_trainer(extra={"trainer.checkpoint.every_steps": 0})
            worker = run.start_worker(run.address(trainer), "worker")
            wait_until(lambda: (run.folder / "metrics.jsonl").exists() and run.metrics(), "a finished step")
            trainer.send_signal(signal.SIGUSR1)
            self.assertEqual(wait_for_exit(trainer), 75, trainer.log.read_text()[-3000:])
            wait_for_exit(worker)
            self.assertEqual(len(run.checkpoints()), 1)
            self.assertEqual(run.train("--resume", "auto", extra={"trainer.checkpoint.every_steps": 0}), 0)
            self.assertEqual(run.steps_made(), [0, 1, 2, 3])
            self.assertEqual(set(weights(run)), set(expected))


def ledger_by_episode(run):
    calls = {}
    for call in ledger(run.folder):
        episode = call["call_id"].rsplit("/", 2)[0]  # before attempt and round
        calls.setdefault(episode, []).append(call["call_id"])
    return calls


def trajectories_with_calls(run):
    for row in trajectories_raw(run):
        yield row.get("pool_calls", row.get("poolCalls", []))


def trajectories_raw(run):
    for path in sorted((run.folder / "trajectories").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            yield json.loads(line)


if __name__ == "__main__":
    unittest.main(verbosity=2)
