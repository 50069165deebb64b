#!/usr/bin/env bash
# Fetches Debian's Prometheus (unpacked, not installed) and runs monitoring_test.py with it, which skips without one.
#
#   tests/integration/monitoring.sh [unittest's arguments]
#   ROUTEWRIGHT_PROMETHEUS=/opt/prometheus tests/integration/monitoring.sh      a folder with prometheus and promtool
set -euo pipefail
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../.. && pwd)

if [[ -z ${ROUTEWRIGHT_PROMETHEUS:-} ]]; then
  ROUTEWRIGHT_PROMETHEUS=$root/build/prometheus/usr/bin
  if [[ ! -x $ROUTEWRIGHT_PROMETHEUS/promtool ]]; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    (cd "$folder" && apt-get download prometheus) >&2
    dpkg -x "$folder"/prometheus_*.deb "$root/build/prometheus"
  fi
fi
export ROUTEWRIGHT_PROMETHEUS
"$root/.venv/bin/python" -m unittest -v "${@:-monitoring_test}"
