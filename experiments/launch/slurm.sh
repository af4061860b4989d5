#!/usr/bin/env bash
# Trains on GPUs of a Slurm cluster, in as many jobs one after the other as the time limit makes it.
#
#   NODES=2 GPUS=8 CPUS=12 TIME=12:00:00 WORKDIR=/shared/runs/voc slurm.sh [--dry-run] voc [ARGUMENT …]
#
# GPUS is their number on a node, CPUS that of cores for each. One process a GPU: JAX then takes the GPU of the process's
# number on its node, so every process must see all of them, and no --gpus-per-task or --gpu-bind may hide any. Other
# options of sbatch, such as the partition, go into its variables (SBATCH_PARTITION). Options: "sbatch", "srun",
# "scancel" and "scontrol" (Slurm's manual pages); the rest: jax.distributed.initialize (JAX documentation).
set -euo pipefail

job() { # this file again, now as the job on its first node
  requeue=
  # The time is nearly over: the steps, not this shell, are told to save and end; then the job goes back to the queue.
  trap 'requeue=1; scancel --signal=TERM "$SLURM_JOB_ID"' USR1
  srun --kill-on-bad-exit=1 "${train[@]}" &
  steps=$! status=0
  wait "$steps" || status=$?
  while kill -0 "$steps" 2>/dev/null; do # a signal ends `wait`, not what it waits for
    status=0
    wait "$steps" || status=$?
  done
  if [[ -n $requeue && $status -ne 0 ]]; then
    scontrol requeue "$SLURM_JOB_ID"
  fi
  exit "$status"
}

if [[ -n ${SLURM_JOB_ID:-} && -n ${YOLO9000_LAUNCH:-} ]]; then
  source "$YOLO9000_LAUNCH/common.sh" # Slurm has put a copy of this file elsewhere
  export JAX_COMPILATION_CACHE_DIR=$CACHE
  job
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"
: "${NODES:?}" "${GPUS:?on a node}" "${CPUS:?for each GPU}" "${TIME:?such as 12:00:00}"
export WORKDIR CACHE YOLO9000_LAUNCH=$here
log=$WORKDIR.log
[[ $WORKDIR != gs://* ]] || log=$PWD/${WORKDIR##*/}.log
# --requeue: again from the start of this file after a node has failed, or a job of more weight took its place.
run sbatch --job-name="yolo9000-$1" --nodes="$NODES" --ntasks-per-node="$GPUS" --gpus-per-node="$GPUS" \
  --cpus-per-task="$CPUS" --time="$TIME" --requeue --signal=B:USR1@180 --open-mode=append \
  --output="$log" --export=ALL "$here/slurm.sh" "$@"
[[ -z $dry_run ]] || run srun --kill-on-bad-exit=1 "${train[@]}"
