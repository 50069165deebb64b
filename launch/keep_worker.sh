#!/usr/bin/env bash
# Keeps one rollout worker at work for a run: waits for the learner, starts the worker, which follows the learner to its
# new address when that is started again, and starts it again, with pauses of up to 60 seconds, when it fails.
#
#   launch/keep_worker.sh --config FILE [--run FOLDER] [--wait SECONDS] [--log FILE] [-- worker's arguments]
#   launch/keep_worker.sh --config configs/quickstart.yaml --run runs/quickstart -- --set worker.max_episodes=32
#
#   --run FOLDER     the run's folder, if not the one that the config names: the learner's address, token and record are
#                    read there, and the worker's ledger is written there, over a shared file system
#   --wait SECONDS   gives up after so long without a learner (default 600), besides worker.reconnect_timeout_s, for
#                    which a worker that lost its learner waits first
#   --log FILE       where the worker writes (default: FOLDER/logs/worker-HOST-PID.log)
#
# On a host that does not see the run's folder: routewright worker --learner HOST:PORT --token-file FILE.
# USR1, TERM or INT: the worker gives its episodes back, and this ends with 0. It also ends when the run has.
# Exit status: 0 the run is over, or asked to leave; 1 no learner in time; 2 bad usage or config.
set -euo pipefail
set -m
caller=$PWD
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
me=launch/keep_worker.sh
source launch/supervise.sh
source launch/ranks.sh

config='' run='' wait=600 log=''
while (($#)); do
  case "$1" in
    --config | --run | --wait | --log) (($# > 1)) || usage_error "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift 2 ;;
    -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$me"; exit 0 ;;
    --) shift; break ;;
    *) usage_error "unknown option '$1'" ;;
  esac
done
[[ -n $config ]] || usage_error "--config is missing"
[[ $wait =~ ^[0-9]+$ ]] || usage_error "--wait must be a number of seconds, not '$wait'"
use_config "$config"
[[ -n ${ROUTEWRIGHT_CONTAINER:-} || -r $config ]] || usage_error "--config: cannot read $config"
run=$(from_caller "$run")
[[ -z $(temporary_folder_fault) ]] || unset TMPDIR # a job's may exist on its first node only; a worker needs none
find_programs
if [[ -z $run ]]; then
  keep_sets "$@"
  check_run
  run=$folder
fi
if ((is_archive)); then log=$(from_caller "$log"); fi
# Whatever the config names: the worker shows this run's token, and what it pays is in this run's ledger.
set -- "$@" --set "run.output_dir=$(dirname "$run")" --set "run.name=$(basename "$run")"
[[ -n $log ]] || log=$run/logs/worker-$(hostname)-$$.log
id=$(basename "$log" .log) # a worker that is started again bears its name, so that the learner gives its leases out again at once
[[ $id == *"$(hostname)"* ]] || id=$(hostname):$id
me="$me ${log##*/}"
mkdir -p "$(dirname "$log")"

worker='' is_asked=0
trap 'is_asked=1' USR1 TERM INT
trap 'trap "" USR1 TERM INT; end_group "$worker" 2' EXIT

address_now() {
  local line=''
  { IFS= read -r line <"$run/learner.address"; } 2>/dev/null || true
  printf '%s' "$line"
}
# Launchers remove the address of a learner before they start the next; the record says whether this one still runs.
is_learner_up() { [[ -n `address_now` && `learner_state "$run"` == running ]]; }
# A record of before may be of a run that is about to go on: its next learner has 60 s to come.
first_record=`time_of "$run/learner.json"`
is_run_over() {
  [[ `learner_state "$run"` =~ ^(finished|failed)$ ]] &&
    [[ `time_of "$run/learner.json"` != "$first_record" || ($SECONDS -ge $((wait < 60 ? wait : 60)) && -n `address_now`) ]]
}
has_served() { tail -c "+$((log_bytes + 1))" "$log" | grep -q 'registered run='; }

# Waits so many seconds, less when asked to leave or when the learner is another or none.
pause() {
  local until=$((SECONDS + $1))
  while ((SECONDS < until && !is_asked)) && is_learner_up && [[ `address_now` == "$address" ]]; do nap 0.5; done
}

# Runs the worker to its end; its status is then in $status.
work() {
  local ticks=0
  log_bytes=`bytes_of "$log"`
  "${dies_with_us[@]}" "${program[@]}" worker --config "$config" --id "$id" "$@" </dev/null >>"$log" 2>&1 &
  worker=$!
  while kill -0 "$worker" 2>/dev/null; do
    # The learner tells its workers when it ends; 5 s more are for one that did not hear.
    if [[ `learner_state "$run"` =~ ^(finished|failed|preempted)$ ]]; then ticks=$((ticks + 1)); else ticks=0; fi
    if ((is_asked || ticks > 10)); then
      kill -USR1 "$worker" 2>/dev/null || true # asks, as often as it is sent
      ends_within "$worker" 10 || kill -KILL -- "-$worker" 2>/dev/null || true
    fi
    nap 0.5
  done
  status=0
  wait "$worker" 2>/dev/null || status=$?
  worker=''
}

backoff=1
without_since=$SECONDS
has_said=0
while ((!is_asked)); do
  is_run_over && { say "the run is over (`learner_state "$run"`)"; exit 0; }
  if ! is_learner_up; then
    ((SECONDS - without_since < wait)) || fail "no learner for $wait s: nothing listens for $run (learner.address, learner.json). Is it the run's folder, on a file system that this host sees, and is its training running?"
    ((has_said || SECONDS - without_since < 5)) ||
      { has_said=1; say "waiting up to $wait s for the learner of $run (learner.address)"; }
    nap 0.5
    continue
  fi
  has_said=0
  address=`address_now`
  say "working for the learner at $address (log: $log)"
  started=$SECONDS
  work "$@"
  address=`address_now` # it may have followed the learner
  ((is_asked)) && break
  ((status == 2)) && { tail -n 2 "$log" >&2; exit 2; }
  if ((status == 0)); then # the learner told it to go; its record follows
    without_since=$SECONDS
    pause 15
    continue
  fi
  if has_served; then without_since=$SECONDS; fi
  ((SECONDS - without_since < wait)) || fail "the worker reached no learner for $wait s; it said: `tail -n 1 "$log"`"
  again="in $backoff s"
  ((SECONDS - started < 10)) || backoff=0 again="at once"
  say "the worker ended with status $status; again $again. It said: `tail -n 1 "$log"`"
  pause "$backoff"
  backoff=$((backoff < 30 ? (backoff ? backoff * 2 : 1) : 60))
done
say "asked to leave"
