#!/usr/bin/env bash
# From a fresh clone to a trained router: installs what is missing, builds, trains the tiny policy against simulated
# models on this machine, evaluates it on held-out questions and prints the table. Minutes on two cores, no GPU.
#
#   launch/quickstart.sh [--ranks N] [--workers N] [--seed N] [--steps N] [--no-install]
#
# Ctrl-C at any moment ends everything; run again, it goes on from the last checkpoint. Everything it writes is in
# runs/quickstart (with --seed N: runs/quickstart-N); from an archive, which is built already, in the folder where you stand.
set -euo pipefail
set -m
caller=$PWD
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
me=launch/quickstart.sh
source launch/supervise.sh

ranks=2 workers=2 seed='' steps='' build=()
while (($#)); do
  case "$1" in
    --ranks | --workers | --seed | --steps) (($# > 1)) || usage_error "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift 2 ;;
    --no-install) build+=("$1"); shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$me"; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
done
for name in ranks workers seed steps; do
  [[ ${!name} =~ ^[0-9]*$ ]] || usage_error "--$name must be a number, not '${!name}'"
done

config=configs/quickstart.yaml
runs=runs
((!is_archive)) || runs=$caller/runs
run=$runs/quickstart${seed:+-$seed}
sets=(--set "run.name=${run##*/}" --set "run.output_dir=$runs")
[[ -z $seed ]] || sets+=(--set "run.seed=$seed")
[[ -z $steps ]] || sets+=(--set "trainer.steps=$steps")

# One part after another; a part that is interrupted or fails ends the script with its status.
part() {
  local status=0
  run_forwarding "$@" || status=$?
  ((status == 0)) && return
  ((status == 75)) && say "stopped; the last checkpoint is in $run/checkpoints; run launch/quickstart.sh again to go on"
  exit "$status"
}

((is_archive)) || part launch/build.sh "${build[@]}"
part launch/local.sh --config "$config" --ranks "$ranks" --workers "$workers" --emulator -- "${sets[@]}" --resume auto
newest=$(find "$run/checkpoints" -maxdepth 1 -name 'step-*' | sort | tail -1)
if [[ ! -s $run/report.txt || $newest/manifest.json -nt $run/report.txt ]]; then
  say "evaluating the trained policy, the untrained one and the baselines on the held-out questions"
  part launch/with_pool.sh --config "$config" --log "$run/logs/pool.log" -- \
    "$binary" eval --config "$config" "${sets[@]}" --policy "$newest/policy" \
    --data data/quickstart/questions.held_out.jsonl --output "$run/report.json" --table "$run/report.txt"
fi
if [[ ! $run/report.html -nt $run/report.json ]]; then
  part "$binary" report "$run" >/dev/null
fi
cat "$run/report.txt"
say "curves, table and costs: open $run/report.html in a browser"
say "the trained policy is $newest/policy; every paid call is in $run/pool_ledger/, every step in $run/metrics.jsonl"
