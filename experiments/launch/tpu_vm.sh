#!/usr/bin/env bash
# Trains on all workers of a TPU slice that is asked for as a queued resource, and again after it was taken away.
#
#   NAME=voc ZONE=us-west4-a TYPE=v5litepod-16 RUNTIME=v2-alpha-tpuv5-lite SPOT=1 \
#     PACKAGE='yolo9000_jax[tpu] @ git+https://HOST/yolo9000_jax.git' PREPARE='sudo mount SERVER:/share /shared' \
#     WORKDIR=/shared/runs/voc tpu_vm.sh [--dry-run] voc [ARGUMENT …]
#
# It runs on your own machine, in tmux or the like, until the training is done. Then the slice is given back; KEEP=1
# keeps it. Commands and states: "gcloud compute tpus queued-resources create" and "… delete" (Google Cloud SDK
# reference), "Manage queued resources" and "Run JAX code on TPU slices" (Cloud TPU documentation).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
: "${NAME:?of the slice}" "${ZONE:?}" "${TYPE:?such as v5litepod-16}" "${RUNTIME:?such as v2-alpha-tpuv5-lite}"
: "${PACKAGE:?what pip installs on every worker}"

prepare=${PREPARE:-true} # what else every worker needs before it trains: mounts
tries=${TRIES:-3}        # how often, one time after the other, a slice may be refused, or the training on one fail
poll_s=${POLL_S:-60}

request() {
  run gcloud compute tpus queued-resources create "$NAME" --node-id="$NAME" --zone="$ZONE" \
    --accelerator-type="$TYPE" --runtime-version="$RUNTIME" ${SPOT:+--spot}
}

release() {
  run gcloud compute tpus queued-resources delete "$NAME" --zone="$ZONE" --force --quiet
}

state() { # empty: there is no such resource; "?": gcloud cannot say
  local error
  { error=$(gcloud compute tpus queued-resources describe "$NAME" --zone="$ZONE" --format='value(state.state)' \
    2>&1 >&3) && return; } 3>&1
  if [[ $error != *NOT_FOUND* ]]; then
    echo "$error" >&2
    echo "?"
  fi
}

everywhere() {
  run gcloud compute tpus tpu-vm ssh "$NAME" --zone="$ZONE" --worker=all --command="$1"
}

train_everywhere() {
  everywhere "$prepare && pip install --quiet $(printf '%q' "$PACKAGE")" &&
    everywhere "PATH=\$HOME/.local/bin:\$PATH JAX_COMPILATION_CACHE_DIR=$(
      printf '%q ' "$CACHE" "${train[@]}")"
}

if [[ -n $dry_run ]]; then
  request
  train_everywhere
  [[ -n ${KEEP:-} ]] || release
  exit
fi

refuse() { # TIMES REASON
  if (($1 >= tries)); then
    echo "$NAME: the slice was refused $1 times: $2" >&2
    exit 1
  fi
}

failed=0     # trainings on a slice that is there
refused=0    # requests that were not taken
given_up=0   # those that were taken, and came to nothing
unanswered=0 # questions, before gcloud has answered any
while true; do
  now=$(state)
  [[ $now == "?" ]] || unanswered=-1
  case $now in
    "?") # no credentials, if it never answers; else it may be the network
      if ((unanswered >= 0)); then
        unanswered=$((unanswered + 1))
        refuse "$unanswered" "see what gcloud says above"
      fi
      sleep "$poll_s"
      ;;
    "")
      if ! request; then # the old one may not be gone yet
        refused=$((refused + 1))
        refuse "$refused" "see what gcloud says above"
        sleep "$poll_s"
      fi
      ;;
    ACTIVE)
      refused=0
      given_up=0
      if train_everywhere; then
        [[ -n ${KEEP:-} ]] || release
        exit
      fi
      sleep "$poll_s" # what took the slice away may not be known at once
      now=$(state)
      if [[ $now == ACTIVE ]]; then
        failed=$((failed + 1))
        if ((failed >= tries)); then
          echo "$NAME: the training failed $failed times on a slice that is there: see what it says above" >&2
          exit 1
        fi
      elif [[ $now != "?" ]]; then
        failed=0
      fi
      ;;
    SUSPENDED) # taken away: such a request comes to nothing any more
      release
      ;;
    FAILED) # not to be had
      given_up=$((given_up + 1))
      refuse "$given_up" "gcloud compute tpus queued-resources describe $NAME --zone=$ZONE says why"
      release
      ;;
    *) # in the queue, or on its way
      refused=0
      echo "$NAME: $now"
      sleep "$poll_s"
      ;;
  esac
done
