#!/bin/bash
# Builds Kubernetes from Debian's source package with Debian's Go, once: what is there already is not built again.
#
#     e2e/kubernetes/build.sh            prints the directory of the programs on stdout, and what it does on stderr
#
# WEFT_KUBERNETES_DIR says where they are kept; default: ${XDG_CACHE_HOME:-~/.cache}/weft/kubernetes-VERSION. No sources of the
# machine's apt are changed: the ones for source packages are derived from them in a temporary place.
set -euo pipefail

release=bookworm
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl)

work=$(mktemp -d "${TMPDIR:-/tmp}/weft-kubernetes.XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
say() { printf '%s\n' "$*" >&2; }

# Where the machine's apt gets Debian's binary packages from, the source packages are as well. Its configuration stays in force, and so do
# proxies and mirrors.
apt_options=(-o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=/dev/null" -o "Dir::State::Lists=$work/lists"
  -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User=root" -o "Acquire::Languages=none")
use_source_packages() {
  local uri
  uri=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 'Created-By: Packages' | awk -v release="$release" '$2 == release { print $1; exit }')
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${uri:-http://deb.debian.org/debian} $release main" >"$work/sources.list"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
  apt-get "${apt_options[@]}" update -qq >&2
}

version_offered() {
  apt-cache "${apt_options[@]}" showsrc --only-source kubernetes | sed -n 's/^Version: //p' | sort -V | tail -n 1
}

# Everything that was asked for is there: the directory comes to its name by one rename, when it is complete.
is_complete() {
  local program
  for program in "${programs[@]}"; do [[ -x "$1/$program" ]] || return 1; done
}

# Kubernetes' own Makefile, as Debian's rules call it: some of the sources are generated. It takes GOFLAGS for a list of build tags unless
# that is one word, so the number of jobs is said by GOMAXPROCS: two, since a link of these programs takes more than a gigabyte.
build() {
  local version=$1 destination=$2 tree=$work/source
  say "Kubernetes $version: fetching Debian's source package"
  (cd "$work" && apt-get "${apt_options[@]}" source -qq --download-only "kubernetes=$version" && dpkg-source -x kubernetes_*.dsc source) >&2
  mkdir -p "$tree/.go/src/k8s.io" "$work/home"
  ln -s ../../.. "$tree/.go/src/k8s.io/kubernetes"
  say "Kubernetes $version: building ${programs[*]} with $(go version | cut -d' ' -f3); this takes about ten minutes"
  env -C "$tree" HOME="$work/home" GOPATH="$tree/.go" GOCACHE="$work/go-cache" CGO_ENABLED=0 GOMAXPROCS=2 \
    nice -n 19 make WHAT="${programs[*]/#/cmd/}" GOFLAGS=-mod=vendor GOLDFLAGS='-s -w' >"$work/build.log" 2>&1 ||
    { tail -n 30 "$work/build.log" >&2; say "Kubernetes $version does not build"; exit 1; }
  is_complete "$tree/_output/bin" || { say "the build of Kubernetes has not made all of: ${programs[*]}"; exit 1; }
  mkdir -p "$(dirname "$destination")"
  # Beside its place first: the temporary directory may be on another file system.
  rm -rf "$destination.new.$$"
  mkdir "$destination.new.$$"
  cp "${programs[@]/#/$tree/_output/bin/}" "$destination.new.$$"
  rm -rf "$destination"
  mv "$destination.new.$$" "$destination"
}

cache=${XDG_CACHE_HOME:-$HOME/.cache}/weft
destination=${WEFT_KUBERNETES_DIR:-}
if [[ -z "$destination" ]]; then
  # The newest that was built: without a network the test still runs.
  for found in "$cache"/kubernetes-*; do is_complete "$found" && destination=$found; done
fi
if [[ -z "$destination" ]] || ! is_complete "$destination"; then
  use_source_packages
  version=$(version_offered)
  [[ -n "$version" ]] || { say "Debian $release offers no source package kubernetes here: give programs of your own in WEFT_KUBERNETES_DIR"; exit 1; }
  destination=${destination:-$cache/kubernetes-$version}
  build "$version" "$destination"
fi
echo "$destination"
