#!/usr/bin/env bash
# Makes the policy that the quickstart starts from, in runs/quickstart_warm_start/policy: a tokenizer trained on
# demonstrations, random weights, and a supervised warm start on demonstrations that route at random. Then evaluates it
# with every call forced to the strongest model: how much of what that model knows reaches the answers.
#
#   data/quickstart/make_policy.sh
#
# Half an hour on two cores. The result is what data/quickstart/policy holds; copy it there to use a new one.
set -euo pipefail
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/../.."

launch/build.sh --with-tests # the tests' packages hold `tokenizers`
work=runs/quickstart_warm_start
policy=$work/policy
[[ ! -e $policy ]] || { echo "$0: $policy is there already; remove it to make another" >&2; exit 1; }
routewright=build/bin/routewright

if [[ ! -e $work/demonstrations.jsonl ]]; then
  .venv/bin/python data/quickstart/make_tokenizer.py --output "$work/tokenizer"
  .venv/bin/python data/quickstart/make_demonstrations.py --count 128000 --tokenizer "$work/tokenizer" \
    --output "$work/demonstrations.part"
  mv "$work/demonstrations.part" "$work/demonstrations.jsonl"
fi
[[ -e $work/random_policy ]] ||
  "$routewright" convert --random data/quickstart/policy/config.json --seed 1 --tokenizer "$work/tokenizer" \
    --to "$work/random_policy"
launch/local.sh --config configs/quickstart_warm_start.yaml --ranks 2 --workers 0 -- --resume auto
newest=$(find "$work/checkpoints" -maxdepth 1 -name 'step-*' | sort | tail -1)
"$routewright" convert --from "$newest" --format bf16 --to "$policy"
launch/with_pool.sh --config configs/quickstart.yaml -- "$routewright" eval --config configs/quickstart.yaml \
  --set "run.name=quickstart_warm_start" --set "policy.path=$policy" --policy "$policy" --output "$work/report.json"
