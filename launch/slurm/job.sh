# What the batch scripts of this folder share (sourced by them, after supervise.sh and ranks.sh).

# The arguments after the script's name: $config, and the others in $arguments.
read_arguments() {
  config='' arguments=() submitted=("$@")
  while (($#)); do
    case "$1" in
      --config) (($# > 1)) || usage_error "--config needs a value"; config=$2; shift ;;
      --config=*) config=${1#*=} ;;
      *) arguments+=("$1") ;;
    esac
    shift
  done
  [[ -n $config ]] || { say "--config is missing: sbatch $me --config FILE"; exit 2; }
  use_config "$config"
}

# The dry run's --device for what this node has, if the planner knows it.
planned_device() {
  local name
  name=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) || true
  case "$name" in
    *H100*) echo --device h100 ;;
    *H200*) echo --device h200 ;;
    *A100*) echo --device a100 ;;
  esac
}

# This node's address on $ROUTEWRIGHT_INTERFACE; nothing if that is not set. Rank 0 and this script share a node.
interface_address() {
  [[ -n ${ROUTEWRIGHT_INTERFACE:-} ]] || return 0
  local line
  line=$(ip -o -4 addr show dev "$ROUTEWRIGHT_INTERFACE" 2>/dev/null | awk '{print $4; exit}') || true
  [[ -n $line ]] || fail "ROUTEWRIGHT_INTERFACE: $(hostname) has no IPv4 address on '$ROUTEWRIGHT_INTERFACE'"
  echo "${line%/*}"
}

# Runs a command on each of the trainer's nodes, whose names then come before its lines; fails if it does on one.
on_each_node() {
  srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --mpi=none --overlap \
    "${named[@]}" "$@"
}

# ---- under traps (see supervise.sh)

# One worker for each task of a step whose srun options these are; $workers is srun's pid.
start_workers() {
  local keep='root=$1; shift
    exec "$root/launch/keep_worker.sh" --log "$0/logs/worker-$SLURMD_NODENAME-$SLURM_JOB_ID.$SLURM_PROCID.log" --run "$0" "$@"'
  "${dies_with_us[@]}" srun "$@" --mpi=none --kill-on-bad-exit=0 bash -c "$keep" "$folder" "$root" \
    --config "$config" --wait "${ROUTEWRIGHT_WAIT_S:-600}" -- "${sets[@]}" </dev/null &
  workers=$!
}

# Asks the workers to leave. srun passes USR1 on; a TERM to srun itself would SIGKILL them.
end_workers() {
  [[ -n $workers ]] || return 0
  kill -USR1 "$workers" 2>/dev/null || true
  ends_within "$workers" 20 || kill -KILL -- "-$workers" 2>/dev/null || true
  wait "$workers" 2>/dev/null || true
  workers=''
}

# Queues this job again, under its own number; where that is forbidden, by the words of $ROUTEWRIGHT_SUBMIT.
queue_again() {
  trap '' TERM # a requeued job's script gets TERM at once
  scontrol requeue "$SLURM_JOB_ID" && { say "queued again: job $SLURM_JOB_ID goes on from the checkpoint"; return; }
  if [[ -n ${ROUTEWRIGHT_SUBMIT:-} ]]; then
    say "this job may not be requeued; submitting again: $ROUTEWRIGHT_SUBMIT $script …"
    # shellcheck disable=SC2086 # words
    (cd "$SLURM_SUBMIT_DIR" && $ROUTEWRIGHT_SUBMIT "$script" "${submitted[@]}") && return
  fi
  say "not queued again: submit it as before to go on from the checkpoint"
}
