"""Debian's packages for tests, unpacked into build/debian and not installed: daemons that are not to run by themselves."""
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def fetch(*packages, program, may_fetch):
    """The folder of packages of Debian, unpacked into build/debian, not installed; None without the program.

    An empty folder where the program is installed.
    """
    folder = ROOT / "build/debian" / packages[0]
    if shutil.which(program, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"):
        (folder.with_name("none") / "usr").mkdir(parents=True, exist_ok=True)
        return folder.with_name("none")
    if not folder.exists():
        if not may_fetch:
            return None
        with tempfile.TemporaryDirectory() as downloads:
            subprocess.run(["apt-get", "download", *packages], cwd=downloads, check=True, capture_output=True)
            unpacked = folder.with_name(folder.name + ".partial")
            unpacked.mkdir(parents=True, exist_ok=True)
            for package in pathlib.Path(downloads).glob("*.deb"):
                subprocess.run(["dpkg", "-x", str(package), str(unpacked)], check=True)
        if (unpacked / "lib").exists():  # /lib is /usr/lib
            shutil.copytree(unpacked / "lib", unpacked / "usr/lib", symlinks=True, dirs_exist_ok=True)
        unpacked.rename(folder)
    return folder
