#!/usr/bin/env bash
# Sets up and builds as launch/build.sh does, then runs every test.
#
#   launch/test.sh [ctest options]      e.g. launch/test.sh -R tokenizer, launch/test.sh -L mpi
set -euo pipefail
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0; }
launch/build.sh --with-tests
exec ctest --test-dir build --output-on-failure --no-tests=error "$@"
