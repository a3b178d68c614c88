#!/bin/sh
# The first process of a private node: gives itself the directories of a freshly installed machine, says so, and lives
# until its stdin ends. Everything here is in a mount and a process namespace of its own: with this process, all
# others of the node and all its mounts go.
#
#     unshare --mount --pid --fork --kill-child private-node.sh /path/of/weft /path/of/the/launcher
set -eu
weft=$1
launcher=$2
exec 3<&0

# Still the machine's /proc: the process id that the test knows this process by.
read -r pid _ </proc/self/stat
mount -t proc proc /proc

# Sockets and run-time state of the machine's own daemons, systemd's among them, are out of sight.
mount -t tmpfs -o mode=755 tmpfs /run

# The rest of the machine shows through; what is written stays in memory.
for directory in /etc /opt /usr/local /var/lib; do
  layer=/run/layers$directory
  mkdir -p "$layer/upper" "$layer/work"
  mount -t overlay -o "lowerdir=$directory,upperdir=$layer/upper,workdir=$layer/work" overlay "$directory"
done

# Nothing of the machine's own container runtimes or of a weft that is installed on it shows through.
for directory in /etc/cni /etc/containerd /etc/containers /etc/weft /opt/cni /var/lib/cni /var/lib/containerd /var/lib/containers /var/lib/weft; do
  mkdir -p "$directory"
  mount -t tmpfs tmpfs "$directory"
done
mkdir /etc/cni/net.d /opt/cni/bin
ln -sf "$weft" /usr/local/bin/weft
ln -s "$launcher" /opt/cni/bin/weft

# What containers see: one static program under a few names. The same directory serves them all.
mkdir -p /run/rootfs/bin
cp /bin/busybox /run/rootfs/bin/busybox
for applet in ip ping sh sleep; do ln -s busybox "/run/rootfs/bin/$applet"; done

echo "ready $pid"
# A shell that waits reaps whatever is orphaned, as the first process must.
cat <&3 >/dev/null &
wait $!
