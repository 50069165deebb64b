#!/usr/bin/env python3
"""Installs what the integration tests need besides what launch/build.sh --with-tests does: a real Slurm, Chromium, a bare
Debian's maker, and unpacks into build/ what is not to be installed: Prometheus, sshd, kubectl.

usage: install.py     as root or with sudo; without either, or where Debian's packages cannot be reached, it says what is
                      missing and ends with 0: the tests that need it say so and skip
"""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
from debian_packages import fetch  # noqa: E402

INSTALLED = {  # package → a program of it
    "slurm-wlm": "slurmctld",
    "munge": "munged",
    "iproute2": "ip",
    "openssh-client": "ssh",
    "chromium": "chromium",
    "mmdebstrap": "mmdebstrap",
    "patchelf": "patchelf",
    "zstd": "zstd",
}
def say(text):
    print(f"\033[2m==>\033[0m {text}", flush=True)


def has(program):
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {(result.stderr or result.stdout).strip()[-400:]}")


def install(packages):
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    say(f"installing for the tests: {' '.join(packages)}")
    run(*sudo, "apt-get", "update")
    run(*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends", *packages)


def unpack():
    """What is not to be installed, for its daemons would run: into build/debian."""
    for packages, program in ((("prometheus",), "promtool"), (("openssh-server", "libwrap0"), "sshd"),
                              (("kubernetes-client",), "kubectl")):
        if not (ROOT / "build/debian" / packages[0]).exists() and not has(program):
            say(f"unpacking for the tests: {' '.join(packages)}")
            fetch(*packages, program=program, may_fetch=True)


def make_bare_debian():
    """In which the archive is used."""
    if os.geteuid() == 0 and has("mmdebstrap") and not (ROOT / "build/bare_debian.made").exists():
        say("making a bare Debian in build/ for the tests")
        run(str(ROOT / "tests/integration/package.sh"), "--prepare")


def main():
    try:
        missing = sorted(package for package, program in INSTALLED.items() if not has(program))
        if missing and not has("apt-get"):
            raise RuntimeError(f"no apt-get here; missing: {' '.join(missing)}")
        if missing:
            install([*missing, "fonts-dejavu-core"] if "chromium" in missing else missing)
        unpack()
        make_bare_debian()
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        say(f"not everything that the tests need is here, so that some will be skipped: {error}")


if __name__ == "__main__":
    sys.exit(main())
