#!/usr/bin/env bash
# Uses an archive of launch/package.sh where nothing else is: in a bare Debian 12 with its essential packages only, as an
# ordinary user, unpacked at another path, read-only. It trains there, is interrupted, goes on, evaluates, inspects and
# checks (package_inside.sh); package_test.py looks at the folder; and without one of its libraries all of that must fail.
#
#   tests/integration/package.sh [--no-install | --prepare] [options of launch/package.sh]
#
#   --no-install   makes no bare Debian: without one, and without root, it ends with 77, a skip
#   --prepare      makes the bare Debian and ends
#
# Needs root, for mounts and chroot. Installs mmdebstrap, and makes the bare Debian once, in build/bare_debian (a minute);
# then it takes about two minutes, and 8 GiB of disk for a program with CUDA.
set -euo pipefail
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tests=tests/integration
root=$PWD
say() { printf '\033[2m==>\033[0m %s\n' "$*"; }
fail() { echo "$tests/package.sh: $*" >&2; exit 1; }
[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,12s/^# \{0,1\}//p' "$tests/package.sh"; exit 0; }
skip() { echo "skipped: $*"; exit 77; }
[[ $(id -u) == 0 ]] || skip "needs root: it mounts a folder read-only and uses chroot"
may_install=1 only_prepares=0
while [[ ${1:-} == --prepare || ${1:-} == --no-install ]]; do
  [[ $1 == --prepare ]] && only_prepares=1
  [[ $1 == --no-install ]] && may_install=0
  shift
done
source launch/system_packages.sh

bare=$root/build/bare_debian
if [[ ! -e $bare.made ]]; then
  ((may_install)) || skip "there is no build/bare_debian: launch/test.sh makes it"
  need_packages mmdebstrap
  say "making a bare Debian 12 in build/bare_debian"
  rm -rf "$bare"
  mkdir -p build
  # The machine's own sources, where they are Debian 12's.
  sources=()
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    [[ ! -f $file ]] || ! grep -qE '^(deb |Suites:).*bookworm' "$file" || sources+=("$file")
  done
  mmdebstrap --quiet --mode=root --variant=essential bookworm "$bare" "${sources[@]}"
  echo 'trainee:x:1000:1000::/home/trainee:/bin/bash' >>"$bare/etc/passwd"
  touch "$bare.made"
fi

((!only_prepares)) || exit 0

scratch=$(mktemp -d "$root/build/package_test.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# in_the_bare FOLDER COMMAND…: as the user trainee, with FOLDER at /mnt, all but /home and /tmp read-only, and no process left.
in_the_bare() {
  local folder=$1
  shift
  # shellcheck disable=SC2016 # expanded inside
  unshare --mount --pid --fork --kill-child bash -euc '
    bare=$1 folder=$2
    shift 2
    mount --bind "$bare" "$bare"
    mount -t proc proc "$bare/proc"
    mount -t tmpfs tmpfs "$bare/dev"
    for name in null zero full random urandom tty; do touch "$bare/dev/$name"; mount --bind "/dev/$name" "$bare/dev/$name"; done
    mkdir "$bare"/dev/{pts,shm}
    mount -t devpts -o newinstance,ptmxmode=666 devpts "$bare/dev/pts"
    ln -s pts/ptmx "$bare/dev/ptmx"
    ln -s /proc/self/fd "$bare/dev/fd"
    mount -t tmpfs -o mode=1777 tmpfs "$bare/dev/shm"
    mount -t tmpfs -o mode=1777 tmpfs "$bare/tmp"
    mount -t tmpfs tmpfs "$bare/home"
    install -d -o 1000 -g 1000 "$bare/home/trainee"
    mount --bind "$folder" "$bare/mnt"
    mount -o remount,bind,ro "$bare/mnt"
    mount -o remount,bind,ro "$bare"
    exec chroot "$bare" setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs \
      env -i HOME=/home/trainee PATH=/usr/bin:/bin TERM=dumb bash -c "cd && exec \"\$@\"" bash "$@" </dev/null
  ' bash "$bare" "$folder" "$@"
}
listing() { find "$1" -printf '%P %s %T@ %m\n' | sort; }

say "packing"
launch/package.sh --level 1 --output "$scratch" "$@"
archives=("$scratch"/*.tar.zst)
say "unpacking"
mkdir "$scratch/unpacked"
tar --zstd -xf "${archives[0]}" -C "$scratch/unpacked"
rm "${archives[0]}"
folders=("$scratch"/unpacked/*)
folder=${folders[0]}


inside=$(cat "$tests/package_inside.sh")
look_at() { (cd "$tests" && ROUTEWRIGHT_PACKAGE=$1 python3 -m unittest package_test); }

say "looking at the folder"
look_at "$folder"
say "using it in the bare Debian"
listing "$folder" >"$scratch/before"
in_the_bare "$folder" bash -c "$inside" package_inside.sh /mnt
listing "$folder" | diff "$scratch/before" - || fail "the archive's folder was written"

say "without libcurl.so.4 all of it must fail, and say so"
cp -al "$folder" "$scratch/broken"
rm "$scratch/broken/lib/libcurl.so.4"
look_at "$scratch/broken" >"$scratch/log" 2>&1 && fail "package_test.py does not miss it"
grep -q "needs='libcurl.so.4'" "$scratch/log" || { cat "$scratch/log"; fail "package_test.py failed of something else"; }
in_the_bare "$scratch/broken" bash -c "$inside" package_inside.sh /mnt >"$scratch/log" 2>&1 && fail "package_inside.sh does not miss it"
grep 'libcurl.so.4: cannot open shared object' "$scratch/log" || { cat "$scratch/log"; fail "package_inside.sh failed of something else"; }
say "done: $(basename "$folder") works"
