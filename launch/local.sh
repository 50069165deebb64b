#!/usr/bin/env bash
# Runs a training on this machine: trainer ranks under mpirun and rollout workers, with their logs in the run's folder.
#
#   launch/local.sh --config FILE [--ranks N] [--workers N] [--emulator] [-- extra arguments of `switchyard train`]
#   launch/local.sh --config configs/quickstart.yaml --emulator -- --set run.name=try2 --set trainer.steps=20
#
#   --ranks N     trainer ranks (default 2)
#   --workers N   rollout workers (default 2; 0 for algorithm: supervised)
#   --emulator    also starts the config's pool emulator and sets $SWITCHYARD_POOL_URL
#
# Ctrl-C (or TERM, or USR1) once: the trainer finishes its step, saves, and everything ends; twice: everything ends
# within 5 seconds. A worker that dies is a warning, a trainer that dies ends all. Nothing is left running.
# Exit status: 0 done, 75 stopped after a saved checkpoint (run again to go on), 2 bad usage or config, 1 failed.
set -euo pipefail
set -m
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
me=launch/local.sh
source launch/supervise.sh

config='' ranks=2 workers=2 emulator=0
while (($#)); do
  case "$1" in
    --config | --ranks | --workers) (($# > 1)) || usage_error "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift 2 ;;
    --emulator) emulator=1; shift ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --) shift; break ;;
    *) usage_error "unknown option '$1'" ;;
  esac
done
[[ -n $config ]] || usage_error "--config is missing"
config=$(from_caller "$config")
[[ $ranks =~ ^[1-9][0-9]*$ ]] || usage_error "--ranks must be a number from 1, not '$ranks'"
[[ $workers =~ ^[0-9]+$ ]] || usage_error "--workers must be a number from 0, not '$workers'"
switchyard=build/bin/switchyard
[[ -x $switchyard ]] || fail "there is no $switchyard; run launch/build.sh first"
mpirun=.venv/bin/mpirun
[[ -x $mpirun ]] || mpirun=$(command -v mpirun) || fail "there is no mpirun; run launch/build.sh first"

# What workers are told besides the config: the --set options among the trainer's arguments.
sets=()
arguments=("$@")
for ((i = 0; i < $#; i++)); do
  case "${arguments[i]}" in
    --set) sets+=(--set "${arguments[i + 1]:-}") ;;
    --set=*) sets+=("${arguments[i]}") ;;
  esac
done

# Bad config ends here, before anything runs: the resolved config also says where the run's folder is.
status=0
resolved=$("$switchyard" train --config "$config" "${sets[@]}" --dry-run) || status=$?
((status == 0)) || exit "$status"
run_setting() { # run_setting KEY: its value in the section `run:` of the resolved config
  awk -v key="$1:" '/^run:/ {inside = 1; next} /^[^ ]/ {inside = 0} inside && $1 == key {sub(/^[^:]*: */, ""); gsub(/^"|"$/, ""); print; exit}' <<<"$resolved"
}
folder=$(run_setting output_dir)/$(run_setting name)
[[ $folder != / ]] || fail "cannot tell the run's folder from: $switchyard train --config $config --dry-run"
mkdir -p "$folder/logs"

if ((emulator)); then
  self=("$0" --config "$config" --ranks "$ranks" --workers "$workers")
  status=0
  run_forwarding launch/with_pool.sh --config "$config" --log "$folder/logs/pool.log" -- "${self[@]}" -- "$@" || status=$?
  exit "$status"
fi

# ---- the trainer
mark_children
trainer='' worker_pids=()
finish() {
  trap '' INT TERM USR1
  end_group "$trainer"
  local pid
  for pid in "${worker_pids[@]}"; do end_group "$pid" 1; done
  end_marked_processes
}
trap finish EXIT
interrupts=0
on_signal() { interrupts=$((interrupts + 1)); }
trap on_signal INT TERM USR1

if [[ -t 1 ]]; then # mpirun hides from its ranks what it writes to
  export SWITCHYARD_PROGRESS=bar
  COLUMNS=$(tput cols 2>/dev/null) && export COLUMNS
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
rm -f "$folder/learner.address"
# With ULFM the ranks that survive another's death hear of it and report it; older MPIs end them all without a word.
fault_tolerance=()
"$mpirun" --with-ft ulfm --version >/dev/null 2>&1 && fault_tolerance=(--with-ft ulfm)
loss_report=$folder/logs/lost_rank.txt
loss_report_bytes=$(stat -c %s "$loss_report" 2>/dev/null || echo 0)
"${dies_with_us[@]}" "$mpirun" "${fault_tolerance[@]}" -n "$ranks" --oversubscribe --bind-to none \
  "$switchyard" train --config "$config" "$@" </dev/null 2> >(without_mpi_banner >&2) &
trainer=$!

# ---- the workers, once the learner listens
while ((workers > 0 && interrupts == 0)) && kill -0 "$trainer" 2>/dev/null && [[ ! -s $folder/learner.address ]]; do
  sleep 0.1 || true
done
if ((workers > 0 && interrupts == 0)) && [[ -s $folder/learner.address ]]; then
  for ((i = 0; i < workers; i++)); do
    "${dies_with_us[@]}" "$switchyard" worker --config "$config" "${sets[@]}" --learner "$(<"$folder/learner.address")" \
      </dev/null >>"$folder/logs/worker-$i.log" 2>&1 &
    worker_pids+=($!)
  done
fi

# ---- watch over them
was_asked=0
are_workers_gone=0
while kill -0 "$trainer" 2>/dev/null; do
  if ((interrupts > was_asked)); then
    was_asked=$interrupts
    if ((was_asked == 1)); then
      say "finishing this step and saving; again to leave at once"
      kill -USR1 "$trainer" 2>/dev/null || true   # mpirun passes USR1 on; TERM would kill the ranks at once
    else
      say "leaving at once; the last saved checkpoint stays"
      exit 1
    fi
  fi
  for i in "${!worker_pids[@]}"; do
    kill -0 "${worker_pids[i]}" 2>/dev/null && continue
    status=0
    wait "${worker_pids[i]}" || status=$?
    unset "worker_pids[i]"
    # A worker also ends, with 0, when the learner tells it that the run has finished.
    ((status == 0)) || say "worker $i ended with status $status (its log: $folder/logs/worker-$i.log); ${#worker_pids[@]} left"
    if ((status != 0 && ${#worker_pids[@]} == 0 && was_asked == 0)); then
      say "no worker is left: saving and stopping. The last one said:"
      tail -n 2 "$folder/logs/worker-$i.log" >&2
      are_workers_gone=1
      kill -USR1 "$trainer" 2>/dev/null || true
    fi
  done
  sleep 0.2 || true
done
status=0
wait "$trainer" || status=$?

# ---- the end: workers were told that the run has finished; those that linger are ended
for pid in "${worker_pids[@]}"; do ((status == 0)) && ends_within "$pid" 5 || true; done
if (($(stat -c %s "$loss_report" 2>/dev/null || echo 0) > loss_report_bytes)); then
  say "a rank was lost: $loss_report says which one, and from what operation it is missing; start again to go on from the last checkpoint"
  exit 1
fi
# mpirun can return 0 though a rank died: the learner's own record decides.
((status == 0)) && [[ " $* " != *" --dry-run "* ]] && grep -q '"state":"running"' "$folder/learner.json" 2>/dev/null && status=1
case "$status" in
  0 | 2) exit "$status" ;;
  75)
    ((are_workers_gone)) && { say "start it again when that is mended: it goes on from the checkpoint"; exit 1; }
    ((was_asked)) && exit 75
    ;;
esac
say "the trainer failed (status $status; its logs: $folder/logs/)"
exit 1
