#!/usr/bin/env bash
# Sets up and builds as launch/build.sh does, installs what the tests need besides, and runs them, as many at once as there
# are cores. Ends with what was skipped and what would run it.
#
#   launch/test.sh [ctest options]      e.g. launch/test.sh -R tokenizer, launch/test.sh -L mpi, launch/test.sh -j 1
#
# As root (or with sudo) on Debian 12 nothing is skipped but what needs a GPU.
set -euo pipefail
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0; }
launch/build.sh --with-tests
.venv/bin/python tests/install.py
status=0
ctest --test-dir build --output-on-failure --no-tests=error --parallel "$(nproc)" --output-junit tests.xml \
  --test-output-size-passed 10000000 --test-output-size-failed 10000000 "$@" || status=$?
python3 tests/summary.py build/tests.xml
exit "$status"
