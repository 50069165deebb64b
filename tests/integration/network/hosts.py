"""Several hosts in this machine: a network and a host name of its own each, joined by link_switch.py.

Only for a process that is the first one of a PID and mount namespace (run_inside() starts one): when that ends, however it
ends, the kernel ends every process on the hosts and takes back the namespaces, devices, routes and mounts.
"""
import contextlib
import ctypes
import fcntl
import os
import pathlib
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

SWITCH = pathlib.Path(__file__).resolve().parent / "link_switch.py"
NEW_UTS, NEW_NET = 0x04000000, 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
OWN = ("--mount", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc")
MTU = 9000  # few frames: the switch is Python
LIBC = ctypes.CDLL(None, use_errno=True)


def what_is_missing():
    """What this machine lacks, in words; nothing if hosts can be made."""
    if os.geteuid() != 0:
        return "namespaces and TAP devices need root"
    for program, package in {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}.items():
        if not shutil.which(program):
            return f"{package} of Debian is not installed"
    probe = subprocess.run(["unshare", *OWN, "--net", "--uts", "ip", "tuntap", "add", "probe", "mode", "tap"],
                           capture_output=True, text=True, check=False)
    return "" if probe.returncode == 0 else f"no namespaces or TAP devices here: {probe.stderr.strip()}"


def run_inside(command):
    """Runs a command as the first process of namespaces of its own; returns its status. Whatever it started has ended
    then, also when this process is interrupted or told to end; when this one is killed, all is killed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parent = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", *OWN, *command])
    try:
        return parent.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):  # asked once is enough: tidying up follows
            signal.signal(number, signal.SIG_IGN)
        # unshare ends when its child, the first process, and with it all others have.
        children = pathlib.Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
        while parent.poll() is None:
            for pid in children.read_text().split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.01)


def system_call(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")


class Host:
    def __init__(self, name, number):
        self.name = name
        self.address = f"10.77.0.{number + 1}"
        with self._keeping_own():
            system_call("unshare", NEW_NET | NEW_UTS)
            socket.sethostname(name)
            self.network = os.open("/proc/self/ns/net", os.O_RDONLY)
            self.names = os.open("/proc/self/ns/uts", os.O_RDONLY)
            self.device = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH22x", b"eth0", IFF_TAP | IFF_NO_PI))
            for command in ("link set lo up", f"link set eth0 address 02:00:00:00:00:{number:02x} mtu {MTU} up",
                            f"address add {self.address}/24 dev eth0"):
                subprocess.run(["ip", *command.split()], check=True)

    @staticmethod
    @contextlib.contextmanager
    def _keeping_own():
        own = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("net", "uts")]
        try:
            yield
        finally:
            for descriptor in own:
                system_call("setns", descriptor, 0)
                os.close(descriptor)

    @contextlib.contextmanager
    def here(self):
        """Inside, this process is on the host: sockets made here stay there."""
        with self._keeping_own():
            system_call("setns", self.network, 0)
            yield

    def command(self, words):
        """The words of a command, run on this host."""
        me = os.getpid()
        return ["nsenter", f"--net=/proc/{me}/fd/{self.network}", f"--uts=/proc/{me}/fd/{self.names}", *map(str, words)]

    def processes(self):
        """Pids and command lines of the live processes on this host."""
        own = os.fstat(self.network).st_ino
        found = {}
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.stat(path / "ns/net").st_ino == own:
                    words = (path / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    found[int(path.name)] = shlex.join(words[:-1])
            except (FileNotFoundError, ProcessLookupError):
                continue
        return {pid: words for pid, words in found.items() if words}  # none: ended, not yet waited for


class Hosts:
    """The hosts and their links. A context manager."""

    def __init__(self, names, folder, mbit, delay_ms):
        self.mbit, self.delay_ms = mbit, delay_ms
        self.by_name = {name: Host(name, number) for number, name in enumerate(names)}
        file = folder / "hosts"
        file.write_text("127.0.0.1 localhost\n" + "".join(f"{h.address} {h.name}\n" for h in self.by_name.values()))
        subprocess.run(["mount", "--bind", file, "/etc/hosts"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
        self.agent = folder / "agent.sh"
        self._write_agent(folder)

    def __getitem__(self, name):
        return self.by_name[name]

    def __enter__(self):
        devices = [host.device for host in self.by_name.values()]
        self._switch = subprocess.Popen(
            [sys.executable, SWITCH, "--mbit", str(self.mbit), "--delay-ms", str(self.delay_ms),
             *(f"{host.name}={host.device}" for host in self.by_name.values())],
            pass_fds=devices, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self._switch.stdin.close()
        self._switch.wait()

    def _ask(self, *words):
        self._switch.stdin.write(" ".join(words) + "\n")
        self._switch.stdin.flush()
        return self._switch.stdout.readline().strip()

    def cut(self, first, second="*"):
        assert self._ask("cut", first, second) == "ok"

    def heal(self, first, second="*"):
        assert self._ask("heal", first, second) == "ok"

    def carried_bytes(self, first, second):
        return int(self._ask("carried", first, second))

    def _write_agent(self, folder):
        """What mpirun calls in the place of ssh: `agent.sh -x HOST COMMAND…`. As ssh does, it stays on the host that it was
        called on and passes output on, but no environment; the command has a session of its own, and outlives it."""
        cases = "".join(f"  {host.name}) enter=({shlex.join(host.command([]))}) ;;\n" for host in self.by_name.values())
        self.agent.write_text(f"""#!/bin/bash
while [[ $1 == -* ]]; do shift; done
host=$1
shift
case $host in
{cases}  *) echo "agent.sh: there is no host '$host'" >&2; exit 255 ;;
esac
setsid --wait "${{enter[@]}}" env -i PATH="$PATH" HOME="$HOME" TMPDIR={shlex.quote(str(folder))} sh -c "$*" \\
  </dev/null > >(exec cat) 2> >(exec cat >&2)
""")
        self.agent.chmod(0o755)

    def round_trip_s(self, first, second):
        """The least of ten round trips of a byte between two hosts."""
        times = []
        with self._connection(first, second) as (a, b):
            for _ in range(10):
                start = time.monotonic()
                a.sendall(b".")
                b.sendall(b.recv(1))
                a.recv(1)
                times.append(time.monotonic() - start)
        return min(times)

    def bits_per_s(self, first, second, num_bytes):
        """How fast so many bytes come from one host to another."""
        with self._connection(first, second) as (a, b):
            a.setblocking(False)
            start = time.monotonic()
            sent = received = 0
            while received < num_bytes:
                with contextlib.suppress(BlockingIOError):
                    while sent < num_bytes:
                        sent += a.send(bytes(min(65536, num_bytes - sent)))
                received += len(b.recv(65536))
            return num_bytes * 8 / (time.monotonic() - start)

    @contextlib.contextmanager
    def _connection(self, first, second):
        with self[second].here():
            server = socket.create_server((self[second].address, 0))
        with self[first].here():
            a = socket.create_connection(server.getsockname(), timeout=60)
        b, _ = server.accept()
        with server, a, b:
            for end in (a, b):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield a, b
