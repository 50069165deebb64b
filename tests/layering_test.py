#!/usr/bin/env python3
"""A folder is a target is a layer: who may include whom, and which folders are heavy things' doors.

usage: layering_test.py [source folder]     (a ctest; needs nothing but Python's standard library)
What a folder includes is said by its CMakeLists.txt (FOLDERS of routewright_library). Here it is held against what the
sources include; the folders' graph must have no cycle. TOP_FOLDERS and DOORS say what no CMakeLists.txt can allow.
"""

import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
SOURCES = {".h", ".cc", ".cu", ".proto"}
OTHER_SOURCES = {".hpp", ".hh", ".hxx", ".cuh", ".inc", ".inl", ".c", ".cpp", ".cxx", ".ipp"}
SKIPPED_FOLDERS = re.compile(r"^(\.git|\.venv|__pycache__)$")
SKIPPED_AT_THE_TOP = re.compile(r"^(build.*|runs)$")  # what git ignores there
# Files outside the tree: nothing may point there. (In two parts, so that this file doesn't.)
OUTSIDE = "../" + "shared"

# top folder -> what it may include. The files of a folder that is not named here are judged by DOORS alone.
TOP_FOLDERS = {
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
# A module is a file's name without its end: a.h and a.cc are one.
MAX_MODULES = 25  # what a reader can take in
LIBRARY = re.compile(r"^routewright_library\(([^)]*)\)", re.M)
PROGRAM = re.compile(r"^routewright_link\(routewright ([^)]*)\)", re.M)

# what, included header, files that may include it (a test may do what its source may), and why.
DOORS = [
    (
        "all of torch",
        r"^(torch/(?!version\.h|csrc/autograd/custom_function\.h)|ATen/(ATen|Functions|NativeFunctions)\.h)",
        r"(?!)",
        "include narrow ATen/ops headers",
    ),
    ("MPI", r"^(openmpi/|mpich/)?mpi\.h$", r"^trainer/comm/", "go through trainer/comm/communicator.h"),
    ("NCCL", r"^nccl", r"^trainer/comm/", "go through trainer/comm/communicator.h"),
    (
        "CUDA",
        r"^(cuda|cublas|cudnn|curand|cusparse|cufft|nvml|thrust/|cub/)",
        r"^(kernels|trainer/comm)/",
        "launch it from a kernel's folder",
    ),
    (
        "gRPC",
        r"^(grpc(pp|\+\+)?/|proto/.*\.grpc\.pb\.h$)",
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
        r"^(rollout_workers/pool_emulator/|common/prometheus/|trainer/live_page/page_server)",
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
        r"^common/prometheus/",
        "go through common/prometheus/prometheus_exporter.h",
    ),
    ("yaml-cpp", r"^yaml-cpp/", r"^common/config/", "go through common/config/config_loader.h"),
    ("CLI11", r"^CLI/", r"^launch/(cli|commands)/", "only commands read a command line"),
    (
        "tensors",
        r"^(ATen|c10|torch)/",
        r"^(kernels/(matmul|token_logprob)|policy/transformer|trainer/(loop|sharding|update)|launch/plan)/",
        "this folder knows no tensors",
    ),
]
# What comes in kinds is a table: elsewhere nobody compares a kind's name, which a new kind would slip past in silence.
# What, a name of a kind, files that may say it.
KINDS = [
    (
        "an algorithm's name",
        re.compile(r"ALGORITHM_[A-Z]+\b|\balgorithm\(\)\s*[!=]=|\bAlgorithm_M(?:AX|IN)\b"),
        r"^(tests/.*|proto/config\.proto|trainer/algorithm/algorithms\.cc|common/config/schema\.h)$",
        "ask AlgorithmFacts or the row of trainer/algorithm/algorithms.cc",
    ),
    (
        "a pool protocol's name",
        re.compile(r"PROTOCOL_(?!UNSPECIFIED)[A-Z_]+\b|\bprotocol\(\)\s*[!=]=\s*\d|\bProtocol_M(?:AX|IN)\b"),
        r"^(tests/.*|proto/config\.proto|rollout_workers/pool/protocols/protocols\.cc)$",
        "ask the PoolProtocol of rollout_workers/pool/protocols/protocols.cc",
    ),
    (
        "an architecture's name",
        re.compile(r"\bArchitecture::k[A-Z]\w*"),
        r"^(tests/.*|policy/model/architectures\.cc|policy/model/model_config\.h)$",
        "ask FactsOf of policy/model/architectures.h",
    ),
]
TENSOR = re.compile(r"^(ATen|c10|torch)/")
WIRE = re.compile(r"^proto/(episode|learner_service)")
INCLUDE = re.compile(r'^\s*(?:#\s*include(?:_next)?\s*|import\s+(?:public\s+)?)["<]([^">]+)[">]', re.M)
MACRO_INCLUDE = re.compile(r"^\s*(?:#|%:)\s*include(?:_next)?\s+[A-Za-z_]\w*|^\s*%:\s*include", re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def plain(text):
    """Without comments of the old form and without continued lines, behind which an include could hide."""
    return COMMENT.sub(" ", text.replace("\\\n", ""))


def includes_of(text):
    return INCLUDE.findall(plain(text))


def breaches_of_source(path, text):
    """path: relative to the root, with /. Returns sentences."""
    breaches = []
    includes = includes_of(text)
    allowed = TOP_FOLDERS.get(path.split("/")[0])
    for include in includes:
        if include.startswith("."):
            breaches.append(f"{path} includes {include}: name it from the root")
        if pathlib.PurePath(include).suffix in {".cc", ".cu", ".inc", ".cpp"}:
            breaches.append(f"{path} includes {include}, which is no header")
        if allowed and OURS.match(include) and not any(include.startswith(a) for a in allowed):
            breaches.append(
                f"{path} includes {include}: this folder may include {', '.join(allowed)} only"
            )
        for what, header, doors, instead in DOORS:
            if re.match(header, include) and not re.match(doors, path.removeprefix("tests/")):
                is_test_of_tensors = what == "tensors" and path.startswith("tests/")
                if not is_test_of_tensors and not is_test_server(what, path):
                    breaches.append(f"{path} includes {include}, a door to {what}: {instead}")
    if MACRO_INCLUDE.search(plain(text)):
        breaches.append(f"{path} includes what a macro says: say it plainly")
    if path.split("/")[0] not in {*TOP_FOLDERS, "tests"}:
        breaches.append(f"{path} is in no folder of TOP_FOLDERS")
    for what, name, files, instead in KINDS:
        if name.search(text) and not re.match(files, path):
            breaches.append(f"{path} says {what}, {name.search(text)[0]}: {instead}")
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
            any(SKIPPED_FOLDERS.match(part) for part in parts[:-1])
            or (len(parts) > 1 and SKIPPED_AT_THE_TOP.match(parts[0]))
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
        if path.suffix in OTHER_SOURCES:
            breaches.append(f"{name}: a header ends in .h, a source in .cc or .cu")
        if path.suffix in SOURCES:
            num_sources += 1
            text = content.decode("utf-8", "replace")
            breaches += breaches_of_source(name, text)
            for include in includes_of(text):
                if not OURS.match(include) and (path.parent / include).exists():
                    breaches.append(f"{name} includes {include}: name it from the root")
    return breaches, num_sources


def folder_of(path):
    return path.rsplit("/", 1)[0]


def folders_included(root):
    """What the sources say: folder -> {folder that it includes: an include of it}, and folder -> its modules."""
    included, modules = {}, {}
    for name, path in files_below(root):
        if path.suffix not in SOURCES or name.split("/")[0] not in TOP_FOLDERS:
            continue
        folder = folder_of(name)
        modules.setdefault(folder, set()).add(path.stem)
        edges = included.setdefault(folder, {})
        for include in includes_of(path.read_text()):
            if OURS.match(include) and folder_of(include) != folder:
                edges.setdefault(folder_of(include), f"{name} includes {include}")
    return included, modules


def folders_declared(root, folder):
    """What the folder's CMakeLists.txt says that it includes; None: it is no target."""
    file = root / folder / "CMakeLists.txt"
    match = file.exists() and (LIBRARY.search(file.read_text()) or PROGRAM.search(file.read_text()))
    if not match:
        return None
    words = match[1].split()
    start = words.index("FOLDERS") + 1 if "FOLDERS" in words else len(words)
    ends = [i for i, word in enumerate(words) if i >= start and word.isupper()]
    return set(words[start : ends[0] if ends else len(words)])


def cycle_in(edges):
    """A cycle as a list of folders, or []."""
    done = set()

    def visit(folder, way):
        if folder in way:
            return way[way.index(folder) :] + [folder]
        if folder in done:
            return []
        done.add(folder)
        for other in sorted(edges.get(folder, [])):
            found = visit(other, way + [folder])
            if found:
                return found
        return []

    for folder in sorted(edges):
        found = visit(folder, [])
        if found:
            return found
    return []


def breaches_of_folders(root):
    """Where the folders are not what their CMakeLists.txt say, or no layers. Returns sentences."""
    breaches = []
    included, modules = folders_included(root)
    for folder, edges in included.items():
        if len(modules[folder]) > MAX_MODULES:
            breaches.append(f"{folder} holds {len(modules[folder])} modules, more than {MAX_MODULES}: split it")
        if folder == "proto":
            continue
        declared = folders_declared(root, folder)
        if declared is None:
            breaches.append(f"{folder} is no target: its CMakeLists.txt has no routewright_library")
            continue
        for other in edges.keys() - declared:
            breaches.append(f"{edges[other]}: FOLDERS of {folder}/CMakeLists.txt does not name {other}")
        for other in declared - edges.keys():
            breaches.append(f"{folder}/CMakeLists.txt names {other}, which nothing there includes")
    cycle = cycle_in(included)
    if cycle:
        ways = [included[a][b] for a, b in zip(cycle, cycle[1:])]
        breaches.append(f"a cycle of folders: {' → '.join(cycle)} ({'; '.join(ways)})")
    return breaches


class LayeringTest(unittest.TestCase):
    def test_the_tree_keeps_its_layers(self):
        breaches, num_sources = breaches_below(ROOT)
        self.assertGreater(num_sources, 50, f"few sources below {ROOT}: is this the tree?")
        self.assertEqual(breaches, [], "\n" + "\n".join(breaches))

    def test_a_folder_is_a_target_is_a_layer(self):
        included, _ = folders_included(ROOT)
        self.assertGreater(len(included), 25, f"few folders below {ROOT}: is this the tree?")
        breaches = breaches_of_folders(ROOT)
        self.assertEqual(breaches, [], "\n" + "\n".join(breaches))

    def breaches_of_tree(self, files, find=breaches_of_folders):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                file = pathlib.Path(folder) / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return find(pathlib.Path(folder))

    def test_planted_breaches_of_the_folders_targets_are_found(self):
        good = {
            "common/a.h": "",
            "common/CMakeLists.txt": "routewright_library()\n",
            "kernels/b.cc": '#include "common/a.h"\n',
            "kernels/CMakeLists.txt": "routewright_library(\n  FOLDERS common\n  LIBRARIES x::y)\n",
        }
        self.assertEqual(self.breaches_of_tree(good), [])
        for path, text, breach in [
            ("kernels/CMakeLists.txt", "routewright_library()", "does not name common"),
            ("kernels/CMakeLists.txt", "", "kernels is no target"),
            ("kernels/b.cc", "", "names common, which nothing there includes"),
            ("kernels/c/d.cc", "", "kernels/c is no target"),
            ("common/e.cc", '#include "kernels/b.h"', "cycle of folders: common → kernels → common"),
        ]:
            breaches = self.breaches_of_tree({**good, path: text})
            self.assertTrue(any(breach in b for b in breaches), f"{path}: {text}: {breaches}")
        crowd = {f"common/m{i}.h": "" for i in range(MAX_MODULES)}
        breaches = self.breaches_of_tree({**good, **crowd})
        self.assertIn(f"common holds {MAX_MODULES + 1} modules", breaches[0])

    def assert_breach(self, path, line, part):
        """A tree of this one file must have a breach that says `part`."""
        breaches, _ = self.breaches_of_tree({path: line + "\n"}, breaches_below)
        self.assertTrue(any(part in breach for breach in breaches), f"{path}: {line}: {breaches}")

    def test_planted_oddities_are_found(self):
        for path, line, part in [
            ("trainer/a.cc", "if (x == TrainerConfig_Algorithm_ALGORITHM_PPO) {}", "says an algorithm's name"),
            ("trainer/a.cc", "if (config.algorithm() == 2) {}", "says an algorithm's name"),
            ("rollout_workers/a.cc", "PoolModelConfig_Protocol_PROTOCOL_OPENAI_CHAT", "says a pool protocol's name"),
            ("trainer/a.cc", "Architecture::kQwen3", "says an architecture's name"),
            ("trainer/a.cc", '/* x */ #include "launch/cli/command.h"', "this folder may include"),
            ("trainer/a.cc", '#include \\\n"launch/cli/command.h"', "this folder may include"),
            ("trainer/a.cc", '#include_next "launch/cli/command.h"', "this folder may include"),
            ("trainer/a.cc", "#include HEADER", "a macro"),
            ("trainer/a.cc", '#include "./../launch/b.h"', "name it from the root"),
            ("trainer/a.cc", '#include "common/b.cc"', "no header"),
            ("policy/builders/a.cc", '#include "trainer/b.h"', "this folder may include"),
            ("policy/a.hpp", "", "a header ends in .h"),
            ("judges/a.h", "", "in no folder of TOP_FOLDERS"),
            ("a.h", "", "in no folder of TOP_FOLDERS"),
            ("policy/a.cc", "#include <torch/types.h>", "a door to all of torch"),
            ("trainer/update/a.cc", "#include <ATen/ATen.h>", "a door to all of torch"),
            ("policy/a.cc", "#include <thrust/sort.h>", "a door to CUDA"),
        ]:
            self.assert_breach(path, line, part)
        breaches, _ = self.breaches_of_tree({"trainer/x/b.h": "", "trainer/a.cc": '#include "x/b.h"\n'}, breaches_below)
        self.assertIn("trainer/a.cc includes x/b.h: name it from the root", breaches)

    def test_planted_breaches_of_the_folders_are_found(self):
        for path, include in [
            ("trainer/a.cc", "rollout_workers/b.h"),
            ("rollout_workers/a.h", "trainer/b.h"),
            ("policy/a.cc", "trainer/b.h"),
            ("policy/a.cc", "proto/episode.pb.h"),
            ("kernels/x/a.cc", "policy/b.h"),
            ("common/a.cc", "kernels/b.h"),
            ("common/a.cc", "launch/b.h"),
            ("trainer/a.cc", "launch/cli/command.h"),
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
            ("launch/plan/a.cc", "CLI/CLI.hpp"),
            ("policy/decoder/a.cc", "ATen/ops/add.h"),
            ("trainer/checkpoint/a.h", "ATen/core/Tensor.h"),
            ("common/log.h", "CLI/CLI.hpp"),
            ("common/a.cc", "ATen/core/Tensor.h"),
            ("rollout_workers/a.cc", "ATen/ops/add.h"),
        ]:
            self.assert_breach(
                path, f"#include <{include}>", f"{path} includes {include}, a door to"
            )

    def test_planted_tensors_in_headers_and_beside_wire_messages_are_found(self):
        self.assert_breach(
            "policy/transformer/a.h",
            "#include <ATen/ops/add.h>",
            "a header takes ATen/core/Tensor.h at most",
        )
        self.assert_breach(
            "trainer/a.cc",
            '#include <ATen/ops/add.h>\n#include "proto/episode.pb.h"',
            "both a wire message and a tensor",
        )

    def test_a_planted_kind_outside_its_table_is_found(self):
        self.assert_breach(
            "trainer/update/a.cc",
            "if (config.algorithm() == TrainerConfig::ALGORITHM_PPO) {}",
            "says an algorithm's name",
        )
        self.assert_breach(
            "rollout_workers/pool/a.cc",
            "switch (protocol) { case PoolModelConfig::PROTOCOL_OPENAI_CHAT: }",
            "says a pool protocol's name",
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
            ("policy/transformer/a.h", "ATen/core/Tensor.h"),
            ("rollout_workers/worker/learner_client.cc", "grpcpp/grpcpp.h"),
            ("rollout_workers/pool/http_pool_client.cc", "curl/curl.h"),
        ]:
            self.assertEqual(breaches_of_source(path, f'#include "{include}"'), [])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        ROOT = pathlib.Path(sys.argv.pop()).resolve()
    unittest.main()
