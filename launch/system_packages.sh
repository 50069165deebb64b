# Installs system packages for the scripts of this folder (sourced by them: they have `say`, `fail`, and $may_install).

# need_packages NAME…: Debian's packages, as root or with sudo. Without leave to install it says what is missing.
need_packages() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    say "not a Debian system: expecting these to be installed: $*" >&2
    return
  fi
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  ((may_install)) || fail "missing system packages: ${missing[*]}; install them with: apt-get install ${missing[*]}"
  local sudo=()
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null ||
      fail "missing system packages and neither root nor sudo: ask for: apt-get install ${missing[*]}"
    sudo=(sudo)
  fi
  say "installing ${#missing[@]} system packages: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${sudo[@]}" apt-get update && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -5 "$log" >&2
    fail "apt-get could not install: ${missing[*]} (whole log: $log)"
  fi
  rm -f "$log"
}
