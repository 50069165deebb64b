#!/usr/bin/env bash
# The launcher pod's command: waits until all trainer pods can be reached by ssh, ends what an earlier launcher has left on
# them, runs the ranks with launch/mpirun.sh, and runs them again when they were stopped because a trainer pod had to go.
#
#   launch/kubernetes/launcher.sh --config FILE --hostfile FILE [arguments of launch/mpirun.sh]
#   launch/kubernetes/launcher.sh --config configs/quickstart.yaml --hostfile /etc/mpi/hostfile
#
# Environment: ROUTEWRIGHT_HOSTS_S=1800 how long a trainer pod may be away; ROUTEWRIGHT_LEFT_S=300 how long ranks that were
# left may take to save; the variables of launch/mpirun.sh.
# TERM (the launcher pod is evicted or deleted): the step is finished and saved, status 75, and the Job that owns the pod
# starts another, which goes on.
# Exit status: as of launch/mpirun.sh; 1 also if a trainer pod stays away.
set -euo pipefail
set -m
caller=$PWD
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/../.."
me=launch/kubernetes/launcher.sh
source launch/supervise.sh
source launch/ranks.sh

config='' hostfile='' previous=''
for argument in "$@"; do
  [[ $argument == -h || $argument == --help ]] && { sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0; }
  [[ $previous == --config || $previous == --hostfile ]] && printf -v "${previous#--}" %s "$(from_caller "$argument")"
  [[ $argument != -- ]] || break
  previous=$argument
done
[[ -n $config ]] || usage_error "--config is missing"
[[ -n $hostfile ]] || usage_error "--hostfile is missing"
[[ -r $hostfile ]] || usage_error "--hostfile: cannot read '$hostfile'"
find_programs
keep_sets "$@"
hosts=$(awk '!/^[ \t]*(#|$)/ && !seen[$1]++ {print $1}' "$hostfile")

ranks='' is_asked=0
on_asked() {
  is_asked=1
  [[ -z $ranks ]] || kill -TERM "$ranks" 2>/dev/null || true
}
trap on_asked TERM INT USR1 # as process 1 it would not even notice them
trap 'end_group "$ranks"' EXIT
check_run # a bad config waits for nobody

leave_if_asked() { ((!is_asked)) || { say "asked to leave before the ranks were started"; exit 1; }; }

wait_for_hosts() {
  local host until=$((SECONDS + ${ROUTEWRIGHT_HOSTS_S:-1800})) is_told=0
  for host in $hosts; do
    until ssh "$host" true </dev/null 2>/dev/null; do
      leave_if_asked
      ((SECONDS < until)) || fail "$host cannot be reached by ssh: is its pod running? (kubectl get pods; ROUTEWRIGHT_HOSTS_S)"
      ((is_told++)) || say "waiting for $host"
      nap 1
    done
  done
}

# A launcher whose node has vanished leaves ranks that go on without it: two learners of one run must not be. They save
# when they are asked, but do not end, since their daemons wait for their launcher.
is_something_left() { # where ssh fails (255), nothing is known
  local status=0
  ssh "$1" 'pgrep -x routewright || pgrep -x prted' </dev/null >/dev/null 2>&1 || status=$?
  ((status != 1))
}
end_what_was_left() {
  local host until=$((SECONDS + ${ROUTEWRIGHT_LEFT_S:-300})) is_told=0 saved_at=''
  for host in $hosts; do
    while is_something_left "$host"; do
      leave_if_asked
      ((is_told++)) || say "$host still has ranks or a daemon of an earlier launcher: asking them to save and end"
      [[ -n $saved_at || `learner_state "$folder"` == running ]] || saved_at=$SECONDS
      if ((SECONDS >= ${saved_at:-until} + 10)); then
        ssh "$host" 'pkill -KILL -x routewright; pkill -KILL -x prted' </dev/null 2>/dev/null || true
      else
        ssh "$host" 'pkill -USR1 -x routewright' </dev/null 2>/dev/null || true
      fi
      nap 1
    done
  done
}

ROUTEWRIGHT_SUBMISSION=${ROUTEWRIGHT_SUBMISSION:-`cat /proc/sys/kernel/random/uuid`} # ranks that are run again go on
export ROUTEWRIGHT_SUBMISSION
while :; do
  wait_for_hosts
  end_what_was_left
  leave_if_asked
  launch/mpirun.sh "$@" </dev/null &
  ranks=$!
  ((!is_asked)) || kill -TERM "$ranks" # it came between the two
  status=0
  wait_for "$ranks" || status=$?
  ranks=''
  ((status == 75 && !is_asked)) || exit "$status"
  say "the ranks have saved and stopped since a trainer pod has to go: starting them again when it is back"
done
