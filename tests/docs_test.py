#!/usr/bin/env python3
"""The documents hold what they say: links resolve, commands, flags, scripts, files and config keys exist, the drawing of
the folders is what the sources include, and the pages keep to their lengths.

usage: docs_test.py     (a ctest; commands' flags are asked of $ROUTEWRIGHT_BINARY)
"""
import functools
import os
import pathlib
import re
import subprocess
import unittest

import folders_drawing
from layering_test import ROOT, files_below

BINARY = os.environ.get("ROUTEWRIGHT_BINARY", str(ROOT / "build/bin/routewright"))
MAX_LINE, MAX_ROW, MAX_ROOT_WORDS, MAX_FOLDER_WORDS = 110, 130, 1000, 350
# Folder READMEs that tell a user how to run something, or a format's bytes, take more room.
LONGER = {"launch/slurm": 700, "launch/kubernetes": 700, "launch/monitoring": 500, "launch/package": 500,
          "trainer/checkpoint": 500, "trainer/rollout_service": 500, "trainer/comm": 500, "tests": 700, "configs": 500}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.S)
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
COMMAND = re.compile(r"(?:^|(?<=[\s`/(]))(?<!-C build )routewright +([A-Za-z][\w-]*)((?:(?!routewright )[^\n`|])*)", re.M)
SCRIPT = re.compile(r"(?<![\w/$}-])(?:\./)?((?:launch|tests|data)/[\w/.-]+\.(?:sh|sbatch|py))([^\n`|]*)")
FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]*)")
# A file of the tree: a path with a folder of ours at its begin.
FILE = re.compile(r"^(?:common|proto|kernels|policy|trainer|rollout_workers|launch|configs|data|docs|tests|cmake)/[\w./*{},-]+$")
BARE = re.compile(r"`([a-z0-9_]+\.(?:h|cc|cu))`")
KEY = re.compile(r"(?:^|[\s=\"'(])((?:run|policy|data|prompt|episode|reward|pool|pool_emulator|trainer|worker|evaluation)"
                 r"(?:\.[a-z_0-9]+)+)(?![\w/(-])")
# What looks like a key and is none: a file of a run's or a policy's folder.
NO_KEYS = {"trainer.log", "worker.log", "pool.log", "pool.env"}


def documents():
    return [(name, path.read_text()) for name, path in files_below(ROOT) if name.endswith(".md")]


@functools.cache
def schema():
    """Message → {field: type} of config.proto."""
    messages, stack = {}, []
    for line in (ROOT / "proto/config.proto").read_text().splitlines():
        line = line.split("//")[0]
        if match := re.match(r"\s*message (\w+) \{", line):
            stack.append(match[1])
            messages.setdefault(match[1], {})
        elif re.match(r"\s*enum \w+ \{", line) and "}" not in line:
            stack.append(None)
        elif match := re.match(r"\s*(?:optional|(repeated)) ([\w.]+) (\w+) = \d+", line):
            messages[stack[-1]][match[3]] = f"{match[1]} {match[2]}" if match[1] else match[2]
        elif match := re.match(r"\s*map<\w+, ?([\w.]+)> (\w+) = \d+", line):
            messages[stack[-1]][match[2]] = "map"
        elif re.match(r"\s*\}", line):
            stack.pop()
    return messages


def is_key(text):
    """`pool.models.0.name` too: an item of a list by its number."""
    kind, is_list = "RunConfig", False
    for part in text.split("."):
        if kind == "map" or (part.isdigit() and is_list):
            is_list = False
            continue
        if part not in schema().get(kind, {}):
            return False
        is_list = schema()[kind][part].startswith("repeated ")
        kind = schema()[kind][part].removeprefix("repeated ")
    return True


@functools.cache
def metrics():
    """The names of trainer/METRICS.md's table, which tests/integration/metrics_table_test.py holds against runs."""
    return set(re.findall(r"`([a-z_]+/[a-z_0-9]+)", (ROOT / "trainer/METRICS.md").read_text()))


@functools.cache
def commands():
    return re.findall(r'\{"(\w+)", "', (ROOT / "launch/commands/commands.cc").read_text())


@functools.cache
def flags_of(command):
    """Of a command of the program or of a script below the root."""
    if command in commands():
        shown = subprocess.run([BINARY, command, "--help"], capture_output=True, text=True, check=True).stdout
        return set(FLAG.findall(shown))
    return set(FLAG.findall((ROOT / command).read_text()))


def broken_links(name, text):
    for target in LINK.findall(FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        page = ROOT / pathlib.Path(name).parent / file if file else ROOT / name
        if not page.exists() or (anchor and page.suffix == ".md" and anchor not in anchors(page.read_text())):
            yield f"{name}: the link {target} leads nowhere"


def anchors(text):
    """Of a page's headings, as the forges make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unknown_commands(name, text):
    for code in CODE.findall(text):
        for command, rest in COMMAND.findall(code.replace("\\\n", " ")):
            if command not in commands():
                yield f"{name}: there is no command `routewright {command}`"
                continue
            for flag in FLAG.findall(rest.split(" -- ")[0].split("#")[0]):
                if flag not in flags_of(command):
                    yield f"{name}: `routewright {command}` has no {flag}"


def unknown_scripts(name, text):
    for code in CODE.findall(text):
        for script, rest in SCRIPT.findall(code.replace("\\\n", " ")):
            if not (ROOT / script).exists():
                yield f"{name}: there is no {script}"
                continue
            for flag in FLAG.findall(re.split(r" -- |[#;&]", rest)[0]):
                if flag not in flags_of(script) | flags_of("train") | flags_of("worker"):  # which many hand on
                    yield f"{name}: {script} has no {flag}"


def unknown_files(name, text):
    folder = ROOT / pathlib.Path(name).parent
    for code in CODE.findall(FENCE.sub("", text)):
        words = code.strip("`")
        if FILE.match(words) and "<" not in words and words.split(":")[0] not in metrics():
            for path in expand(words.rstrip("/")):
                if not list(ROOT.glob(path)) and not list(folder.glob(path)) and not list(ROOT.glob(path + ".*")):
                    yield f"{name}: there is no {path}"


def unknown_names(name, text):
    """Bare names of files in a folder's README, as `leader.h`, are files of that folder or of one below."""
    folder = ROOT / pathlib.Path(name).parent
    if not name.endswith("README.md") or not list(folder.glob("*.h")):
        return
    for word in set(BARE.findall(FENCE.sub("", text))) - {"mpi.h", "nccl.h", "httplib.h"}:
        if not list(folder.rglob(word)) and not list((ROOT / "tests" / folder.relative_to(ROOT)).rglob(word)):
            yield f"{name}: there is no {word} here"


def expand(path):
    """a/{b,c} → a/b, a/c."""
    match = re.search(r"\{([^}]*)\}", path)
    if not match:
        return [path]
    return [done for part in match[1].split(",") for done in expand(path[: match.start()] + part + path[match.end() :])]


def unknown_keys(name, text):
    for code in CODE.findall(text):
        for key in KEY.findall(code.strip("`")):
            if key not in NO_KEYS and not is_key(key) and not pathlib.Path(key).suffix in {".py", ".cc", ".h", ".md", ".yaml", ".txt"}:
                yield f"{name}: there is no key {key} in a config"


def long_lines(name, text):
    """Of prose and of tables; what a program prints is quoted as it is, and docs/folders.md is written by one."""
    for number, line in enumerate(FENCE.sub(lambda match: "\n" * match[0].count("\n"), text).splitlines(), 1):
        limit = MAX_ROW if line.startswith("|") else MAX_LINE
        if len(line) > limit and "](" not in line and not line.startswith("<") and name != "docs/folders.md":
            yield f"{name}:{number}: {len(line)} characters, more than {limit}"


def long_pages(name, text):
    folder = name.rpartition("/")[0]
    if not name.endswith("README.md") or folder == "docs":
        return
    limit = MAX_ROOT_WORDS if not folder else LONGER.get(folder, MAX_FOLDER_WORDS)
    if len(text.split()) > limit:
        yield f"{name}: {len(text.split())} words, more than {limit}"


def values_of(enum):
    """The names in a config of an enum's values in config.proto."""
    values = re.findall(rf"\b{enum.upper()}_(\w+) = \d+", (ROOT / "proto/config.proto").read_text())
    return [value.lower() for value in values if value != "UNSPECIFIED"]


def architectures():
    return re.findall(r'model_type = "(\w+)"', (ROOT / "policy/model/architectures.cc").read_text())


# What there are several kinds of, and the pages that list them all.
LISTS = {
    "algorithm": (lambda: values_of("Algorithm"), ["docs/how_it_works.md", "docs/glossary.md"]),
    "cost form": (lambda: values_of("Cost_Form"), ["docs/own_questions.md"]),
    "protocol": (lambda: values_of("Protocol"), ["docs/own_pool.md", "docs/glossary.md",
                                                 "rollout_workers/pool/protocols/README.md"]),
    "architecture": (architectures, ["docs/own_policy.md", "policy/README.md"]),
    "command": (commands, ["launch/commands/README.md"]),
}


def unlisted_kinds(name, text):
    for kind, (names, pages) in LISTS.items():
        for one in names() if name in pages else []:
            if not re.search(rf"^- .*`{one}`" if kind == "command" else rf"(?i)\b{one}\b", text, re.M):
                yield f"{name}: does not name the {kind} {one}"


CHECKS = [broken_links, unknown_commands, unknown_scripts, unknown_files, unknown_names, unknown_keys, unlisted_kinds, long_lines,
          long_pages]


class DocsTest(unittest.TestCase):
    def test_the_documents_hold_what_they_say(self):
        pages = documents()
        self.assertGreater(len(pages), 20)
        faults = [fault for name, text in pages for check in CHECKS for fault in check(name, text)]
        self.assertEqual(faults, [], "\n" + "\n".join(faults))

    def test_the_drawing_of_the_folders_is_what_the_sources_include(self):
        for path, text in folders_drawing.drawn(ROOT).items():
            self.assertEqual(path.read_text(), text, f"{path}: run tests/folders_drawing.py --write")

    def test_planted_faults_are_found(self):
        for text, fault in [
            ("see [this](nowhere.md)", "leads nowhere"),
            ("`build/bin/routewright fly`", "no command `routewright fly`"),
            ("```\nbuild/bin/routewright eval --config F && build/bin/routewright  Fly-away\n```", "no command `routewright Fly-away`"),
            ("see [below](#no-such-heading)", "leads nowhere"),
            ("```\nbuild/bin/routewright train --confg x\n```", "has no --confg"),
            ("`./launch/nothing.sh`", "there is no launch/nothing.sh"),
            ("```\n./launch/local.sh --config F --rankz 2\n```", "launch/local.sh has no --rankz"),
            ("see [this](glossary.md#no-such-heading)", "leads nowhere"),
            ("`run.5`", "no key run.5"),
            ("`trainer/loop/nothing.cc`", "there is no trainer/loop/nothing.cc"),
            ("`trainer.loss.clip`", "no key trainer.loss.clip"),
            ("```\nx --set run.nam=a\n```", "no key run.nam"),
            ("word " * 30, "150 characters"),
            ("| cell |" * 20, "160 characters"),
        ]:
            faults = [f for check in CHECKS for f in check("docs/planted.md", text)]
            self.assertTrue(any(fault in f for f in faults), f"{text}: {faults}")
        self.assertEqual(len(list(unlisted_kinds("launch/commands/README.md", "- `train`"))), len(commands()) - 1)
        self.assertEqual({kind for kind, (names, _) in LISTS.items() if not names()}, set())
        self.assertEqual(list(unknown_names("trainer/loop/README.md", "`leader.h`, `leader_2.h`")),
                         ["trainer/loop/README.md: there is no leader_2.h here"])
        self.assertTrue(list(long_pages("README.md", "word\n" * (MAX_ROOT_WORDS + 1))))

    def test_what_is_right_is_no_fault(self):
        text = ("`build/bin/routewright train --config F --set trainer.loss.clip_low=0.1 --print run.name`, `trainer.log`, "
                "\n`pool.models.0.name`, `trainer/loop`, `launch/local.sh`\n")
        self.assertEqual([f for check in CHECKS for f in check("docs/planted.md", text)], [])


if __name__ == "__main__":
    unittest.main()
