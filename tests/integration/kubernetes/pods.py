"""Stands for a cluster on one machine: each pod is a set of Linux namespaces with a network address, a host name, its
volumes, its user and its command as process 1, as the kubelet and the MPI Operator would make them of our manifests.

What is left out: scheduling, images (this machine's files with ours on top), limits, the Service's load balancing
(a name of the hosts file each), probes, network policies. Needs root, overlayfs and an sshd (see sshd_files).
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

from harness import BINARY, ROOT, wait_until

NAMESPACE = "default"
IMAGE_ROOT = "/opt/routewright"
# What a Dockerfile's image has of this tree, for those that run it.
TREE = ("launch", "configs", "data")


def enter_namespaces():
    """Starts the script again in mount and network namespaces of its own: everything made there goes with it."""
    if os.environ.get("ROUTEWRIGHT_TEST_PODS") != "inside":
        os.environ["ROUTEWRIGHT_TEST_PODS"] = "inside"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    for command in ("link set lo up", "link add pods type bridge", "addr add 10.99.0.1/16 dev pods", "link set pods up"):
        subprocess.run(["ip", *command.split()], check=True)


def expand(text, environment):
    """$(NAME) as the kubelet does it."""
    return re.sub(r"\$\(([A-Za-z_]\w*)\)", lambda match: environment.get(match[1], match[0]), text)


class Pod:
    """One pod of a template, running. `name`, `labels`, `process` (of unshare) and `log`."""

    def __init__(self, cluster, name, template, start, keys):
        spec = template["spec"]
        self.name, self.labels, self.spec, self.keys = name, template.get("metadata", {}).get("labels", {}), spec, keys
        self.host = spec.get("hostname", name)
        self.address = f"10.99.{start // 250}.{start % 250 + 2}"
        self.folder = cluster.folder / "pods" / f"{name}.{start}"
        self.folder.mkdir(parents=True)
        self.log_path = self.folder / "log"
        container = spec["containers"][0]
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": self.host,
                       "HOME": "/home/routewright", **cluster.environment_of(container)}
        command = [expand(word, environment) for word in container["command"] + container.get("args", [])]
        script = self.folder / "start.sh"
        script.write_text("\n".join(self._script(cluster, spec, container, environment, command)))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "--uts", "--ipc", "--pid", "--mount", "--propagation", "private", "--fork",
                 "--kill-child", "--mount-proc", "bash", "-e", str(script)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.pid = wait_until(self._first_process, f"{name}'s first process")
        self.link = f"pod{start}"
        subprocess.run(["ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns",
                        str(self.pid)], check=True)
        subprocess.run(["ip", "link", "set", self.link, "master", "pods", "up"], check=True)

    def _first_process(self):
        assert self.process.poll() is None, self.log()
        found = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return found and int(found[0])

    def _script(self, cluster, spec, container, environment, command):
        """What is done as root before the command becomes process 1."""
        yield f"hostname {self.host}"
        yield "until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done"
        yield f"ip link set lo up; ip addr add {self.address}/16 dev eth0; ip link set eth0 up"
        for top in ("etc", "home", "opt", "usr"):
            upper, work = self.folder / "upper" / top, self.folder / "work" / top
            yield f"mkdir -p {upper} {work}"
            yield (f"mount -t overlay overlay -o lowerdir={cluster.folder}/image/{top}:/{top},upperdir={upper},"
                   f"workdir={work} /{top}")
        yield f"mount --bind {cluster.folder}/hosts /etc/hosts"
        yield "mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm"
        volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
        for mount in container.get("volumeMounts", []):
            yield from cluster.mount(volumes[mount["name"]], mount, self)
        context = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
        user = ["setpriv", f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}", "--clear-groups"]
        if not context["allowPrivilegeEscalation"]:
            user.append("--no-new-privs")
        if context["capabilities"] == {"drop": ["ALL"]}:
            user += ["--bounding-set=-all", "--inh-caps=-all"]
        # MPI's daemons name their folders in /tmp after their pids, which pods have in common.
        yield "mount -t tmpfs -o mode=1777 tmpfs /tmp"
        yield f"cd {container.get('workingDir', IMAGE_ROOT)}"
        words = ["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command]
        yield "exec " + " ".join("'" + word.replace("'", "'\\''") + "'" for word in user + words)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def wait_to_say(self, text, times=1):
        def has_said():
            said = self.log().count(text) >= times
            assert said or self.is_running(), f"{self.name} ended with {self.process.returncode}:\n{self.log()[-3000:]}"
            return said
        try:
            wait_until(has_said, f"{self.name} to say {text!r} ({times})")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-3000:]}") from None

    def ask_to_end(self):
        os.kill(self.pid, signal.SIGTERM)

    def wait(self):
        """Its status; after the grace period it is killed, as the kubelet does it."""
        try:
            return self.process.wait(timeout=self.spec["terminationGracePeriodSeconds"])
        except subprocess.TimeoutExpired:
            return self.kill()

    def end(self):
        self.ask_to_end()
        return self.wait()

    def vanish(self):
        """What a node without power does: nobody hears of it."""
        subprocess.run(["ip", "link", "set", self.link, "down"], check=True)
        return self.kill()

    def kill(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.process.wait()


class Cluster:
    """Runs the pods of rendered manifests. A context manager; on leaving all of them are killed."""

    def __init__(self, folder, manifests, sshd):
        self.folder, self.manifests, self.sshd = folder, manifests, sshd
        self.pods, self.starts = {}, 0

    def __enter__(self):
        # Upper layers of overlays want a file system that is none itself.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(self.folder)], check=True)
        self._make_image()
        self.make_keys("keys")
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")
        return self

    def __exit__(self, *_):
        for pod in self.pods.values():
            pod.kill()
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def find(self, kind, name):
        return next(o for o in self.manifests if o["kind"] == kind and o["metadata"]["name"] == name)

    def start(self, name, template, keys="keys"):
        """Starts a pod, or one again under its name, at a new address. `keys`: another folder of make_keys."""
        assert name not in self.pods or not self.pods[name].is_running(), f"{name} is running"
        self.starts += 1
        self.pods[name] = Pod(self, name, template, self.starts, keys)
        self._write_hosts()
        return self.pods[name]

    def environment_of(self, container):
        environment = {}
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                environment.update(self.find("ConfigMap", source["configMapRef"]["name"])["data"])
            elif not source["secretRef"].get("optional"):
                raise AssertionError(f"there is no Secret {source}")
        environment.update((entry["name"], entry.get("value", "")) for entry in container.get("env", []))
        return environment

    def mount(self, volume, mount, pod):
        """Shell lines that put a volume where the container wants it."""
        target = mount["mountPath"]
        yield f"mkdir -p {target}"
        if "emptyDir" in volume:
            yield f"mount -t tmpfs -o size={volume['emptyDir']['sizeLimit'].replace('i', '')},mode=1777 tmpfs {target}"
            return
        if "configMap" in volume:
            source = pod.folder / volume["name"]
            source.mkdir(exist_ok=True)
            for name, text in self.find("ConfigMap", volume["configMap"]["name"])["data"].items():
                (source / name).write_text(text)
        elif "secret" in volume:
            source = self.folder / pod.keys
        else:
            source = self.folder / "claims" / volume["persistentVolumeClaim"]["claimName"] / mount.get("subPath", ".")
            if not source.exists():
                source.mkdir(parents=True)
                os.chown(source, 0, 1000)  # as fsGroup makes it
                source.chmod(0o2775)
        yield f"mount --bind {source} {target}"

    def _make_image(self):
        """What the Dockerfile adds to a Debian, as an upper layer of this machine's own files."""
        image = self.folder / "image"
        tree = image / IMAGE_ROOT.lstrip("/")
        for part in TREE:
            shutil.copytree(ROOT / part, tree / part)
        (tree / "build/bin").mkdir(parents=True)
        (tree / "build/bin/routewright").symlink_to(BINARY)
        (tree / ".venv").symlink_to((ROOT / ".venv").resolve())
        (image / "home/routewright").mkdir(parents=True)
        os.chown(image / "home/routewright", 1000, 1000)
        ssh = image / "etc/ssh/ssh_config.d"
        ssh.mkdir(parents=True)
        shutil.copy(ROOT / "launch/kubernetes/ssh_config", ssh / "routewright.conf")
        (image / "etc/ssh/ssh_config").write_text("Include /etc/ssh/ssh_config.d/*.conf\n")
        for name, line in (("passwd", "routewright:x:1000:1000::/home/routewright:/bin/bash"), ("group", "routewright:x:1000:")):
            others = [other for other in pathlib.Path("/etc", name).read_text().splitlines() if ":1000:" not in other]
            (image / "etc" / name).write_text("\n".join([*others, line, ""]))
        shutil.copytree(self.sshd / "usr", image / "usr", symlinks=True)

    def make_keys(self, name):
        """The operator's Secret: one ECDSA key of 521 bits, readable as a Secret's files are."""
        keys = self.folder / name
        keys.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "521", "-N", "", "-C", "", "-f", str(keys / "id_rsa")],
                       check=True)
        shutil.copy(keys / "id_rsa.pub", keys / "authorized_keys")
        for path in keys.iterdir():
            path.chmod(0o644)

    def _write_hosts(self):
        """Names of pods under their subdomain, and of Services, as the cluster's DNS would give them."""
        lines = ["127.0.0.1 localhost"]
        for pod in self.pods.values():
            subdomain = pod.spec.get("subdomain")
            lines.append(f"{pod.address} {pod.host}.{subdomain}.{NAMESPACE}.svc" if subdomain else f"{pod.address} {pod.host}")
        for service in (o for o in self.manifests if o["kind"] == "Service"):
            chosen = [pod for pod in self.pods.values()
                      if service["spec"]["selector"].items() <= pod.labels.items() and pod.is_running()]
            lines += [f"{pod.address} {service['metadata']['name']}" for pod in chosen[:1]]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
