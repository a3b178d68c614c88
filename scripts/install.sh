#!/bin/bash
# Installs dist/weft, the launcher dist/cni/weft and their documents under DESTDIR, or removes them. Run through
# `make install DESTDIR=…` and `make uninstall DESTDIR=…`.
#
# Files are put under a temporary name and renamed: a plugin call at this moment finds the old executable or the new one.
# Nothing is written to /etc: which tenants a node has is its administrator's to say; the examples are in the documents.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${1:-} == --uninstall ]] && { uninstall=1; shift; }
destdir=${1:-}
executable="$destdir/usr/local/bin/weft"
# Where runtimes look for plugins.
launcher=$destdir/opt/cni/bin/weft
unit=$destdir/usr/local/lib/systemd/system/weft.service
documents=$destdir/usr/share/doc/weft
# Where the shells of Debian look for completions, whatever the prefix.
completions=(bash:bash-completion/completions/weft zsh:zsh/vendor-completions/_weft fish:fish/vendor_completions.d/weft.fish)

install_file() { # mode, source, target
  install -D -m "$1" "$2" "$3.new-$$"
  mv -fT "$3.new-$$" "$3"
}

if [[ -n ${uninstall:-} ]]; then
  # Pods that are attached cannot be deleted without the launcher.
  if [[ -z $destdir && -x $executable ]]; then
    endpoints=$("$executable" endpoints -o json) || { echo "Nothing is removed: weft cannot say which containers are attached here" >&2; exit 1; }
    if [[ $endpoints == *'"containerId"'* ]]; then
      echo "Nothing is removed: containers are attached here, and without weft they cannot be deleted: weft endpoints" >&2
      exit 1
    fi
  fi
  # The launcher before what it executes.
  rm -f "$launcher" "$executable" "$unit"
  for completion in "${completions[@]}"; do rm -f "$destdir/usr/share/${completion#*:}"; done
  rm -rf "$documents"
  echo "weft is removed; its configuration in $destdir/etc and its ledger in $destdir/var/lib/weft stay"
  exit
fi

install_file 755 dist/weft "$executable"
# After weft, which it executes where no daemon listens.
install_file 755 dist/cni/weft "$launcher"
install_file 644 conf/weft.service "$unit"
install_file 644 README.md "$documents/README.md"
install_file 644 LICENSE "$documents/LICENSE"
for completion in "${completions[@]}"; do
  script=$(mktemp)
  env -u CNI_COMMAND dist/weft completion "${completion%%:*}" >"$script"
  install_file 644 "$script" "$destdir/usr/share/${completion#*:}"
  rm -f "$script"
done
while IFS= read -r document; do
  install_file 644 "$document" "$documents/$document"
done < <(find docs -type f -name '*.md' | sort)
while IFS= read -r example; do
  install_file 644 "$example" "$documents/examples/${example#conf/}"
done < <(find conf -type f ! -name '*.service' ! -name '*.test.*' | sort)
echo "weft is installed: $executable, $launcher, weft.service, $documents"
