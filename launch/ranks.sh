# Functions for the launchers that start trainer ranks under mpirun on one machine, on the hosts of a file or in a Slurm
# job (sourced after supervise.sh): check the config before anything runs, start the ranks, pass signals on, and tell
# how they ended. What they share: $config, $sets, $program, $mpirun, $resolved, $folder, $trainer, $status.

# The program and mpirun: of this checkout or archive, or what $ROUTEWRIGHT_BINARY, $ROUTEWRIGHT_MPIRUN and
# $ROUTEWRIGHT_CONTAINER name.
find_programs() {
  local container=${ROUTEWRIGHT_CONTAINER:-}
  [[ -n $container || -x $binary ]] || fail "there is no $binary; run launch/build.sh first"
  read -ra program <<<"$container"
  program+=("$binary")
  mpirun=${ROUTEWRIGHT_MPIRUN:-$root/.venv/bin/mpirun}
  ((!is_archive)) || mpirun=${ROUTEWRIGHT_MPIRUN:-$root/mpi/bin/mpirun}
  [[ -x $mpirun ]] || mpirun=$(command -v mpirun) || fail "there is no mpirun; run launch/build.sh first"
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
}

# Puts the --set options of train's arguments into $sets: what workers are told besides the config. $shows_only: train
# will say something and end.
keep_sets() {
  sets=() shows_only=0
  [[ " $* " == *" --dry-run "* || " $* " == *" --help "* ]] && shows_only=1
  while (($#)); do
    case "$1" in
      --set) sets+=(--set "${2:-}") ;;
      --set=*) sets+=("$1") ;;
    esac
    shift
  done
}

# What doctor finds wrong with the machine, which ranks $1 in all and $2 on each host are for, ends the launcher with 1
# before anything runs. After them may come --ranks-only, for hosts without workers, and words before the program, as
# those that run it on each host, where "${named[@]}" puts the host's name before its lines. ROUTEWRIGHT_DOCTOR=off
# leaves it out.
named=(bash -c 'set -o pipefail; "$@" 2>&1 | sed "s/^/${SLURMD_NODENAME:-$(hostname)}: /"' named)
check_machine() {
  local ranks=$1 ranks_per_host=$2 flags=()
  shift 2
  [[ ${1:-} != --ranks-only ]] || { flags+=("$1"); shift; }
  [[ ${ROUTEWRIGHT_DOCTOR:-on} != off ]] && ((!shows_only)) || return 0
  ROUTEWRIGHT_MPIRUN=$mpirun "$@" "${program[@]}" doctor --config "$config" "${sets[@]}" --ranks "$ranks" --ranks-per-host "$ranks_per_host" \
    --no-probe --quiet "${flags[@]}" >&2 2> >(without_mpi_banner >&2) </dev/null || fail "doctor found what would fail: mend it, or, where doctor is wrong, set ROUTEWRIGHT_DOCTOR=off"
}
# What the dry run found out: parameters, data, batch, memory and the time of a step.
show_plan() { grep '^# ' <<<"$resolved" | grep -v -e '^# Defaults' -e ': not set$' >&2 || true; }

# Puts into $address_sets what lets workers on other hosts reach the learner: unless the config names an address, any
# free port of all interfaces (the learner then writes HOSTNAME:PORT), or of the address $1.
choose_address() {
  address_sets=()
  case "$listen_address" in
    127.* | localhost:* | '[::1]:'*) address_sets=(--set "trainer.rollout_service.listen_address=${1:-0.0.0.0}:0") ;;
  esac
}

# mpirun's options and the environment for several hosts, from $ROUTEWRIGHT_INTERFACE, $ROUTEWRIGHT_HOST_LOST_S and
# $ROUTEWRIGHT_MPIRUN_OPTIONS, into $network_options.
choose_network() {
  read -ra network_options <<<"${ROUTEWRIGHT_MPIRUN_OPTIONS:-}"
  if [[ -n ${ROUTEWRIGHT_INTERFACE:-} ]]; then
    export NCCL_SOCKET_IFNAME=${NCCL_SOCKET_IFNAME:-$ROUTEWRIGHT_INTERFACE}
    network_options+=(--prtemca prte_if_include "$ROUTEWRIGHT_INTERFACE" --mca btl_tcp_if_include "$ROUTEWRIGHT_INTERFACE")
  fi
  if [[ -n ${ROUTEWRIGHT_HOST_LOST_S:-} ]]; then # the last three of these seconds are probes
    local silent_s=$((ROUTEWRIGHT_HOST_LOST_S > 4 ? ROUTEWRIGHT_HOST_LOST_S - 3 : 1))
    network_options+=(--prtemca oob_tcp_keepalive_time "$silent_s" --prtemca oob_tcp_keepalive_intvl 1
      --prtemca oob_tcp_keepalive_probes 3)
  fi
}

# What mpirun says goes to the descriptor $banner_filter.
open_banner_filter() { exec {banner_filter}> >(without_mpi_banner >&2); }

# ---- under traps (see supervise.sh)

# Bad config ends the launcher here, with 2, before anything runs. Arguments are further ones of the dry run, whose text
# is in $resolved. Also learns the run's $folder and the learner's $listen_address. A relative run.output_dir is one of
# the checkout; from an archive it is one where the caller stands, which $folder_sets and $sets then say.
folder_sets=()
check_run() {
  local status=0
  resolved=`"${program[@]}" train --config "$config" "${sets[@]}" --dry-run "$@" \
    --print run.output_dir --print run.name --print trainer.rollout_service.listen_address` || status=$?
  ((status == 0)) || exit "$status"
  # A container may say more, and end its lines as terminals do.
  local line output_dir='' name=''
  listen_address=''
  while IFS= read -r line; do
    line=${line%$'\r'}
    case "$line" in
      run.output_dir=*) output_dir=${line#*=} ;;
      run.name=*) name=${line#*=} ;;
      trainer.rollout_service.listen_address=*) listen_address=${line#*=} ;;
    esac
  done <<<"$resolved"
  [[ -n $output_dir && -n $name ]] || fail "cannot tell the run's folder from: routewright train --config $config --dry-run --print run.name"
  folder=$output_dir/$name
  if ((is_archive)) && [[ $folder != /* ]]; then
    folder_sets=(--set "run.output_dir=$caller/${folder%/*}")
    sets+=("${folder_sets[@]}")
    folder=$caller/$folder
  fi
  mkdir -p -- "$folder/logs" ||
    fail "the run's folder cannot be written: start from a folder of yours, or give --set run.output_dir=/a/folder"
}

# The learner's own record in the run's folder $1: running, finished, preempted, failed, or nothing.
learner_state() {
  local line=''
  { IFS= read -r line <"$1/learner.json"; } 2>/dev/null || true
  [[ $line =~ \"state\":\"([a-z]+)\" ]] && printf '%s' "${BASH_REMATCH[1]}"
  return 0
}

time_of() { stat -c %y "$1" 2>/dev/null || true; }
bytes_of() { stat -c %s "$1" 2>/dev/null || echo 0; }

# Has mpirun put its session's files into a $session folder of its own: in /tmp they are named after its pid alone, and
# what a killed mpirun left, or another user's or container's has there, makes the next of that pid fail. Not where the
# site has said where they go, in mpirun's options $*, the environment or a file: mpirun takes no two such settings.
session=''
choose_session() {
  local places=("${HOME:-}/.prte/mca-params.conf" "${mpirun%/bin/*}"/etc/{prte,openmpi}-mca-params.conf)
  [[ ${PRTE_MCA_prte_local_tmpdir_base:-} != "$session" ]] || unset PRTE_MCA_prte_local_tmpdir_base
  if [[ "$* `compgen -e`" == *tmpdir_base* ]] || grep -qs '^[^#]*tmpdir_base' "${places[@]}"; then return; fi
  rm -rf "$session"
  session=`mktemp -d -t routewright-mpi.XXXXXX`
  export PRTE_MCA_prte_local_tmpdir_base=$session
}

# start_ranks MPIRUN-OPTION… -- ARGUMENT-OF-TRAIN…: $trainer is mpirun's pid.
start_ranks() {
  local options=()
  while [[ $1 != -- ]]; do options+=("$1"); shift; done
  shift
  # With ULFM the ranks that survive another's death hear of it and report it; older MPIs end them all without a word.
  "$mpirun" --with-ft ulfm --version >/dev/null 2>&1 && options+=(--with-ft ulfm)
  rm -f "$folder/learner.address"
  record_time=`time_of "$folder/learner.json"`
  loss_notice=$folder/logs/lost_rank.txt
  loss_notice_bytes=`bytes_of "$loss_notice"`
  start=`cat /proc/sys/kernel/random/uuid`
  options+=(-x "ROUTEWRIGHT_START=$start")
  if [[ -n ${ROUTEWRIGHT_SUBMISSION:-} && " ${options[*]} " != *" -x ROUTEWRIGHT_SUBMISSION "* ]]; then
    options+=(-x ROUTEWRIGHT_SUBMISSION)
  fi
  choose_session "${options[@]}"
  printf '%s\n' "$banners_end" >&"$banner_filter"
  "${dies_with_us[@]}" "$mpirun" "${options[@]}" --bind-to none "${program[@]}" train --config "$config" "$@" \
    "${folder_sets[@]}" </dev/null 2>&"$banner_filter" &
  trainer=$!
}

end_ranks() {
  end_group "$trainer"
  rm -rf "$session"
}

# Whether one of these ranks reported a lost one. A rank of an earlier start, on a host that was cut off, may still be
# alive and report later: its part names another start.
is_loss_told() {
  local bytes text
  bytes=`bytes_of "$loss_notice"`
  ((bytes > loss_notice_bytes)) || return 1
  text=`tail -c "+$((loss_notice_bytes + 1))" "$loss_notice"`
  [[ $text == *"  start $start"* || $text != *'  start '* ]]
}

# How these ranks' learner says that they ended: finished, preempted, failed, lost; nothing while they run.
end_record() {
  local state=''
  [[ `time_of "$folder/learner.json"` == "$record_time" ]] || state=`learner_state "$folder"`
  # A learner that gave up ends its ranks, which report that they lost it.
  if [[ $state != failed ]] && is_loss_told; then
    echo lost
  elif [[ $state != running ]]; then
    echo "$state"
  fi
}

# Counts a signal in $interrupts; watch_ranks answers.
interrupts=0
on_signal() { interrupts=$((interrupts + 1)); }

# Waits for the ranks, whose status is then in $status. The first signal makes them save and stop, a second one ends the
# launcher. Calls `on_tick` five times a second. mpirun can wait for ever for a host that is lost: once the end is on
# record it gets $ROUTEWRIGHT_HANG_S seconds.
was_asked=0
watch_ranks() {
  local ended_at=0 ticks=0
  while kill -0 "$trainer" 2>/dev/null; do
    if ((interrupts > was_asked)); then
      was_asked=$interrupts
      if ((was_asked > 1)); then
        say "leaving at once; the last saved checkpoint stays"
        exit 1
      fi
      say "finishing this step and saving${how_to_hurry-; again to leave at once}"
      stop_ranks
    fi
    on_tick
    if ((++ticks % 5 == 0)) && [[ -n `end_record` ]]; then
      ((ended_at)) || ended_at=$SECONDS
      if ((SECONDS - ended_at >= ${ROUTEWRIGHT_HANG_S:-15})); then
        say "the end of the ranks is on record (`end_record`), but mpirun does not return: killing it"
        kill -KILL -- "-$trainer" 2>/dev/null || true
        break # bash would say of a child that it finds killed later which line started it
      fi
    fi
    sleep 0.2 || true
  done
  status=0
  wait "$trainer" 2>/dev/null || status=$?
}
# mpirun passes USR1 on; TERM would kill the ranks at once.
stop_ranks() { kill -USR1 "$trainer" 2>/dev/null || true; }

# Says how the ranks ended and returns the launcher's exit status: 0, 1, 2 or 75. mpirun can return 0 though a rank or
# a host was lost, so the learner's own record decides.
judge_ranks() {
  local record
  record=`end_record`
  case "$record" in
    finished) return 0 ;;
    preempted) return 75 ;;
    lost) say "a rank was lost: $loss_notice says which one, and from what operation it is missing; start again to go on from the last checkpoint"
      return 1 ;;
  esac
  ((status == 2)) && return 2
  ((status == 0 && shows_only)) && return 0
  if ((status == 0)) || [[ -z $record && `time_of "$folder/learner.json"` != "$record_time" ]]; then
    say "mpirun ended (status $status) before the learner did: it lost a host or a rank, as it may say above; start again to go on from the last checkpoint"
    return 1
  fi
  say "the trainer failed (status $status${record:+, $record}; its logs: $folder/logs/)"
  return 1
}
