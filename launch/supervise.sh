# Functions for the launchers of this folder (sourced by them): start programs in process groups of their own, pass
# signals on once, and leave nothing behind. The sourcing script has `set -m`, so that Ctrl-C at a terminal reaches it
# alone, names itself in $me, and the folder that it was called from in $caller, and has changed to this folder's parent.

source launch/environment.sh

# A checkout, or what launch/package.sh made of one: an archive, into which nothing is written.
root=$PWD
is_archive=0
[[ ! -e $root/PACKAGE ]] || is_archive=1
binary=${ROUTEWRIGHT_BINARY:-$root/build/bin/routewright}
((!is_archive)) || binary=${ROUTEWRIGHT_BINARY:-$root/bin/routewright}

# A path as the caller meant it: in a checkout one of its own or, if there is none, one where the launcher was called
# from ($caller); in an archive the other way round.
from_caller() {
  if [[ -z $1 || $1 == /* ]]; then
    echo "$1"
  elif ((is_archive)); then
    if [[ ! -e $caller/$1 && -e $root/$1 ]]; then echo "$root/$1"; else echo "$caller/$1"; fi
  elif [[ ! -e $1 && -e $caller/$1 ]]; then
    echo "$caller/$1"
  else
    echo "$1"
  fi
}

# Takes --config's value into $config and works in the folder that the config's relative paths start from: the
# checkout's. From an archive that is where the caller stands, but for the archive's own configs, which name its data.
use_config() {
  config=$(from_caller "$1")
  if ((is_archive)) && [[ $(realpath -m "$config") != "$(realpath "$root")"/* ]]; then cd "$caller"; fi
}

# ---- under traps: bash before 5.3 may take the command of a trap for a part of the $(…) or <(…) that it comes ahead of,
# and end. Here, in the second half of ranks.sh and after a script's traps, there are backticks only.

# Runs a command and waits for it, passing INT, TERM and USR1 on to it; returns its status.
run_forwarding() {
  local pid='' status=0 early=''
  trap 'forward INT' INT # before there is a child: a signal may come between the two
  trap 'forward TERM' TERM
  trap 'forward USR1' USR1
  "${dies_with_us[@]}" "$@" </dev/null &
  pid=$!
  [[ -z $early ]] || kill "-$early" "$pid" 2>/dev/null || true
  wait_for "$pid" || status=$?
  trap - INT TERM USR1
  return "$status"
}

# For run_forwarding's traps, with its variables.
forward() {
  if [[ -n $pid ]]; then kill "-$1" "$pid" 2>/dev/null || true; else early=$1; fi
}

# Waits until a child ends, however many signals come in between; returns the child's status. Calls `while_waiting`
# now and then, if the script has one.
wait_for() {
  local status
  if declare -F while_waiting >/dev/null; then
    while kill -0 "$1" 2>/dev/null; do
      while_waiting
      nap 0.3
    done
  fi
  while :; do
    status=0
    wait "$1" 2>/dev/null || status=$?
    kill -0 "$1" 2>/dev/null || break
  done
  # A signal can end `wait` just as the child ends: ask again, bash remembers.
  ((status > 128)) && { wait "$1" 2>/dev/null && status=0 || status=$?; }
  return "$status"
}

# Waits up to $2 seconds for the process $1 to end; false if it has not.
ends_within() {
  local tenths=$(($2 * 10))
  while kill -0 "$1" 2>/dev/null; do
    ((tenths-- > 0)) || return 1
    sleep 0.1
  done
}

# Sleeps so many seconds; Slurm's step daemon signals each process of a task, and bash would say that a sleep was killed.
nap() { (trap '' INT TERM USR1; exec sleep "$1"); }

# Ends the process group that child $1 leads: TERM, then KILL after $2 seconds (default 3).
end_group() {
  [[ -n ${1:-} ]] || return 0
  { # bash would say of each job that it was terminated
    kill -TERM -- "-$1" || return 0
    ends_within "$1" "${2:-3}" || kill -KILL -- "-$1" || true
    wait "$1" || true
  } 2>/dev/null
}

# Ends every child that was started in the background, also one whose pid a signal kept from its variable.
end_jobs() {
  local pid
  for pid in `jobs -p`; do end_group "$pid"; done
}

# Every process that carries this launcher's mark in its environment, whatever its group: mpirun's ranks have groups of
# their own. `mark_children` sets the mark.
mark_children() { export ROUTEWRIGHT_LAUNCH_MARK="$$.`cat /proc/sys/kernel/random/uuid`"; }
end_marked_processes() {
  local file
  for file in /proc/[0-9]*/environ; do
    if grep -qzxF "ROUTEWRIGHT_LAUNCH_MARK=$ROUTEWRIGHT_LAUNCH_MARK" "$file" 2>/dev/null; then
      file=${file#/proc/}
      kill -KILL "${file%/environ}" 2>/dev/null || true
    fi
  done
}

# Passes standard input on, line by line, without mpirun's banners: blocks between two lines of dashes in which mpirun
# says that a process returned a status that is not zero, as one that was asked to stop does. What else it says stays.
banners_end=$'\x01 no banner goes on after this'
without_mpi_banner() {
  local line dashes='^-----------------------------------*$' block='' inside=0 is_banner=0
  trap '' INT TERM USR1
  while IFS= read -r line || [[ -n $line ]]; do
    if [[ $line == "$banners_end" ]]; then # of the mpirun before
      printf '%s' "$block"
      block='' inside=0 is_banner=0
      continue
    fi
    if ((!inside)) && [[ ! $line =~ $dashes ]]; then
      printf '%s\n' "$line"
      continue
    fi
    block+=$line$'\n'
    [[ $line =~ 'exited with non-zero status'|'terminated normally' ]] && is_banner=1
    if ((inside)) && [[ $line =~ $dashes ]]; then
      ((is_banner)) || printf '%s' "$block"
      block='' inside=0 is_banner=0
    else
      inside=1
    fi
  done
  printf '%s' "$block"
}

say() { printf '%s: %s\n' "$me" "$*" >&2; }
fail() { say "$*"; exit 1; }
usage_error() { say "$* (see --help)"; exit 2; }

# A child that is told to end (TERM) when its launcher dies without a word.
dies_with_us=()
if setpriv --pdeathsig TERM true 2>/dev/null; then dies_with_us=(setpriv --pdeathsig TERM); fi
