#!/bin/bash
# Installs what a make target needs and the machine lacks: packages from Debian, then the project's own from npm.
#
#     scripts/setup.sh build|demo|test|bench|e2e-kubernetes
#
# Quick when everything is there: it asks dpkg, and compares the lock file with the one that node_modules was made from.
set -euo pipefail
cd "$(dirname "$0")/.."

# The Node from npm, and so dist/weft, is linked with libatomic and libstdc++. The launcher is C, with musl
# (scripts/build-launcher.ts says why); libc6-dev is for the tests' own programs.
build=(libatomic1 libstdc++6 gcc libc6-dev musl-tools)
lab=(iproute2 nftables tcpdump iputils-ping)
case "${1:-}" in
  build) wanted=("${build[@]}") ;;
  demo)  wanted=("${build[@]}" "${lab[@]}") ;;
  test)  wanted=("${build[@]}" "${lab[@]}" python3 python3-jsonschema fish zsh containernetworking-plugins containerd runc podman busybox-static openvswitch-switch ethtool frr iperf3 jq openssl prometheus) ;;
  bench) wanted=("${build[@]}" "${lab[@]}" containernetworking-plugins openvswitch-switch ethtool iperf3) ;;
  # Kubernetes itself is built from Debian's source package, by e2e/kubernetes/build.sh.
  e2e-kubernetes) wanted=("${build[@]}" "${lab[@]}" containernetworking-plugins containerd runc busybox-static etcd-server golang-go rsync make dpkg-dev) ;;
  *)     echo "usage: $0 build|demo|test|bench|e2e-kubernetes" >&2; exit 2 ;;
esac

# Tests start what they need themselves, in places of their own. A system-wide Open vSwitch or containerd that an installation
# started would be a service that nobody asked for. The machine's own policy, where it has one, stands (policy-rc.d(8)).
policy=/usr/sbin/policy-rc.d
keep_services_stopped() {
  [[ ! -e "$policy" && ! -L "$policy" ]] || return 0
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

install_debian_packages() {
  local missing=() package
  for package in "${wanted[@]}"; do
    # `dpkg -s` succeeds for a removed package whose configuration files are left; the abbreviated state tells them apart.
    [[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" == ii* ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  if [[ $(id -u) -ne 0 ]]; then
    echo "Cannot install ${missing[*]} as an ordinary user: run this as root, or: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  echo "Installing from Debian: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  keep_services_stopped
  apt-get install -y -qq --no-install-recommends "${missing[@]}" </dev/null
}

install_npm_packages() {
  local lock stamp=node_modules/.weft-lock
  lock=$(sha256sum package.json package-lock.json | sha256sum)
  [[ "$(cat "$stamp" 2>/dev/null)" == "$lock" ]] && return 0
  command -v npm >/dev/null || { echo 'Cannot install the npm packages without npm: apt-get install npm' >&2; exit 1; }
  echo 'Installing from npm'
  # No package's install script is needed: esbuild and koffi ship their binaries as packages of their own.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
  echo "$lock" >"$stamp"
}

if command -v dpkg-query >/dev/null; then
  install_debian_packages
else
  echo "This is no Debian: make sure that you have what these Debian packages hold: ${wanted[*]}" >&2
fi
install_npm_packages
