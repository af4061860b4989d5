#!/usr/bin/env bash
# Trains on TPUs of a GKE cluster as a JobSet (jobset.yaml beside this file), or with XPK=1 by XPK's command.
#
#   NAME=voc IMAGE=REGISTRY/yolo9000:1 CLAIM=shared ACCELERATOR=tpu-v5-lite-podslice TOPOLOGY=4x4 HOSTS=4 CHIPS=4 \
#     WORKDIR=/shared/runs/voc gke.sh [--dry-run] voc [ARGUMENT …]
#   NAME=voc IMAGE=REGISTRY/yolo9000:1 CLUSTER=mine TYPE=v5litepod-16 XPK=1 \
#     WORKDIR=/shared/runs/voc gke.sh [--dry-run] voc [ARGUMENT …]
#
# IMAGE has yolo9000_jax[tpu] installed. HOSTS is the number of the slice's hosts, CHIPS that of chips on each. CLAIM is a
# PersistentVolumeClaim that many pods may write, mounted at /shared; with XPK the cluster's storage does that.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
: "${NAME:?of the job}" "${IMAGE:?}"

if [[ -n ${XPK:-} ]]; then
  # "Workload Create" and "Set max-restarts for production jobs" (XPK documentation, usage/workloads.md).
  : "${CLUSTER:?}" "${TYPE:?such as v5litepod-16}"
  run xpk workload create --cluster="$CLUSTER" --workload="$NAME" --tpu-type="$TYPE" --docker-image="$IMAGE" \
    --max-restarts=50 --command="JAX_COMPILATION_CACHE_DIR=$(printf '%q ' "$CACHE" "${train[@]}")"
  exit
fi

: "${CLAIM:?}" "${ACCELERATOR:?such as tpu-v5-lite-podslice}" "${TOPOLOGY:?such as 4x4}" "${HOSTS:?}" "${CHIPS:?}"
quoted() { # as YAML and JSON write text
  local text=${1//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}
COMMAND=
for word in "${train[@]}"; do
  COMMAND+=${COMMAND:+, }$(quoted "$word")
done
CACHE=$(quoted "$CACHE")

# Fills in what stands as ${NAME} in the template.
template=$(<"$(dirname "${BASH_SOURCE[0]}")/jobset.yaml")
for variable in NAME IMAGE CLAIM ACCELERATOR TOPOLOGY HOSTS CHIPS CACHE COMMAND; do
  template=${template//"\${$variable}"/"${!variable}"}
done
if [[ -n $dry_run ]]; then
  printf '%s\n' "kubectl apply -f - <<'YAML'" "$template" YAML
else
  kubectl apply -f - <<<"$template"
fi
