#!/usr/bin/env bash
# A trainer pod's command: an sshd through which mpirun starts ranks here, until the pod has to go.
#
#   launch/kubernetes/rank_host.sh
#
# TERM (the pod is evicted, its node drained, the job deleted) lets nobody in any more, asks rank 0, on the job's first
# pod, to finish its step, save and stop all ranks, and waits until those of this pod have ended. The kubelet kills what
# is left after the pod's terminationGracePeriodSeconds.
# Exit status: 75 after a TERM, 1 if sshd ends by itself: never 0, so that restartPolicy: OnFailure starts it again.
set -euo pipefail
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/../.."
me=launch/kubernetes/rank_host.sh
source launch/supervise.sh

[[ ${1:-} != -h && ${1:-} != --help ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0; }
(($# == 0)) || usage_error "unknown option '$1'"

host=$(hostname)
first=${host%-*}-0
is_asked=0
trap 'is_asked=1' TERM INT
/usr/sbin/sshd -D -e -f launch/kubernetes/sshd_config &
listener=$!
say "$host: ranks may be started here"
status=0
while ((!is_asked)); do
  status=0
  wait "$listener" || status=$?
  kill -0 "$listener" 2>/dev/null || break
done
((is_asked)) || fail "sshd ended with status $status"

# The listener alone: what mpirun has started goes on.
kill -TERM "$listener" 2>/dev/null || true
if ! pgrep -x routewright >/dev/null; then
  say "this pod has to go; no rank runs here"
elif [[ $first == "$host" ]]; then
  say "this pod has to go: asking rank 0 to save and stop"
  pkill -USR1 -x routewright || true
else
  say "this pod has to go: asking rank 0, on $first, to save and stop"
  ssh "$first" pkill -USR1 -x routewright ||
    say "rank 0 cannot be asked: if nobody else stops it, the run goes on from the last checkpoint"
fi
while pgrep -x routewright >/dev/null || pgrep -x prted >/dev/null; do nap 0.5; done
say "no rank is left here"
exit 75
