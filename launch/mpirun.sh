#!/usr/bin/env bash
# Runs a training's ranks over the hosts of a host file. Workers are started anywhere else, each with keep_worker.sh.
#
#   launch/mpirun.sh --config FILE --hostfile FILE [--ranks-per-host N] [-- extra arguments of `routewright train`]
#   launch/mpirun.sh --config mine/run.yaml --hostfile mine/hosts --ranks-per-host 8 -- --set run.name=try2
#   launch/keep_worker.sh --config mine/run.yaml --run runs/try2 -- --set run.name=try2       # on a worker's host
#
#   --hostfile FILE      a host a line, reached by ssh without a password; `node1 slots=8` has 8 ranks, on the first
#                        line rank 0. All see this folder and the run's at the same paths
#   --ranks-per-host N   so many on each host, whatever its slots
#
# Unless the config names trainer.rollout_service.listen_address, the learner listens on all interfaces and writes
# HOSTNAME:PORT to <run>/learner.address: workers' hosts must know the name.
# Environment (passed on to all hosts: ROUTEWRIGHT_*, NCCL_*, OMP_NUM_THREADS):
#   ROUTEWRIGHT_INTERFACE=eth0      the network interface that mpirun, MPI and NCCL use
#   ROUTEWRIGHT_HOST_LOST_S=60      a host that is silent for so long is given up; a shorter break heals (default: minutes,
#                                  and then mpirun may hang until it is killed, see below)
#   ROUTEWRIGHT_MPIRUN_OPTIONS=…    more options of mpirun, as --prtemca plm_ssh_agent my_ssh.sh
#   ROUTEWRIGHT_HANG_S=15           mpirun is killed when the learner's end is on record and it does not return for so long
#   ROUTEWRIGHT_DOCTOR=off          starts although doctor finds a fault on a host
#   ROUTEWRIGHT_BINARY, _MPIRUN     other programs than build/bin/routewright and .venv/bin/mpirun (or an archive's)
#   ROUTEWRIGHT_CONTAINER=…         words before the program, as in launch/slurm/README.md
#   ROUTEWRIGHT_SUBMISSION=NAME     of starts with the same name only the first does what --resume none or FOLDER says
# Ctrl-C (or TERM, or USR1) once: the trainer finishes its step, saves, and everything ends; twice: everything ends.
# Exit status: 0 done, 75 stopped after a saved checkpoint (run again to go on), 2 bad usage or config, 1 failed.
set -euo pipefail
set -m
caller=$PWD
CDPATH= cd "$(dirname "${BASH_SOURCE[0]}")/.."
me=launch/mpirun.sh
source launch/supervise.sh
source launch/ranks.sh

config='' hostfile='' ranks_per_host=''
while (($#)); do
  case "$1" in
    --config | --hostfile) (($# > 1)) || usage_error "$1 needs a value"; printf -v "${1#--}" %s "$2"; shift 2 ;;
    --ranks-per-host) (($# > 1)) || usage_error "$1 needs a value"; ranks_per_host=$2; shift 2 ;;
    -h | --help) sed -n '2,28s/^# \{0,1\}//p' "$me"; exit 0 ;;
    --) shift; break ;;
    *) usage_error "unknown option '$1'" ;;
  esac
done
[[ -n $config ]] || usage_error "--config is missing"
[[ -n $hostfile ]] || usage_error "--hostfile is missing"
use_config "$config"
hostfile=$(from_caller "$hostfile")
[[ -r $hostfile ]] || usage_error "--hostfile: cannot read '$hostfile'"
[[ $ranks_per_host =~ ^([1-9][0-9]*)?$ ]] || usage_error "--ranks-per-host must be a number from 1, not '$ranks_per_host'"

# Hosts and ranks as mpirun counts them: without `slots=` a host has one for each of its lines.
read -r hosts ranks most_ranks < <(awk -v each="${ranks_per_host:-0}" '
  /^[ \t]*(#|$)/ {next}
  {n = 1; if (match($0, /slots[ \t]*=[ \t]*[0-9]+/)) {n = substr($0, RSTART, RLENGTH); sub(/.*=/, "", n)}; slots[$1] += n}
  END {for (host in slots) {n = each ? each : slots[host]; ++hosts; ranks += n; if (n > most) most = n}
    print hosts + 0, ranks + 0, most + 0}' "$hostfile")
((ranks > 0)) || usage_error "--hostfile: '$hostfile' names no host"
need_temporary_folder
find_programs
keep_sets "$@"
check_run --ranks "$ranks" --ranks-per-host "$most_ranks"
choose_address
choose_network
on_hosts=(--hostfile "$hostfile" "${network_options[@]}")
for name in $(compgen -e | grep -E '^(ROUTEWRIGHT_|NCCL_|OMP_NUM_THREADS$)'); do on_hosts+=(-x "$name"); done
check_machine "$ranks" "$most_ranks" --ranks-only "$mpirun" "${on_hosts[@]}" -x "ROUTEWRIGHT_MPIRUN=$mpirun" -n "$hosts" \
  --map-by ppr:1:node --bind-to none "${named[@]}"
show_plan
options=("${on_hosts[@]}" -n "$ranks")
[[ -z $ranks_per_host ]] || options+=(--map-by "ppr:$ranks_per_host:node" --oversubscribe)

mark_children
open_banner_filter
trainer=''
finish() {
  trap '' INT TERM USR1
  end_ranks
  end_marked_processes
}
trap finish EXIT
trap on_signal INT TERM USR1
on_tick() { :; }
say "$ranks ranks on $hosts hosts; workers find the learner in $folder/learner.address"
start_ranks "${options[@]}" -- "${address_sets[@]}" "$@"
watch_ranks
outcome=0
judge_ranks || outcome=$?
exit "$outcome"
