#!/usr/bin/env python3
"""Launchers that catch signals must not be ended by them: bash before 5.3 may read the command of a trap as a part of a
$(…), <(…) or >(…) that the signal comes ahead of ("trap: line 2: unexpected EOF while looking for matching `)'"), and
then ends with 2. So there are backticks only after a script's first trap and in its functions; of the files that scripts
source, after the mark.

usage: signal_traps_test.py     (a ctest; needs nothing but Python's standard library)
"""

import pathlib
import re
import unittest

LAUNCH = pathlib.Path(__file__).resolve().parents[2] / "launch"
MARK = re.compile(r"^# ---- under traps", re.M)
TRAP = re.compile(r"^\s*trap (?!'' )(?!- )(?!.* EXIT$)", re.M)
FUNCTION = re.compile(r"^\w+\(\) \{.*?(?:\}$|^\}$)", re.M | re.S)
PARENTHESES = re.compile(r"\$\((?!\()|[<>]\(")


def breaches(name, text):
    """Sentences for what a script does with parentheses once it has traps for signals."""
    start = MARK.search(text) or TRAP.search(text)
    if not start:
        return []
    number_at = lambda place: text.count("\n", 0, place)
    lines = text.splitlines()
    judged = set(range(number_at(start.start()), len(lines)))
    if not MARK.search(text):
        for function in FUNCTION.finditer(text):
            judged.update(range(number_at(function.start()), number_at(function.end()) + 1))
    return [
        f"{name}:{number + 1}: write it with backticks, since a signal may come ahead of it: {lines[number].strip()}"
        for number in sorted(judged)
        if not lines[number].lstrip().startswith("#") and PARENTHESES.search(lines[number])
    ]


class SignalTrapsTest(unittest.TestCase):
    def test_no_launcher_substitutes_with_parentheses_under_traps(self):
        found, judged = [], []
        for path in sorted([*LAUNCH.rglob("*.sh"), *LAUNCH.rglob("*.sbatch")]):
            text = path.read_text()
            found += breaches(path.relative_to(LAUNCH.parent), text)
            if MARK.search(text) or TRAP.search(text):
                judged.append(path.name)
        self.assertEqual(found, [], "\n" + "\n".join(found))
        for name in ("supervise.sh", "ranks.sh", "keep_worker.sh", "local.sh", "train.sbatch"):
            self.assertIn(name, judged)

    def test_planted_ones_are_found(self):
        for line in ('x=$(cat "$file")', "read -r x < <(cat f)", "run 2> >(cat)", '  [[ -n "$(f)" ]]'):
            for start in ("trap 'x=1' USR1", "trap f INT TERM", "# ---- under traps: bash"):
                self.assertEqual(len(breaches("a.sh", f"x=$(before)\n{start}\n{line}\n")), 1, line)

    def test_planted_ones_in_functions_above_the_trap_are_found(self):
        for function in ("f() { x=$(y); }", "f() {\n  local x\n  x=$(y)\n}"):
            self.assertEqual(len(breaches("a.sh", f"{function}\nx=$(y)\n  trap f USR1\n")), 1, function)

    def test_what_is_safe_is_none(self):
        for line in ("x=$((y + 1))", "x=`f`", "# not $(…)", "(exec sleep 1)"):
            self.assertEqual(breaches("a.sh", f"trap f INT\n{line}\n"), [])
        self.assertEqual(breaches("a.sh", "trap 'rm -rf x' EXIT\nx=$(f)\n"), [])
        self.assertEqual(breaches("a.sh", "x=$(f)\n"), [])


if __name__ == "__main__":
    unittest.main()
