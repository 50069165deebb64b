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
source launch/ranks.sh

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
find_programs
keep_sets "$@"
check_run

if ((emulator)); then
  self=("$me" --config "$config" --ranks "$ranks" --workers "$workers")
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
trap on_signal INT TERM USR1

if [[ -t 1 ]]; then # mpirun hides from its ranks what it writes to
  export SWITCHYARD_PROGRESS=bar
  COLUMNS=$(tput cols 2>/dev/null) && export COLUMNS
fi
start_ranks -n "$ranks" --oversubscribe -- "$@"

# ---- the workers, once the learner listens
while ((workers > 0 && interrupts == 0)) && kill -0 "$trainer" 2>/dev/null && [[ ! -s $folder/learner.address ]]; do
  sleep 0.1 || true
done
if ((workers > 0 && interrupts == 0)) && [[ -s $folder/learner.address ]]; then
  for ((i = 0; i < workers; i++)); do
    "${dies_with_us[@]}" "${program[@]}" worker --config "$config" "${sets[@]}" --learner "$(<"$folder/learner.address")" \
      </dev/null >>"$folder/logs/worker-$i.log" 2>&1 &
    worker_pids+=($!)
  done
fi

# ---- watch over them
are_workers_gone=0
on_tick() {
  local i worker_status
  for i in "${!worker_pids[@]}"; do
    kill -0 "${worker_pids[i]}" 2>/dev/null && continue
    worker_status=0
    wait "${worker_pids[i]}" || worker_status=$?
    unset "worker_pids[i]"
    ((worker_status)) || continue # a worker also ends, with 0, when the learner tells it that the run has finished
    say "worker $i ended with status $worker_status (its log: $folder/logs/worker-$i.log); ${#worker_pids[@]} left"
    if ((${#worker_pids[@]} == 0 && was_asked == 0)); then
      say "no worker is left: saving and stopping. The last one said:"
      tail -n 2 "$folder/logs/worker-$i.log" >&2
      are_workers_gone=1
      stop_ranks
    fi
  done
}
watch_ranks

# ---- the end: workers were told that the run has finished; those that linger are ended
for pid in "${worker_pids[@]}"; do ((status == 0)) && ends_within "$pid" 5 || true; done
outcome=0
judge_ranks || outcome=$?
((outcome != 75 || !are_workers_gone)) || { say "start it again when that is mended: it goes on from the checkpoint"; exit 1; }
exit "$outcome"
