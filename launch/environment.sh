# What a shell, a batch system or a container has left in the environment, and must not decide whether a launcher runs
# (sourced by supervise.sh, and by the scripts that build).

# Options and variables that change what bash and its tools do, where the caller has exported them.
set +o noclobber +o noglob +o posix +o keyword
export -n SHELLOPTS BASHOPTS 2>/dev/null || true
unset CDPATH GLOBIGNORE BASH_ENV ENV POSIXLY_CORRECT GREP_OPTIONS GREP_COLOR TMOUT
# Functions that the caller has exported, which may bear the name of a tool.
for word in $(declare -Fx); do
  [[ $word == declare || $word == -* ]] || unset -f "$word"
done

# OpenMPI does not start without a HOME, which cron, systemd and containers may leave out.
if [[ -z ${HOME:-} ]]; then
  HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6) || true
  [[ -n $HOME ]] || HOME=/
fi
export HOME

# Where mktemp and mpirun put their files. Says what is wrong, as a sentence; nothing: it can be used.
temporary_folder_fault() {
  local folder=${TMPDIR:-/tmp}
  [[ ! -d $folder || ! -w $folder || ! -x $folder ]] || return 0
  echo "TMPDIR is $folder, which is no folder that can be written: make it, name another, or unset TMPDIR"
}

# For scripts that make temporary files: ends them, by their own fail().
need_temporary_folder() {
  local fault
  fault=`temporary_folder_fault`
  [[ -z $fault ]] || fail "$fault"
}

# For ranks on this machine alone: without these variables of a batch system, or of an mpirun that started this shell,
# mpirun would take its hosts and numbers from them. Settings of OpenMPI stay: …_MCA_…, and where it was moved to. That
# this is a job, whose page is read through a tunnel, stays known too.
forget_batch_systems() {
  local name
  [[ -z ${SLURM_JOB_ID:-} ]] || export ROUTEWRIGHT_IN_JOB=1
  for name in $(compgen -e); do
    case "$name" in
      *_MCA_* | OMPI_ALLOW_* | *_PREFIX | *DIR) ;;
      SLURM_* | SLURMD_* | SRUN_* | PBS_* | LSB_* | LSF_* | FLUX_* | COBALT_* | PE_HOSTFILE | PMI_* | PMI2_* | PMIX_* | \
        PRTE_* | OMPI_* | HYDRA_* | MPIEXEC_*) unset "$name" ;;
    esac
  done
}
