# shellcheck shell=bash
# Read by the launchers beside it, which are called: NAME.sh [--dry-run] CONFIG [ARGUMENT …]
# They take places and sizes from variables of the environment, each named where it is used; CONFIG and the arguments
# go to `yolo9000 train`. WORKDIR is a folder that every host sees under the same path, or gs://…. With --dry-run the
# commands are printed, ready to be pasted, and none is run.

dry_run=
if [[ ${1:-} == --dry-run ]]; then
  dry_run=1
  shift
fi
if [[ $# -eq 0 || -z ${WORKDIR:-} ]]; then
  echo "usage: WORKDIR=DIR ${0##*/} [--dry-run] CONFIG [ARGUMENT …] (docs/pods.md has the other variables)" >&2
  exit 2
fi
WORKDIR=${WORKDIR%"${WORKDIR##*[!/]}"} # without slashes at its end
if [[ $WORKDIR =~ ^gs:(//?[^/]*)?$ ]]; then
  echo "${0##*/}: WORKDIR=$WORKDIR is a bucket: name a folder in it, such as gs://BUCKET/runs/voc" >&2
  exit 2
fi

# Compiled programs: beside the workdir, so that they outlive a host, and other runs of the same config find them.
CACHE=${CACHE:-$(dirname "$WORKDIR")/xla}
# What every host runs; --distributed asks the environment who the others are.
# shellcheck disable=SC2034 # used by those that read this file
train=(yolo9000 train --config "$1" --workdir "$WORKDIR" "${@:2}" --distributed)

run() {
  if [[ -n $dry_run ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}
