#!/usr/bin/env python3
"""Says what a test run came to: how many tests, how long, which took longest, and what was skipped and why, also inside of
Python's tests.

usage: summary.py build/tests.xml [--slowest N]     the file is ctest's --output-junit
"""
import argparse
import re
import sys
import xml.etree.ElementTree

# unittest's "test_x (module.Class.test_x) ... skipped 'why'", and what a script prints before it ends with 77.
PYTHON_SKIP = re.compile(r"^(\w+) \(([\w.]+)\)(?:\n[^\n]*?)? \.\.\. skipped ['\"](.*)['\"]$", re.M)
SCRIPT_SKIP = re.compile(r"^skipped: (.*)$", re.M)
GTEST_SKIP = re.compile(r"^\[  SKIPPED \] (\S+?)(?: \(\d+ ms\))?$", re.M)


def skips_of(name, case):
    """(test, reason) of whatever one ctest test left out."""
    output = case.findtext("system-out") or ""
    found = [(f"{name}: {test}", reason) for test, _, reason in PYTHON_SKIP.findall(output)]
    found += [(f"{name}: {test}", "see its output") for test in dict.fromkeys(GTEST_SKIP.findall(output))]
    if case.find("skipped") is not None:
        reasons = SCRIPT_SKIP.findall(output)
        found.append((name, reasons[0] if reasons else case.find("skipped").get("message", "no reason given")))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--slowest", type=int, default=8)
    arguments = parser.parse_args()
    suite = xml.etree.ElementTree.parse(arguments.file).getroot()
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    seconds = {name: float(case.get("time") or 0) for name, case in cases.items()}
    failed = [name for name, case in cases.items() if case.find("failure") is not None]
    skipped = [skip for name, case in cases.items() for skip in skips_of(name, case)]
    whole = sum(case.find("skipped") is not None for case in cases.values())
    slowest = sorted(seconds, key=seconds.get, reverse=True)[: arguments.slowest]
    print("\nslowest: " + ", ".join(f"{name} {seconds[name]:.0f} s" for name in slowest))
    if skipped:
        print(f"skipped ({len(skipped)}):")
        for test, reason in skipped:
            print(f"  {test}: {reason}")
    else:
        print("nothing was skipped")
    print(f"{len(cases) - len(failed) - whole} passed, {len(failed)} failed, {whole} skipped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
