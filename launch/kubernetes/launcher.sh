#!/usr/bin/env bash
# The launcher pod's command: waits until all trainer pods can be reached by ssh, runs the ranks with launch/mpirun.sh, and
# runs them again when they were stopped because a trainer pod had to go.
#
#   launch/kubernetes/launcher.sh --config FILE --hostfile FILE [arguments of launch/mpirun.sh]
#   launch/kubernetes/launcher.sh --config configs/quickstart.yaml --hostfile /etc/mpi/hostfile
#
# Environment: SWITCHYARD_HOSTS_S=1800 how long a trainer pod may be away; the variables of launch/mpirun.sh.
# TERM (the launcher pod is evicted or deleted): the step is finished and saved, status 75, and the Job that owns the pod
# starts another, which goes on.
# Exit status: as of launch/mpirun.sh; 1 also if a trainer pod stays away.
set -euo pipefail
set -m
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
me=launch/kubernetes/launcher.sh
source launch/supervise.sh

hostfile='' previous=''
for argument in "$@"; do
  [[ $argument == -h || $argument == --help ]] && { sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 0; }
  [[ $previous == --hostfile ]] && hostfile=$(from_caller "$argument")
  [[ $argument != -- ]] || break
  previous=$argument
done
[[ -n $hostfile ]] || usage_error "--hostfile is missing"
[[ -r $hostfile ]] || usage_error "--hostfile: cannot read '$hostfile'"

ranks='' is_asked=0
on_asked() {
  is_asked=1
  [[ -z $ranks ]] || kill -TERM "$ranks" 2>/dev/null || true
}
trap on_asked TERM INT USR1 # as process 1 it would not even notice them
trap 'end_group "$ranks"' EXIT

wait_for_hosts() {
  local host until=$((SECONDS + ${SWITCHYARD_HOSTS_S:-1800})) is_told=0
  for host in $(awk '!/^[ \t]*(#|$)/ && !seen[$1]++ {print $1}' "$hostfile"); do
    until ssh "$host" true </dev/null 2>/dev/null; do
      ((!is_asked)) || { say "asked to leave before the ranks were started"; exit 1; }
      ((SECONDS < until)) || fail "$host cannot be reached by ssh: is its pod running? (kubectl get pods; SWITCHYARD_HOSTS_S)"
      ((is_told++)) || say "waiting for $host"
      nap 1
    done
  done
}

while :; do
  wait_for_hosts
  launch/mpirun.sh "$@" </dev/null &
  ranks=$!
  status=0
  wait_for "$ranks" || status=$?
  ranks=''
  ((status == 75 && !is_asked)) || exit "$status"
  say "the ranks have saved and stopped since a trainer pod has to go: starting them again when it is back"
done
