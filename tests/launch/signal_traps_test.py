#!/usr/bin/env python3
"""Launchers that catch signals must not be ended by them: bash before 5.3 may read the command of a trap as a part of a
$(…), <(…) or >(…) that the signal comes ahead of ("trap: line 2: unexpected EOF while looking for matching `)'"), and
then ends with 2. So there are backticks only after a script's first trap, and in what it calls there.

usage: signal_traps_test.py     (a ctest; needs nothing but Python's standard library)
"""

import pathlib
import re
import unittest

LAUNCH = pathlib.Path(__file__).resolve().parents[2] / "launch"
UNDER_TRAPS = re.compile(r"^(# ---- under traps|trap (?!'' )(?!.* EXIT$))", re.M)
PARENTHESES = re.compile(r"\$\((?!\()|[<>]\(")


def breaches(name, text):
    """Sentences for what a script does with parentheses once it has traps for signals."""
    start = UNDER_TRAPS.search(text)
    if not start:
        return []
    lines = text.splitlines()
    first = text.count("\n", 0, start.start())
    return [
        f"{name}:{number + 1}: write it with backticks, since a signal may come ahead of it: {line.strip()}"
        for number, line in enumerate(lines)
        if number >= first and not line.lstrip().startswith("#") and PARENTHESES.search(line)
    ]


class SignalTrapsTest(unittest.TestCase):
    def test_no_launcher_substitutes_with_parentheses_under_traps(self):
        found, judged = [], []
        for path in sorted([*LAUNCH.rglob("*.sh"), *LAUNCH.rglob("*.sbatch")]):
            text = path.read_text()
            found += breaches(path.relative_to(LAUNCH.parent), text)
            if UNDER_TRAPS.search(text):
                judged.append(path.name)
        self.assertEqual(found, [], "\n" + "\n".join(found))
        for name in ("supervise.sh", "ranks.sh", "keep_worker.sh", "local.sh", "train.sbatch"):
            self.assertIn(name, judged)

    def test_planted_ones_are_found(self):
        for line in ('x=$(cat "$file")', "read -r x < <(cat f)", "run 2> >(cat)", '  [[ -n "$(f)" ]]'):
            for start in ("trap 'x=1' USR1", "trap f INT TERM", "# ---- under traps: bash"):
                self.assertEqual(len(breaches("a.sh", f"x=$(before)\n{start}\n{line}\n")), 1, line)

    def test_what_is_safe_is_none(self):
        for line in ("x=$((y + 1))", "x=`f`", "# not $(…)", "(exec sleep 1)"):
            self.assertEqual(breaches("a.sh", f"trap f INT\n{line}\n"), [])
        self.assertEqual(breaches("a.sh", "trap 'rm -rf x' EXIT\nx=$(f)\n"), [])
        self.assertEqual(breaches("a.sh", "x=$(f)\n"), [])


if __name__ == "__main__":
    unittest.main()
