"""Renders the kustomizations of launch/kubernetes with kubectl."""
import json
import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml
from debian_packages import fetch
from harness import ROOT

FOLDER = ROOT / "launch/kubernetes"


def kubectl(may_fetch):
    """The path of kubectl; None if there is none."""
    folder = fetch("kubernetes-client", program="kubectl", may_fetch=may_fetch)
    if folder is None:
        return None
    return shutil.which("kubectl", path=f"{folder}/usr/bin:/usr/local/bin:/usr/bin:/bin")


def is_old(program):
    """Before 1.21 kubectl had kustomize 2.0.3, Debian 12's still has: no folders in `resources`, no `patches`."""
    version = subprocess.run([program, "version", "--client", "--output=json"], capture_output=True, text=True, check=True)
    return int(re.match(r"\d+", json.loads(version.stdout)["clientVersion"]["minor"])[0]) < 21


def as_of_old(kustomization):
    """The same in the words of kustomize 2.0.3."""
    content = yaml.safe_load(kustomization.read_text())
    resources = content.pop("resources", [])
    content["bases"] = [r for r in resources if (kustomization.parent / r).is_dir()]
    content["resources"] = [r for r in resources if r not in content["bases"]]
    content["patchesJson6902"] = content.pop("patches", [])
    return yaml.safe_dump(content)


def render(kustomization, may_fetch=False):
    """The objects of a kustomization of this tree, as `kubectl kustomize` writes them; None without kubectl."""
    program = kubectl(may_fetch)
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as copy:
        for folder in ("configs", "launch/kubernetes"):
            shutil.copytree(ROOT / folder, pathlib.Path(copy, folder))
        if is_old(program):
            for path in pathlib.Path(copy).rglob("kustomization.yaml"):
                path.write_text(as_of_old(path))
        result = subprocess.run([program, "kustomize", str(pathlib.Path(copy) / kustomization.relative_to(ROOT))],
                                capture_output=True, text=True)
    assert result.returncode == 0 and "Warning" not in result.stderr, result.stderr
    return list(yaml.safe_load_all(result.stdout))
