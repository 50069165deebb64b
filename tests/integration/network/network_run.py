"""A run whose ranks and workers are on the hosts of hosts.py, started by the launchers for several hosts."""
from harness import BINARY, MPIRUN, ROOT, Run, wait_for_exit, wait_until
from training_run_test import trajectories, trajectories_raw, weights, without_times

STEPS = 8


class NetworkRun(Run):
    """The folder of the run is shared by all hosts."""

    def __init__(self, hosts, folder, pool_url, overrides=None):
        # Runs of one name: what they leave behind can be compared.
        super().__init__(name="same", folder=folder, ranks=2, overrides={
            "trainer.steps": STEPS, "worker.rpc_timeout_s": 4, **(overrides or {})})
        self.hosts = hosts
        self.parent.mkdir()
        self.environment.update(ROUTEWRIGHT_BINARY=BINARY, ROUTEWRIGHT_MPIRUN=MPIRUN, ROUTEWRIGHT_POOL_URL=pool_url,
                                ROUTEWRIGHT_MPIRUN_OPTIONS=f"--prtemca plm_ssh_agent {hosts.agent}",
                                TMPDIR=str(hosts.agent.parent))

    def start_ranks(self, ranks=None, launched_on="train0", **environment):
        """launch/mpirun.sh with so many ranks on each host, by default one on each of the trainers'."""
        hostfile = self.parent / "hostfile"
        hostfile.write_text("".join(f"{host} slots={n}\n" for host, n in (ranks or {"train0": 1, "train1": 1}).items()))
        command = [ROOT / "launch/mpirun.sh", "--config", self.config, "--hostfile", hostfile, "--", *self._sets()]
        self.environment.update(environment)
        self.trainer = self.start(self.hosts[launched_on].command(command), "trainer.log")
        return self.trainer

    def keep_worker(self, host):
        command = [ROOT / "launch/keep_worker.sh", "--config", self.config, "--run", self.folder, "--wait", 120,
                   "--log", self.worker_log(host), "--", *self._sets()]
        return self.start(self.hosts[host].command(command), f"keeper.{host}.log")

    def worker_log(self, host):
        return self.parent / f"worker.{host}.log"

    def times_in_worker_log(self, host, words):
        log = self.worker_log(host)
        return log.read_text().count(words) if log.exists() else 0

    def steps(self):
        metrics = self.folder / "metrics.jsonl"
        return metrics.read_text().count("\n") if metrics.exists() else 0  # whole lines: one may be being written

    def come_to(self, condition, what):
        """Waits for the condition while the ranks run."""
        def has_come():
            value = condition()
            assert value or self.trainer.poll() is None, f"the ranks ended before {what}:\n{self.end_of_log()}"
            return value
        return wait_until(has_come, what)

    def end_of_log(self):
        return self.trainer.log.read_text()[-3000:]

    def finish(self, keepers):
        """Waits for the end of a run that finishes, and checks what it leaves behind."""
        assert wait_for_exit(self.trainer) == 0, self.end_of_log()
        for keeper in keepers:
            assert wait_for_exit(keeper) == 0, keeper.log.read_text()
            assert "the run is over (finished)" in keeper.log.read_text(), keeper.log.read_text()
        assert self.steps_made() == list(range(STEPS)), self.metrics()
        episodes = [row.get("episode_id", row.get("episodeId")) for row in trajectories_raw(self)]
        assert len(episodes) == len(set(episodes)), "an episode is recorded twice"
        self.check_nothing_is_left("train0", "train1", "work0")

    def check_nothing_is_left(self, *names):
        for name in names:
            wait_until(lambda: not self.hosts[name].processes(), f"the end of {self.hosts[name].processes()} on {name}")

    def outcome(self):
        return without_times(self.metrics()), trajectories(self), weights(self)
