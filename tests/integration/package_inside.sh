# What package.sh, beside this file, runs in a bare Debian: bash package_inside.sh ARCHIVE'S-FOLDER, in an empty home.
set -euo pipefail
archive=$1
routewright=$archive/bin/routewright
say() { printf -- '-- %s\n' "$*"; }
fail() { echo "package_inside.sh: $*"; exit 1; }
# expect STATUS COMMAND…: its output is shown if it ends with another.
expect() {
  local wanted=$1 status=0
  shift
  "$@" >"$HOME/output" 2>&1 || status=$?
  ((status == wanted)) || { tail -n 40 "$HOME/output"; fail "status $status instead of $wanted: $*"; }
}

say "the machine has nothing of ours, and the archive cannot be written"
for name in python3 curl mpirun routewright g++; do ! command -v "$name" || fail "this machine is not bare: it has $name"; done
[[ $(id -u) != 0 && ! -e /work && ! -e /usr/lib/x86_64-linux-gnu/libstdc++.so.6 ]] || fail "this machine is not bare"
! touch "$archive/written" 2>/dev/null || fail "the archive can be written"
expect 0 "$routewright" --version

say "trains from the archive's own config"
mkdir router && cd router
local=("$archive/launch/local.sh" --config configs/quickstart.yaml --ranks 2 --workers 2 --emulator --)
expect 0 "${local[@]}" --set trainer.steps=5
grep -q '"state":"finished","step":5' runs/quickstart/learner.json || fail "it did not finish: $(cat runs/quickstart/learner.json)"
[[ $(ls) == runs ]] || fail "more than runs was written: $(ls)"

say "is interrupted, and goes on"
num_steps() { grep -c step/time_s runs/second/metrics.jsonl || true; }
interrupted() {
  "${local[@]}" --set run.name=second --set trainer.steps=8 &
  local launcher=$! status=0
  for ((i = 0; i < 1200; i++)); do
    [[ ! -e runs/second/metrics.jsonl ]] || (($(num_steps) < 2)) || break
    kill -0 "$launcher" || return 1
    sleep 0.1
  done
  kill -TERM "$launcher"
  while kill -0 "$launcher" 2>/dev/null; do
    status=0
    wait "$launcher" || status=$?
  done
  return "$status"
}
expect 75 interrupted
steps=$(num_steps)
((steps < 8)) || fail "it was not interrupted"
expect 0 "${local[@]}" --set run.name=second --set trainer.steps=8
grep -q resumed "$HOME/output" || fail "it began again"
[[ $(num_steps) == 8 ]] || fail "steps are missing or were made twice"

say "works with a config and data of the user's"
cp -r "$archive"/{configs,data} .
sed -i 's,data/quickstart,data/mine,' configs/quickstart.yaml
mv data/quickstart data/mine
with_pool=("$archive/launch/with_pool.sh" --config configs/quickstart.yaml --)
expect 0 "${with_pool[@]}" "$routewright" eval --config configs/quickstart.yaml \
  --set evaluation.max_questions=20 --policy runs/second/checkpoints/step-000008/policy --output report.json --table table.txt
grep -q '^oracle' table.txt || fail "the table of eval has no oracle: $(cat table.txt)"
expect 0 "${with_pool[@]}" "$routewright" doctor --config configs/quickstart.yaml --ranks 2
grep -q 'Open MPI.*reports lost ranks' "$HOME/output" || fail "doctor did not find the archive's mpirun"
expect 0 "$routewright" inspect runs/second
expect 0 "$routewright" inspect data/mine/policy

say "quickstart.sh trains and evaluates, without building"
expect 0 "$archive/launch/quickstart.sh" --seed 2 --steps 1
[[ -s runs/quickstart-2/report.txt ]] || fail "there is no report"

say "from a folder that cannot be written it says where to stand"
expect 1 bash -c 'cd "$0" && exec launch/local.sh --config configs/quickstart.yaml --emulator' "$archive"
grep -q 'start from a folder of yours' "$HOME/output" || fail "it does not: $(cat "$HOME/output")"
