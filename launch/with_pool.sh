#!/usr/bin/env bash
# Starts a pool on this machine, runs a command against it, and ends the pool.
#
#   launch/with_pool.sh --config FILE [--log FILE] -- COMMAND…             the pool emulator of a config
#   launch/with_pool.sh --gguf FILE --name NAME [--log FILE] -- COMMAND…   a real model, by llama.cpp's server
#   launch/with_pool.sh --config configs/quickstart.yaml -- build/bin/routewright ask --config configs/quickstart.yaml \
#     --policy data/quickstart/policy "What is the capital of Peru?"
#
# The command finds the pool's address in $ROUTEWRIGHT_POOL_URL ("http://127.0.0.1:41234"), which configs use as
# base_url: "${ROUTEWRIGHT_POOL_URL}/v1". Returns the command's exit status; passes INT, TERM and USR1 on to it. An
# emulator that dies meanwhile is started again at the same address. The command runs in the repository's root; from an
# archive where you stand, or for one of the archive's own configs in its folder.
set -euo pipefail
set -m
caller=$PWD
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
me=launch/with_pool.sh
source launch/supervise.sh

config='' gguf='' name='' log=''
while (($#)); do
  case "$1" in
    --config | --gguf | --name | --log) (($# > 1)) || usage_error "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift 2 ;;
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "$me"; exit 0 ;;
    --) shift; break ;;
    *) usage_error "unknown option '$1'" ;;
  esac
done
[[ -n $config || -n $gguf ]] || usage_error "--config or --gguf is missing"
[[ -z $config || -z $gguf ]] || usage_error "--config and --gguf name two pools; give one"
[[ -z $gguf || -n $name ]] || usage_error "--name is missing: what the model of --gguf is called"
if ((is_archive)); then
  [[ -z $gguf ]] || fail "--gguf needs llama.cpp's server, which an archive is without: use a checkout"
  log=$(from_caller "$log")
fi
gguf=$(from_caller "$gguf")
[[ -z $config ]] || use_config "$config"
(($#)) || usage_error "the command is missing"

need_temporary_folder
scratch=$(mktemp -d)
[[ -n $log ]] || log=$scratch/pool.log
mkdir -p "$(dirname "$log")"
pool=''
finish() {
  trap '' INT TERM USR1
  end_jobs
  rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 1' INT TERM

program=("$binary" pool --config "$config")
start_pool() { # start_pool PORT
  "${dies_with_us[@]}" "${program[@]}" --port "$1" </dev/null >"$scratch/address" 2>>"$log" &
  pool=$! pool_started=$SECONDS
}
: >"$log"
if [[ -n $gguf ]]; then
  "${dies_with_us[@]}" .venv/bin/python launch/llama_server.py --gguf "$gguf" --name "$name" </dev/null \
    >"$scratch/address" 2>"$log" &
  pool=$!
else
  start_pool 0
fi
for ((i = 0; i < 300; i++)); do
  url=`grep -aoEm1 'http://[^ ]+:[0-9]+' "$scratch/address" 2>/dev/null || true`
  [[ -z $url ]] || break
  kill -0 "$pool" 2>/dev/null || { cat "$log" >&2; fail "the pool did not start"; }
  sleep 0.1
done
[[ -n $url ]] || fail "the pool said no address within 30 s (its log: $log)"
export ROUTEWRIGHT_POOL_URL=$url

while_waiting() {
  [[ -z $gguf ]] && ! kill -0 "$pool" 2>/dev/null || return 0
  say "the pool died: starting it again at $url (its log: $log)"
  ((SECONDS - pool_started >= 10)) || nap 1
  start_pool "${url##*:}"
}
status=0
run_forwarding "$@" || status=$?
kill -0 "$pool" 2>/dev/null || say "the pool ended before the command did (its log: $log)"
exit "$status"
