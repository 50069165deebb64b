#!/usr/bin/env bash
# Runs a training on this machine: trainer ranks under mpirun and rollout workers, with their logs in the run's folder.
#
#   launch/local.sh --config FILE [--ranks N] [--workers N] [--restarts N] [--emulator] [-- arguments of `routewright train`]
#   launch/local.sh --config configs/quickstart.yaml --emulator -- --set run.name=try2 --set trainer.steps=20
#
#   --ranks N     trainer ranks (default 2)
#   --workers N   rollout workers (default 2; 0 for algorithm: supervised)
#   --restarts N  times in a row, without a new checkpoint, that ranks which were lost are started again (default 3)
#   --emulator    also starts the config's pool emulator and sets $ROUTEWRIGHT_POOL_URL
#
# Doctor's faults end it before anything runs, with 1; ROUTEWRIGHT_DOCTOR=off in the environment leaves doctor out.
# Ctrl-C (or TERM, or USR1) once: the trainer finishes its step, saves, and everything ends; twice: everything ends
# within 5 seconds. A worker that dies is started again, with growing pauses; ranks that die are started again from the
# last checkpoint; a trainer that gives up says why and ends all. Nothing is left running.
# Exit status: 0 done, 75 stopped after a saved checkpoint (run again to go on), 2 bad usage or config, 1 failed.
set -euo pipefail
set -m
caller=$PWD
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
me=launch/local.sh
source launch/supervise.sh
source launch/ranks.sh

config='' ranks=2 workers=2 restarts=3 emulator=0
while (($#)); do
  case "$1" in
    --config | --ranks | --workers | --restarts) (($# > 1)) || usage_error "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift 2 ;;
    --emulator) emulator=1; shift ;;
    -h | --help) sed -n '2,17s/^# \{0,1\}//p' "$me"; exit 0 ;;
    --) shift; break ;;
    *) usage_error "unknown option '$1'" ;;
  esac
done
[[ -n $config ]] || usage_error "--config is missing"
use_config "$config"
[[ $ranks =~ ^[1-9][0-9]*$ ]] || usage_error "--ranks must be a number from 1, not '$ranks'"
[[ $workers =~ ^[0-9]+$ ]] || usage_error "--workers must be a number from 0, not '$workers'"
[[ $restarts =~ ^[0-9]+$ ]] || usage_error "--restarts must be a number from 0, not '$restarts'"
need_temporary_folder
forget_batch_systems
find_programs
keep_sets "$@"
check_run

if ((emulator)); then
  self=("$root/$me" --config "$config" --ranks "$ranks" --workers "$workers" --restarts "$restarts")
  status=0
  run_forwarding "$root/launch/with_pool.sh" --config "$config" --log "$folder/logs/pool.log" -- \
    "${self[@]}" -- "$@" "${folder_sets[@]}" || status=$?
  exit "$status"
fi

check_machine "$ranks" "$ranks"

# ---- the trainer
mark_children
open_banner_filter
trainer='' worker_pids=()
finish() {
  trap '' INT TERM USR1
  end_ranks
  local pid
  for pid in "${worker_pids[@]}"; do end_group "$pid" 1; done
  end_marked_processes
}
trap finish EXIT
trap on_signal INT TERM USR1

if [[ -t 1 ]]; then # mpirun hides from its ranks what it writes to
  export ROUTEWRIGHT_PROGRESS=${ROUTEWRIGHT_PROGRESS:-bar}
  COLUMNS=`tput cols 2>/dev/null` && export COLUMNS
fi
ROUTEWRIGHT_SUBMISSION=${ROUTEWRIGHT_SUBMISSION:-`cat /proc/sys/kernel/random/uuid`} # ranks that are started again go on, whatever --resume says
export ROUTEWRIGHT_SUBMISSION
start_ranks -n "$ranks" --oversubscribe -- "$@"

# ---- the workers: each has a keeper, which waits for the learner and starts the worker again when it dies
((shows_only)) || for ((i = 0; i < workers; i++)); do
  "${dies_with_us[@]}" "$root/launch/keep_worker.sh" --config "$config" --run "$folder" --log "$folder/logs/worker-$i.log" \
    -- "${sets[@]}" </dev/null &
  worker_pids+=($!)
done

# ---- watch over them
are_workers_gone=0
on_tick() {
  local i worker_status
  for i in "${!worker_pids[@]}"; do
    kill -0 "${worker_pids[i]}" 2>/dev/null && continue
    worker_status=0
    wait "${worker_pids[i]}" || worker_status=$?
    unset "worker_pids[i]"
    ((worker_status)) || continue # a keeper also ends, with 0, when the run has finished
    say "worker $i is given up (its log: $folder/logs/worker-$i.log); ${#worker_pids[@]} left"
    if ((${#worker_pids[@]} == 0 && was_asked == 0)); then
      say "no worker is left: saving and stopping"
      are_workers_gone=1
      stop_ranks
    fi
  done
}
newest_checkpoint() { compgen -G "$folder/checkpoints/step-*" | sort | tail -n 1 || true; }
# Ranks that died, as against a learner that gave up and said why.
is_accident() { [[ `end_record` == lost || (-z `end_record` && $status != 2) ]] && ((!shows_only)); }
restarted=0
while :; do
  checkpoint=`newest_checkpoint`
  watch_ranks
  outcome=0
  judge_ranks || outcome=$?
  ((outcome == 1 && !was_asked && !are_workers_gone)) && is_accident || break
  [[ `newest_checkpoint` == "$checkpoint" ]] || restarted=0
  ((restarted < restarts)) || break
  restarted=$((restarted + 1))
  say "starting the ranks again ($restarted of $restarts in a row)"
  start_ranks -n "$ranks" --oversubscribe -- "$@"
done

# ---- the end: workers were told that the run has finished; those that linger are ended
for pid in "${worker_pids[@]}"; do ((status == 0)) && ends_within "$pid" 5 || true; done
((outcome != 75 || !are_workers_gone)) || { say "start it again when that is mended: it goes on from the checkpoint"; exit 1; }
exit "$outcome"
