#!/bin/sh
# What a container runtime makes of a pod's specification on a private node: the image's files, the volumes that are declared and nothing
# else of the node, and the program.
#
#     unshare --mount --propagation slave container.sh /path/of/weft /path/of/the/launcher [/on/the/node:/in/the/container:options …] -- program …
#
# Options, by commas: ro; rslave, which is mountPropagation HostToContainer. It goes, with its mounts, with the program.
set -eu
weft=$1
launcher=$2
shift 2

root=/mnt
mount -t tmpfs -o mode=755 tmpfs "$root"
cd "$root"
mkdir -p usr/local/bin opt/cni/bin etc run tmp proc sys dev var
ln -s /run var/run
# The Debian that this machine is stands for the one that the image is made from.
for directory in bin sbin lib lib64; do
  ln -s "usr/$directory" "$directory"
  mkdir "usr/$directory"
  mount --bind -o ro "/usr/$directory" "usr/$directory"
done
touch usr/local/bin/weft opt/cni/bin/weft
mount --bind "$weft" usr/local/bin/weft
mount --bind "$launcher" opt/cni/bin/weft
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev

while [ "$1" != -- ]; do
  on_node=${1%%:*}
  rest=${1#*:}
  inside=$root${rest%%:*}
  options=,${rest#*:},
  mkdir -p "$on_node" "$inside"
  mount --rbind "$on_node" "$inside"
  case $options in *,rslave,*) mount --make-rslave "$inside" ;; *) mount --make-rprivate "$inside" ;; esac
  case $options in *,ro,*) mount -o remount,bind,ro "$inside" ;; esac
  shift
done
shift
exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
