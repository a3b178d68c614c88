/** A tenant's VXLAN device as a port of its bridge. Pure. */
import type { BridgePortOptions } from '../../netlink/bridge-options.ts';
import type { Segment } from '../../overlay/model.ts';
import { hasSpare } from '../../overlay/spare.ts';

/** Kernel defaults; somebody may have changed them. */
const tunnelPortOptions: BridgePortOptions = {
  hairpin: false, learning: true, unicastFlood: true, proxyArp: false, multicastFlood: true, broadcastFlood: true, neighbourSuppression: false, isolated: false, locked: false,
};
/**
 * With a control plane, what it does not know goes to the spare tunnel, and nothing from one to the other: see spare.ts. The bridge does not
 * learn there. zebra takes an endpoint out of the bridge and then out of the VXLAN device, and a frame that arrived in between would
 * lead to a VXLAN device that knows nothing of it (12 of 60,000 pings were lost in 1200 such removals).
 */
const spareTunnelPortOptions: BridgePortOptions = { ...tunnelPortOptions, unicastFlood: false, learning: false, neighbourSuppression: true, isolated: true };

/** The options of a segment's VXLAN device as a bridge's port. */
export function tunnelPortOptionsOf(segment: Segment): BridgePortOptions {
  return hasSpare(segment) ? spareTunnelPortOptions : tunnelPortOptions;
}
