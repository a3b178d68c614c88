#!/bin/sh
# Prepares a private node for a kubelet, in the node's own mount namespace: what a kubelet would write on the machine, it writes here.
#
#     kubelet-node.sh CGROUP          CGROUP: the name of the control group that everything of the node goes below
set -eu
cgroup=$1

# Logs of pods, and the volumes of pods, whose mounts the kubelet looks for.
mount -t tmpfs tmpfs /var/log
mkdir -p /var/lib/kubelet
mount -t tmpfs tmpfs /var/lib/kubelet

# A kubelet sets these for the whole machine. It finds files of its own in their place, with the values that it wants.
mask() {
  mkdir -p "/run/sysctl/$(dirname "$1")"
  echo "$2" >"/run/sysctl/$1"
  mount --bind "/run/sysctl/$1" "/proc/sys/$1"
}
mask vm/overcommit_memory 1
mask vm/panic_on_oom 0
mask kernel/panic 10
mask kernel/panic_on_oops 1
mask kernel/keys/root_maxkeys 1000000
mask kernel/keys/root_maxbytes 25000000

# Where both versions of control groups are mounted, runc makes groups of version 2 as well, which this kubelet does not know and so
# does not remove. Out of its sight it does not.
if [ -e /sys/fs/cgroup/unified/cgroup.procs ]; then umount /sys/fs/cgroup/unified; fi

# The root of the kubelet's control groups, in each hierarchy of version 1 or in the one of version 2.
hierarchies=/sys/fs/cgroup
[ -e /sys/fs/cgroup/cgroup.procs ] || hierarchies='/sys/fs/cgroup/*'
for hierarchy in $hierarchies; do
  [ -e "$hierarchy/cgroup.procs" ] || continue
  mkdir -p "$hierarchy/$cgroup"
  # A new cpuset is empty, and no process can enter it.
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$hierarchy/$cgroup/$file" ] || [ "$hierarchy" = /sys/fs/cgroup ] || cat "$hierarchy/$file" >"$hierarchy/$cgroup/$file"
  done
done
