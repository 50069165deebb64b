#!/usr/bin/env python3
"""Greps the sources for breaches of the layering: who may include whom, and which files are heavy things' doors.

usage: layering_test.py [source folder]     (a ctest; needs nothing but Python's standard library)
To open a door or add a folder, change FOLDERS or DOORS: the tables are the rule.
"""

import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = {".h", ".cc", ".cu", ".proto"}
SKIPPED_FOLDERS = re.compile(r"^(\.git|\.venv|runs|__pycache__|build.*)$")
# Files outside the tree: nothing may point there. (In two parts, so that this file doesn't.)
OUTSIDE = "../" + "shared"

# folder -> what it may include. The files of a folder that is not named here are judged by DOORS alone.
FOLDERS = {
    "proto": ["proto/"],
    "common": ["common/", "proto/"],
    "kernels": ["kernels/", "common/", "proto/config"],
    "policy": ["policy/", "kernels/", "common/", "proto/config"],
    "trainer": ["trainer/", "policy/", "kernels/", "common/", "proto/"],
    "rollout_workers": ["rollout_workers/", "policy/", "kernels/", "common/", "proto/"],
    "launch": [
        "launch/",
        "trainer/",
        "rollout_workers/",
        "policy/",
        "kernels/",
        "common/",
        "proto/",
    ],
}
OURS = re.compile(r"^(proto|common|kernels|policy|trainer|rollout_workers|launch|tests)/")

# what, included header, files that may include it (a test may do what its source may), and why.
DOORS = [
    (
        "all of torch",
        r"^torch/(torch\.h|extension\.h|nn|optim|all\.h)",
        r"(?!)",
        "include narrow ATen/ops headers",
    ),
    ("MPI", r"^mpi\.h$", r"^trainer/comm/", "go through trainer/comm/communicator.h"),
    ("NCCL", r"^nccl", r"^trainer/comm/", "go through trainer/comm/communicator.h"),
    (
        "CUDA",
        r"^(cuda|cublas|cudnn)",
        r"^(kernels|trainer/comm)/",
        "launch it from a kernel's folder",
    ),
    (
        "gRPC",
        r"^(grpc(pp)?/|proto/.*\.grpc\.pb\.h$)",
        r"^(trainer/rollout_service/|rollout_workers/worker/learner_)",
        "go through the service or the learner client",
    ),
    (
        "curl",
        r"^curl/",
        r"^rollout_workers/pool/",
        "go through rollout_workers/pool/pool_client.h",
    ),
    (
        "the HTTP server",
        r"^httplib\.h$",
        r"^(rollout_workers/pool_emulator/|common/prometheus/prometheus_exporter|trainer/live_page/page_server)",
        "only the pool emulator, the Prometheus exporter and the run's page serve HTTP",
    ),
    (
        "tcmalloc",
        r"^gperftools/",
        r"^common/heap\.cc$",
        "go through common/heap.h",
    ),
    (
        "Prometheus",
        r"^prometheus/",
        r"^common/prometheus/prometheus_exporter",
        "go through common/prometheus/prometheus_exporter.h",
    ),
    ("yaml-cpp", r"^yaml-cpp/", r"^common/config/", "go through common/config/config_loader.h"),
    ("CLI11", r"^CLI/", r"^launch/", "only commands read a command line"),
    (
        "tensors",
        r"^(ATen|c10|torch)/",
        r"^(kernels|policy|trainer|launch/plan)/",
        "this folder knows no tensors",
    ),
]
TENSOR = re.compile(r"^(ATen|c10|torch)/")
WIRE = re.compile(r"^proto/(episode|learner_service)")
INCLUDE = re.compile(r'^\s*(?:#\s*include\s*|import\s+(?:public\s+)?)["<]([^">]+)[">]', re.M)


def includes_of(text):
    return INCLUDE.findall(text)


def breaches_of_source(path, text):
    """path: relative to the root, with /. Returns sentences."""
    breaches = []
    includes = includes_of(text)
    allowed = FOLDERS.get(path.split("/")[0])
    for include in includes:
        if include.startswith("../"):
            breaches.append(f"{path} includes {include}: name it from the root")
        if allowed and OURS.match(include) and not any(include.startswith(a) for a in allowed):
            breaches.append(
                f"{path} includes {include}: this folder may include {', '.join(allowed)} only"
            )
        for what, header, doors, instead in DOORS:
            if re.match(header, include) and not re.match(doors, path.removeprefix("tests/")):
                is_test_of_tensors = what == "tensors" and path.startswith("tests/")
                if not is_test_of_tensors and not is_test_server(what, path):
                    breaches.append(f"{path} includes {include}, a door to {what}: {instead}")
    if path.endswith(".h") and not path.startswith("tests/"):
        for include in includes:
            if TENSOR.match(include) and include != "ATen/core/Tensor.h":
                breaches.append(
                    f"{path} includes {include}: a header takes ATen/core/Tensor.h at most"
                )
    if any(WIRE.match(i) for i in includes) and any(TENSOR.match(i) for i in includes):
        breaches.append(
            f"{path} names both a wire message and a tensor: batch.cc makes plain arrays between them"
        )
    return breaches


def is_test_server(what, path):
    """Tests may stand up an HTTP server of their own and talk to one."""
    return what == "the HTTP server" and path.startswith("tests/")


def files_below(root):
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if (
            any(SKIPPED_FOLDERS.match(part) for part in parts)
            or path.is_symlink()
            or not path.is_file()
        ):
            continue
        yield "/".join(parts), path


def breaches_below(root):
    breaches, num_sources = [], 0
    for name, path in files_below(root):
        content = path.read_bytes()
        if OUTSIDE.encode() in content:
            breaches.append(f"{name} mentions {OUTSIDE}: the project stands alone")
        if path.suffix in SOURCES:
            num_sources += 1
            breaches += breaches_of_source(name, content.decode("utf-8", "replace"))
    return breaches, num_sources


class LayeringTest(unittest.TestCase):
    def test_the_tree_keeps_its_layers(self):
        breaches, num_sources = breaches_below(ROOT)
        self.assertGreater(num_sources, 50, f"few sources below {ROOT}: is this the tree?")
        self.assertEqual(breaches, [], "\n" + "\n".join(breaches))

    def assert_breach(self, path, line, part):
        """A tree of this one file must have a breach that says `part`."""
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / path
            file.parent.mkdir(parents=True)
            file.write_text(line + "\n")
            breaches, _ = breaches_below(pathlib.Path(folder))
        self.assertTrue(any(part in breach for breach in breaches), f"{path}: {line}: {breaches}")

    def test_planted_breaches_of_the_folders_are_found(self):
        for path, include in [
            ("trainer/a.cc", "rollout_workers/b.h"),
            ("rollout_workers/a.h", "trainer/b.h"),
            ("policy/a.cc", "trainer/b.h"),
            ("policy/a.cc", "proto/episode.pb.h"),
            ("kernels/x/a.cc", "policy/b.h"),
            ("common/a.cc", "kernels/b.h"),
            ("common/a.cc", "launch/b.h"),
            ("trainer/a.cc", "launch/command.h"),
            ("trainer/a.cc", "tests/common/temp_folder.h"),
        ]:
            self.assert_breach(
                path, f'#include "{include}"', f"{path} includes {include}: this folder may include"
            )
        self.assert_breach(
            "proto/a.proto", 'import "common/b.proto";', "this folder may include proto/ only"
        )
        self.assert_breach("common/a.cc", '#  include "../b.h"', "name it from the root")

    def test_planted_breaches_of_the_doors_are_found(self):
        for path, include in [
            ("policy/a.cc", "torch/torch.h"),
            ("tests/policy/a_test.cc", "torch/torch.h"),
            ("trainer/a.cc", "mpi.h"),
            ("trainer/a.cc", "nccl.h"),
            ("policy/a.cu", "cuda_runtime.h"),
            ("rollout_workers/episode/episode.cc", "grpcpp/grpcpp.h"),
            ("trainer/loop/learner.cc", "proto/learner_service.grpc.pb.h"),
            ("rollout_workers/worker/worker.cc", "curl/curl.h"),
            ("rollout_workers/pool_emulator/a.cc", "curl/curl.h"),
            ("launch/commands/a.cc", "httplib.h"),
            ("trainer/live_page/live_state.cc", "httplib.h"),
            ("common/secret.cc", "yaml-cpp/yaml.h"),
            ("trainer/loop/leader.cc", "prometheus/exposer.h"),
            ("common/log.h", "CLI/CLI.hpp"),
            ("common/a.cc", "ATen/core/Tensor.h"),
            ("rollout_workers/a.cc", "ATen/ops/add.h"),
        ]:
            self.assert_breach(
                path, f"#include <{include}>", f"{path} includes {include}, a door to"
            )

    def test_planted_tensors_in_headers_and_beside_wire_messages_are_found(self):
        self.assert_breach(
            "policy/a.h", "#include <ATen/ops/add.h>", "a header takes ATen/core/Tensor.h at most"
        )
        self.assert_breach(
            "trainer/a.cc",
            '#include <ATen/ops/add.h>\n#include "proto/episode.pb.h"',
            "both a wire message and a tensor",
        )

    def test_a_planted_way_out_of_the_tree_is_found(self):
        self.assert_breach("docs/a.md", f"see {OUTSIDE}/x", "the project stands alone")

    def test_what_is_allowed_is_no_breach(self):
        for path, include in [
            ("launch/a.cc", "trainer/b.h"),
            ("policy/a.h", "proto/config.pb.h"),
            ("trainer/comm/a.h", "mpi.h"),
            ("tests/trainer/comm/a_test.cc", "mpi.h"),
            ("kernels/x/a.cu", "cuda_runtime.h"),
            ("policy/a.h", "ATen/core/Tensor.h"),
            ("rollout_workers/worker/learner_client.cc", "grpcpp/grpcpp.h"),
            ("rollout_workers/pool/http_pool_client.cc", "curl/curl.h"),
        ]:
            self.assertEqual(breaches_of_source(path, f'#include "{include}"'), [])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ROOT = pathlib.Path(sys.argv.pop()).resolve()
    unittest.main()
