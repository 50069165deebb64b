"""launch/kubernetes: the pods' commands with their own arguments, in a tree made as the image's, and the Dockerfile."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "policy/parity"))
from harness import BINARY, LIMIT_S, MPIRUN, ROOT, kill_session, wait_until  # noqa: E402
from kubernetes_test import CLAIM, IMAGE_ROOT, OBJECTS, config_of, environment_of, find, needs_kubectl, pods_of, words_of  # noqa: E402
from qwen_policy import make_qwen_policy  # noqa: E402

DOCKERFILE = (ROOT / "launch/kubernetes/Dockerfile").read_text()
PLANS = {"quickstart": ("2 ranks on 2 hosts", "on 2 ranks", "it fits"), "h100": ("16 ranks on 2 hosts", "on 16 ranks", "it fits (H100")}


@needs_kubectl
class CommandTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="routewright-image-")))
        cls.trees = {overlay: cls.make_tree(overlay) for overlay in PLANS}

    @classmethod
    def make_tree(cls, overlay):
        """What a pod sees under /opt/routewright."""
        tree = cls.folder / overlay
        for part in ("launch", "data"):
            shutil.copytree(ROOT / part, tree / part)
        for part in ("configs", "runs", "policies", "build/bin"):
            (tree / part).mkdir(parents=True)
        for name, text in find(OBJECTS[overlay], "ConfigMap", "routewright-configs")["data"].items():
            (tree / "configs" / name).write_text(text)
        (tree / "build/bin/routewright").symlink_to(BINARY)
        if overlay == "h100":
            make_qwen_policy(tree / config_of(OBJECTS[overlay])["policy"]["path"])
        (tree / "hostfile").write_text("127.0.0.1 slots=1\n")
        return tree

    def words(self, overlay, pod):
        """A pod's command, in the tree instead of the image."""
        (container,) = pods_of(OBJECTS[overlay])[pod]["spec"]["containers"]
        return [word.replace(IMAGE_ROOT, str(self.trees[overlay])) for word in words_of(OBJECTS[overlay], container)]

    def run_in(self, overlay, words, **environment):
        return subprocess.run(words, cwd=self.trees[overlay], capture_output=True, text=True, timeout=LIMIT_S, check=False,
                              env={**os.environ, **environment_of(OBJECTS[overlay]), "ROUTEWRIGHT_INTERFACE": "",
                                   "ROUTEWRIGHT_MPIRUN": MPIRUN, **environment})

    def test_commands_are_files_of_the_image_that_can_be_run(self):
        for overlay in PLANS:
            for name in pods_of(OBJECTS[overlay]):
                command = pathlib.Path(self.words(overlay, name)[0])
                self.assertTrue(os.access(command, os.X_OK), command)
        (files,) = (o for o in CLAIM if o["kind"] == "Pod")
        self.assertTrue(os.access(files["spec"]["containers"][0]["command"][0], os.X_OK))

    def test_the_launcher_checks_the_config_and_plans_the_ranks_of_its_job(self):
        for overlay, parts in PLANS.items():
            job = find(OBJECTS[overlay], "MPIJob", "routewright")["spec"]
            hosts = self.trees[overlay] / "hosts"
            hosts.write_text("".join(f"host{i} slots={job['slotsPerWorker']}\n"
                                     for i in range(job["mpiReplicaSpecs"]["Worker"]["replicas"])))
            words = ["launch/mpirun.sh", *self.words(overlay, "launcher")[1:]]
            self.assertEqual(words[-1], "/etc/mpi/hostfile")
            result = self.run_in(overlay, [*words[:-1], str(hosts)], ROUTEWRIGHT_MPIRUN=shutil.which("true"))
            for part in parts:
                self.assertIn(part, result.stderr)
            self.assertIn("mpirun ended (status 0) before the learner did", result.stderr)  # a mpirun that did nothing is no success
            self.assertEqual(result.returncode, 1)

    def test_the_launcher_gives_hosts_up_that_cannot_be_reached(self):
        words = self.words("quickstart", "launcher")
        result = self.run_in("quickstart", [*words[:-1], "hostfile"], ROUTEWRIGHT_HOSTS_S="0")
        self.assertEqual((result.returncode, result.stderr.count("127.0.0.1 cannot be reached by ssh")), (1, 1), result.stderr)

    def test_a_worker_finds_its_run_by_the_config(self):
        for overlay in PLANS:
            result = self.run_in(overlay, [*self.words(overlay, "routewright-workers"), "--wait", "0"])
            run = config_of(OBJECTS[overlay])["run"]["name"]
            self.assertEqual(result.returncode, 1, result.stderr)
            self.assertIn(f"nothing listens for runs/{run}", result.stderr)

    def test_the_pool_serves(self):
        words = self.words("quickstart", "routewright-pool")
        words[words.index("--port") + 1] = "0"
        words[-1] = words[-1].replace("0.0.0.0", "127.0.0.1")
        log = self.folder / "pool.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(words, cwd=self.trees["quickstart"], stdout=out, stderr=out, start_new_session=True)
        self.addCleanup(kill_session, process)
        wait_until(lambda: process.poll() is not None or "listening on http://127.0.0.1:" in log.read_text(), "the pool")
        self.assertIsNone(process.poll(), log.read_text())

    def test_a_misspelt_option_is_refused(self):
        for pod, option in (("launcher", "--hostfile"), ("routewright-workers", "--config"), ("routewright-pool", "--port")):
            words = [word + "x" if word == option else word for word in self.words("quickstart", pod)]
            result = self.run_in("quickstart", words)
            self.assertEqual(result.returncode, 2, f"{words}: {result.stderr}")

    def test_help_says_what_the_scripts_do(self):
        for script in ("launcher.sh", "rank_host.sh"):
            result = self.run_in("quickstart", [f"launch/kubernetes/{script}", "--help"])
            self.assertEqual(result.returncode, 0)
            self.assertIn("Exit status:", result.stdout)
            self.assertNotIn("set -euo", result.stdout)
            self.assertEqual(self.run_in("quickstart", [f"launch/kubernetes/{script}", "--wrong"]).returncode, 2)


class ReadmeTest(unittest.TestCase):
    def test_its_command_names_the_image_everywhere(self):
        text = (ROOT / "launch/kubernetes/README.md").read_text()
        (command,) = re.findall(r"^sed .*$", text, re.MULTILINE)
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(ROOT / "launch", pathlib.Path(copy, "launch"))
            subprocess.run(["bash", "-c", command], cwd=copy, check=True)
            images = [line.strip() for path in pathlib.Path(copy, "launch/kubernetes").rglob("*.yaml")
                      for line in path.read_text().splitlines() if " image: " in line]
        self.assertEqual(len(images), 5)
        self.assertEqual(set(images), {"image: REGISTRY/routewright:1"})


class DockerfileTest(unittest.TestCase):
    def test_what_it_copies_is_there(self):
        copied = set()
        for words in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
            is_built = words.startswith("--from=build ")
            for source in words.removeprefix("--from=build ").split()[:-1]:
                copied.add(source)
                self.assertTrue(is_built or (ROOT / source).exists(), source)
        self.assertLessEqual({"launch", "configs", "data", "/opt/routewright/build/bin/routewright"}, copied)

    def test_it_agrees_with_the_manifests_and_the_ssh_files(self):
        uid, = re.findall(r"useradd --uid (\d+) .* routewright", DOCKERFILE)
        self.assertIn(f"USER {uid}:{uid}\n", DOCKERFILE)
        self.assertEqual(set(re.findall(r"^WORKDIR (.+)$", DOCKERFILE, re.MULTILINE)), {IMAGE_ROOT})
        for overlay in filter(OBJECTS.get, OBJECTS):
            job = find(OBJECTS[overlay], "MPIJob", "routewright")["spec"]
            keys = job["sshAuthMountPath"]
            pod = job["mpiReplicaSpecs"]["Worker"]["template"]["spec"]
            self.assertEqual(str(pod["securityContext"]["runAsUser"]), uid)
            (port,) = pod["containers"][0]["ports"]
            for name in ("sshd_config", "ssh_config"):
                text = (ROOT / "launch/kubernetes" / name).read_text()
                self.assertEqual(re.findall(r"^\s*Port (\d+)", text, re.MULTILINE), [str(port["containerPort"])])
                self.assertEqual(set(re.findall(r"(/home/\S+)/\w+(?:\.pub)?", text)), {keys})

    @unittest.skipUnless(shutil.which("dpkg-query"), "not a Debian")
    def test_its_packages_have_every_library_and_command(self):
        text = DOCKERFILE.split("apt-get install -y --no-install-recommends")[1].split("&&")[0]
        installed = set(text.replace("\\", " ").split())
        needed = set()
        for path in self.libraries():
            owner = subprocess.run(["dpkg-query", "-S", os.path.realpath(path)], capture_output=True, text=True)
            if owner.returncode == 0:
                needed.add(owner.stdout.split(":")[0])
        self.assertGreater(len(needed), 5)
        self.assertLessEqual(needed - {"libc6"}, installed)
        for command, package in (("ssh", "openssh-client"), ("pkill", "procps"), ("pgrep", "procps"), ("setpriv", "util-linux")):
            self.assertIn(package, installed, command)

    def libraries(self):
        """What the program itself names, not what that needs in turn, of the system's folders."""
        named = subprocess.run(["readelf", "-d", BINARY], capture_output=True, text=True, check=True).stdout
        names = set(re.findall(r"NEEDED.*\[(.+)\]", named))
        found = re.findall(r"(\S+) => (/\S+)", subprocess.run(["ldd", BINARY], capture_output=True, text=True).stdout)
        return [path for name, path in found if name in names and ".venv" not in path]


if __name__ == "__main__":
    unittest.main(verbosity=2)
