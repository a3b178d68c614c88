#!/bin/bash
# The first process of the machine that a page is tried on: a node with weft freshly installed, on which the page's commands are typed.
# Everything is in namespaces of its own: with this process, which lives until its stdin ends at the latest, all of it goes.
#
#     unshare --mount --net --pid --uts --fork --kill-child sandbox.sh PROJECT STEPS NAME
#
# STEPS holds the page's commands, a file each in the order of their names. Each leaves beside it what it printed (.out) and, where the
# shell survived it, its exit status (.status). NAME is containerd's namespace, and so the control group that its containers are under.
set -eu
project=$1
steps=$2
name=$3
exec 3<&0 </dev/null

mount -t proc proc /proc

# Sockets and run-time state of the machine's own daemons are out of sight. These two are seen through before what hides them is put on.
mount -t tmpfs -o mode=755 tmpfs /mnt
mkdir -p /mnt/project /mnt/steps
mount --bind "$project" /mnt/project
mount --bind "$steps" /mnt/steps
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns /run/project /run/steps
mount --move /mnt/project /run/project
mount --move /mnt/steps /run/steps
umount /mnt

# The rest of the machine shows through; what is written stays in memory.
for directory in /etc /opt /usr /var; do
  layer=/run/layers$directory
  mkdir -p "$layer/upper" "$layer/work"
  mount -t overlay -o "lowerdir=$directory,upperdir=$layer/upper,workdir=$layer/work" overlay "$directory"
done
for directory in /root /tmp /etc/cni /opt/cni /var/lib/containerd; do
  mkdir -p "$directory"
  mount -t tmpfs tmpfs "$directory"
done
# Nor is there anything of a weft that is installed on the machine; the pages remove these, and so they are no mounts.
for directory in /etc/weft /var/lib/weft /var/lib/cni; do
  [[ $(stat -f -c %T "$directory" 2>/dev/null || echo overlayfs) == overlayfs ]]
  rm -rf --one-file-system "$directory"
done

# The node: its name, and an interface with an address of the documentation's, on a cable that leads to nobody.
hostname node-1
ip link set lo up
far=/run/far-end
touch "$far"
unshare --net="$far" ip link set lo up
ip link add eth0 type veth peer name cable netns "$far"
nsenter --net="$far" ip link set cable up
ip link set eth0 up
ip address add 192.0.2.1/24 dev eth0
ip route add default via 192.0.2.254

cd /run/project
scripts/install.sh '' >/run/steps/install.out
cd /root

# One shell for all of the page. -e: a line of a script that fails ends it.
type_all() {
  local step
  for step in /run/steps/*.sh; do
    if [[ $step == *.transcript.sh ]]; then set +e; else set -e; fi
    # shellcheck disable=SC1090
    source "$step" >"${step%.sh}.out" 2>&1
    echo "$?" >"${step%.sh}.status"
  done
}
environment=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=dumb CONTAINERD_NAMESPACE="$name")
env -i "${environment[@]}" bash -c "$(declare -f type_all); type_all" 3<&- &
typing=$!
cat <&3 >/dev/null &
wait -n "$typing" "$!"
