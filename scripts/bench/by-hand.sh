#!/bin/sh
# A port of Open vSwitch made and removed by hand, with the system's tools: what weft is measured against. It makes what weft makes of a
# port, and leaves out what weft does besides: choosing addresses, writing down, guarding the host, checksums, replication, announcing.
#
# Called like a plugin: CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS (a named namespace), CNI_IFNAME. The rest is in HAND_* (by-hand.ts).
set -e
port="hand-$CNI_CONTAINERID"
netns="${CNI_NETNS##*/}"

case "$CNI_COMMAND" in
ADD)
  ip -batch - <<END
link add $port mtu 1450 type veth peer name $CNI_IFNAME mtu 1450 address $HAND_MAC netns $netns
link set $port addrgenmode none
link set $port up
END
  ip -n "$netns" -batch - <<END
address add $HAND_ADDRESS dev $CNI_IFNAME
link set $CNI_IFNAME up
route add default dev $CNI_IFNAME
END
  # Without --no-wait it returns when ovs-vswitchd has opened the port.
  ovs-vsctl --timeout=20 --db="unix:$HAND_DATABASE" add-port "$HAND_BRIDGE" "$port" -- \
    set interface "$port" ofport_request="$HAND_OFPORT" external_ids:vni=1001 external_ids:attached-mac="\"$HAND_MAC\"" external_ids:description="$CNI_CONTAINERID"
  ovs-ofctl --timeout=20 -O OpenFlow13 --bundle add-flows "$HAND_BRIDGE" "$HAND_FLOWS"
  ;;
DEL)
  ovs-ofctl --timeout=20 -O OpenFlow13 del-flows "$HAND_BRIDGE" "cookie=$HAND_COOKIE/-1"
  ovs-vsctl --timeout=20 --db="unix:$HAND_DATABASE" del-port "$HAND_BRIDGE" "$port"
  ip link del "$port"
  ;;
*)
  echo "CNI_COMMAND must be ADD or DEL: current value is $CNI_COMMAND" >&2
  exit 1
  ;;
esac
