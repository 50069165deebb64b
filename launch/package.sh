#!/usr/bin/env bash
# Makes an archive that runs from any folder, also from one that nobody may write, without root, this checkout, its venv
# or any package that Debian 12 does not always have: the program, the libraries it needs, OpenMPI, the launchers, the
# configs, the quickstart's data, and everybody's licences. README.md in it says how to use it.
#
#   launch/package.sh [--without-torch | --without-cuda] [--output DIR | --folder DIR] [--level N] [--no-install]
#
#   --without-torch  leaves LibTorch and NVIDIA's libraries to the machines: $ROUTEWRIGHT_TORCH, or what python3 finds
#   --without-cuda   leaves NVIDIA's libraries to them: $ROUTEWRIGHT_CUDA, or what python3 finds
#   --output DIR     writes the archive into DIR (default build)
#   --folder DIR     makes the folder DIR, which must not exist, and no archive
#   --level N        zstd's level, 1 to 19 (default 9)
#   --no-install     installs nothing: says what is missing and stops (exit 1)
#
# Builds first (launch/build.sh), unless $ROUTEWRIGHT_BINARY names a program. The same program, libraries and scripts give
# the same bytes; all times in the archive are the commit's.
set -euo pipefail
caller=$PWD
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
me=launch/package.sh

say() { printf '\033[2m==>\033[0m %s\n' "$*"; }
fail() { echo "$me: $*" >&2; exit 1; }
usage_error() { echo "$me: $* (see --help)" >&2; exit 2; }
source launch/system_packages.sh

may_install=1 with_torch=1 with_cuda=1 output='' folder='' level=9
while (($#)); do
  case "$1" in
    --without-torch) with_torch=0 with_cuda=0; shift ;;
    --without-cuda) with_cuda=0; shift ;;
    --output | --folder | --level) (($# > 1)) || usage_error "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift 2 ;;
    --no-install) may_install=0; shift ;;
    -h | --help) sed -n '2,17s/^# \{0,1\}//p' "$me"; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
done
[[ $level =~ ^(1?[1-9]|10)$ ]] || usage_error "--level must be a number from 1 to 19, not '$level'"
[[ -z $output || $output == /* ]] || output=$caller/$output
[[ -z $folder || $folder == /* ]] || folder=$caller/$folder
[[ -z $folder || -z $output ]] || usage_error "--folder and --output name two places; give one"
[[ -z $folder || ! -e $folder ]] || usage_error "--folder: '$folder' exists already: name a new one"

need_packages patchelf zstd binutils
if [[ -z ${ROUTEWRIGHT_BINARY:-} ]]; then
  build=()
  ((may_install)) || build=(--no-install)
  launch/build.sh "${build[@]}"
fi
program=${ROUTEWRIGHT_BINARY:-build/bin/routewright}
[[ -x $program ]] || fail "there is no program at $program"
version=$("$program" --version)
version=${version#routewright }
source launch/package/libraries.sh
source launch/package/contents.sh

# ---- the folder is made beside its place, and moved there when it is whole
output=${output:-build}
place=${folder:-$output/archive}
mkdir -p "$(dirname "$place")"
stage=$(mktemp -d "$(dirname "$place")/.routewright-package-XXXXXX")
trap 'rm -rf "$stage"' EXIT
name=routewright-$version-linux-$(uname -m)

find_libraries
if [[ -n $cuda_version ]]; then
  name+=-cuda$cuda_version
else
  ((with_cuda || !with_torch)) || usage_error "--without-cuda: the program was built without CUDA: there is nothing to leave out"
  name+=-cpu
fi
((with_torch)) || name+=-without-torch
((!with_torch || with_cuda)) || name+=-without-cuda
top=$stage/$name
say "copying the program and ${#libraries[@]} libraries"
mkdir -p "$top"/{bin,libexec,lib,licenses}
copy_libraries
copy_mpi
install -m 755 "$program" "$top/libexec/routewright"
install -m 755 launch/package/routewright "$top/bin/routewright"
strip --strip-unneeded "$top/libexec/routewright"
[[ ! -d $top/lib/torch ]] || strip --strip-unneeded "$top"/lib/torch/lib/*.so*
set_search_paths

mkdir -p "$top/launch" "$top/data"
cp launch/{local,mpirun,keep_worker,with_pool,quickstart,ranks,supervise,environment}.sh "$top/launch/"
cp -r launch/slurm launch/monitoring "$top/launch/"
cp -r configs "$top/"
cp -r data/quickstart data/nq_open "$top/data/"
rm -f "$top"/data/quickstart/*.{py,sh}
cp launch/package/README.md LICENSE NOTICE "$top/"
cp README.md "$top/SOURCE_README.md" # its links, and those of the pages, lead to files that are in the same places here
cp -r docs "$top/"
mkdir -p "$top/trainer" "$top/proto"
cp trainer/METRICS.md "$top/trainer/"
cp proto/config.proto "$top/proto/"
find "$top" -name __pycache__ -prune -exec rm -rf {} +
copy_licenses
write_package_file >"$top/PACKAGE"
chmod -R u=rwX,go=rX "$top"

report() { # report WHERE
  say "in it, unpacked:"
  (cd "$top" && du -shc --apparent-size libexec lib/torch lib/nvidia mpi lib data licenses 2>/dev/null) || true
  head -n 5 "$top/PACKAGE"
  say "$1"
}
if [[ -n $folder ]]; then
  report "made $folder"
  mv "$top" "$folder"
  exit 0
fi

# ---- the archive: sorted names, one time, no owner
archive=$output/$name.tar.zst
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
say "compressing"
tar --create --directory "$stage" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=gnu "$name" |
  zstd --quiet "-$level" -T0 --force -o "$stage/archive"
mv "$stage/archive" "$archive"
report "made $archive ($(du -h "$archive" | cut -f 1))"
cat <<END
Unpack it where all nodes see it, and start from a folder of your own:
  tar --zstd -xf $archive -C /shared
  /shared/$name/launch/local.sh --config configs/quickstart.yaml --emulator
END
