#!/usr/bin/env bash
# Installs Debian's Chromium (as root or with sudo) and runs the tests of the live page, of the report and of traces with
# it, which skip without one.
#
#   tests/integration/live_page.sh [unittest's arguments]
#   ROUTEWRIGHT_CHROMIUM=/opt/chromium/chrome tests/integration/live_page.sh      another Chromium
set -euo pipefail
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)

if [[ -z ${ROUTEWRIGHT_CHROMIUM:-} ]] && ! command -v chromium >/dev/null; then
  sudo=()
  [[ $(id -u) == 0 ]] || sudo=(sudo)
  { "${sudo[@]}" apt-get update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } >&2
fi
(($#)) || set -- live_page_test report_test trace_test
"$root/.venv/bin/python" -m unittest -v "$@"
