#!/bin/bash
# Installs dist/weft, the launcher dist/cni/weft and their documents under DESTDIR. Run through `make install DESTDIR=…`.
#
# Files are put under a temporary name and renamed: a plugin call at this moment finds the old executable or the new one.
# Nothing is written to /etc: which tenants a node has is its administrator's to say; the examples are in the documents.
set -euo pipefail
cd "$(dirname "$0")/.."

destdir=${1:-}
documents=$destdir/usr/share/doc/weft

install_file() { # mode, source, target
  install -D -m "$1" "$2" "$3.new-$$"
  mv -fT "$3.new-$$" "$3"
}

install_file 755 dist/weft "$destdir/usr/local/bin/weft"
# Where runtimes look for plugins. After weft, which it executes where no daemon listens.
install_file 755 dist/cni/weft "$destdir/opt/cni/bin/weft"
install_file 644 conf/weft.service "$destdir/usr/local/lib/systemd/system/weft.service"
for document in README.md LICENSE docs/errors.md docs/daemon.md docs/metrics.md docs/ovs.md; do
  install_file 644 "$document" "$documents/$(basename "$document")"
done
for example in conf/*; do
  [[ -f $example && $example != *.service ]] && install_file 644 "$example" "$documents/examples/$(basename "$example")"
done
echo "weft is installed: $destdir/usr/local/bin/weft, $destdir/opt/cni/bin/weft, weft.service, $documents"
