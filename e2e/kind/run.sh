#!/bin/bash
# weft on a cluster of two nodes by kind: builds the image, loads it, installs by conf/kubernetes, asks pods of two tenants with equal
# addresses who reaches whom, upgrades under traffic, uninstalls.
#
#     e2e/kind/run.sh          KEEP=1 leaves the cluster, and says how to look at it
#
# Exit status: 0 when all is as it should be, 1 when something is not, 77 where Docker, kind or kubectl is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly missing_status=77
readonly cluster=weft-e2e-$$
readonly image=weft:e2e-kind
here=e2e/kind
failures=0

missing() {
  echo "e2e/kind cannot run here: $1. Nothing was tried; that is exit status $missing_status." >&2
  exit "$missing_status"
}

for tool in docker kind kubectl; do
  command -v "$tool" >/dev/null || missing "there is no $tool"
done
timeout 20 docker info >/dev/null 2>&1 || missing "no Docker engine answers (docker info)"

work=$(mktemp -d)
export KUBECONFIG=$work/kubeconfig
clean_up() {
  if [[ -n ${KEEP:-} ]]; then
    echo "Kept: export KUBECONFIG=$KUBECONFIG; in the end: kind delete cluster --name $cluster; rm -r $work"
    return
  fi
  kind delete cluster --name "$cluster" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

step() { printf '\n== %s\n' "$*"; }

expect() { # what, wanted, found
  if [[ $3 == "$2" ]]; then
    echo "ok: $1"
  else
    echo "FAILED: $1: wanted '$2', found '$3'"
    failures=$((failures + 1))
  fi
}

# What a pod is told on port 7000 of an address; nothing where nobody answers in three seconds.
ask() { # namespace, pod, address
  # The address is for the shell in the pod.
  # shellcheck disable=SC2016
  kubectl -n "$1" exec "$2" -- timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/7000" && cat <&3' "$3" 2>/dev/null || true
}

address_of() { kubectl -n "$1" get pod "$2" -o jsonpath='{.status.podIP}'; }

start_pod() { # namespace, pod, node
  sed -e "s|@NAMESPACE@|$1|g; s|@POD@|$2|g; s|@NODE@|$3|g; s|@IMAGE@|$image|g" "$here/pod.yaml.in" | kubectl apply -f -
}

step 'Image'
docker build --build-arg VERSION=e2e-kind --tag "$image" .

step 'Cluster'
kind create cluster --name "$cluster" --config "$here/kind.yaml" --kubeconfig "$KUBECONFIG"
kind load docker-image "$image" --name "$cluster"
nodes=("$cluster-control-plane" "$cluster-worker")
peers=$(kubectl get nodes -o jsonpath='{range .items[*]}{.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}' | paste -sd, -)

step 'Install'
cp -r conf/kubernetes "$work/kubernetes"
install=$work/kubernetes/install
rm "$install"/config/*.yaml
sed -i '/config\/node-.*\.yaml$/d' "$install/kustomization.yaml"
for index in "${!nodes[@]}"; do
  node=${nodes[index]}
  sed -e "s|@NAME@|$node|g; s|@NUMBER@|$((index + 1))|g; s|@PEERS@|$peers|g" "$here/node.yaml.in" >"$install/config/$node.yaml"
  echo "      - config/$node.yaml" >>"$install/kustomization.yaml"
done
sed -i "s|newTag: .*|newTag: ${image#*:}|" "$install/kustomization.yaml"
kubectl apply -k "$install"
kubectl -n weft-system rollout status daemonset/weft --timeout=180s
kubectl wait --for=condition=Ready node --all --timeout=120s

step 'Pods of two tenants with equal addresses, on both nodes'
for namespace in blue green; do
  kubectl create namespace "$namespace"
  for index in 0 1; do start_pod "$namespace" "on-$((index + 1))" "${nodes[index]}"; done
done
for namespace in blue green; do kubectl -n "$namespace" wait --for=condition=Ready pod --all --timeout=120s; done
expect 'both tenants have the same addresses' "$(address_of blue on-1) $(address_of blue on-2)" "$(address_of green on-1) $(address_of green on-2)"
for namespace in blue green; do
  expect "$namespace reaches its own on the other node" "$namespace/on-2" "$(ask "$namespace" on-1 "$(address_of "$namespace" on-2)")"
  expect "$namespace reaches its own, the other way" "$namespace/on-1" "$(ask "$namespace" on-2 "$(address_of "$namespace" on-1)")"
done
kubectl -n green delete pod on-2 --wait=true
expect 'blue still reaches its own when the other tenant has nobody there' blue/on-2 "$(ask blue on-1 "$(address_of blue on-2)")"
expect 'and green reaches nobody under that address' '' "$(ask green on-1 "$(address_of blue on-2)")"

step 'The kubelet reaches pods of a tenant with a gateway'
start_pod default probed "${nodes[1]}"
kubectl wait --for=condition=Ready pod/probed --timeout=120s
expect 'from the node' default/probed "$(docker exec "${nodes[1]}" timeout 3 bash -c "exec 3<>/dev/tcp/$(address_of default probed)/7000 && cat <&3" || true)"

step 'Upgrade under traffic'
asked=$work/asked
far=$(address_of blue on-2)
# The loop runs in the pod: each question is a connection of its own.
# shellcheck disable=SC2016
kubectl -n blue exec on-1 -- bash -c 'for i in $(seq 300); do timeout 3 bash -c "exec 3<>/dev/tcp/$0/7000 && cat <&3" || echo lost; sleep 0.1; done' "$far" >"$asked" &
traffic=$!
kubectl -n weft-system rollout restart daemonset/weft
kubectl -n weft-system rollout status daemonset/weft --timeout=180s
wait "$traffic"
expect 'every connection was answered' 300 "$(grep -c '^blue/on-2$' "$asked" || true)"

step 'Uninstall'
kubectl apply -k "$work/kubernetes/uninstall"
kubectl cordon "${nodes[@]}"
sleep 5
expect 'nothing goes while pods are there' yes "$(docker exec "${nodes[0]}" test -e /opt/cni/bin/weft && echo yes || echo no)"
kubectl delete namespace blue green --timeout=120s
kubectl delete pod probed --timeout=120s
# Whatever else the cluster has on the pods' network.
kubectl -n kube-system scale deployment coredns --replicas=0
kubectl -n local-path-storage scale deployment local-path-provisioner --replicas=0
kubectl -n weft-system rollout status daemonset/weft --timeout=400s
for node in "${nodes[@]}"; do
  expect "$node has nothing of weft" '' "$(docker exec "$node" sh -c 'ls -d /opt/cni/bin/weft /usr/local/bin/weft /etc/cni/net.d/*weft* 2>/dev/null; ip -o link | grep -o "weft-[a-z0-9]*"' || true)"
done
kubectl delete -k "$work/kubernetes/uninstall" --timeout=120s

step "$failures failed"
[[ $failures -eq 0 ]]
