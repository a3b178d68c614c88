/**
 * Removing what is on the switch, which may be gone: a DEL never gets in the way. What the switch is late with is written down by the
 * caller, and done when it is back; and an ADD that failed because it is gone has nothing on it that would have to be undone.
 */
import { isWeftError } from '../../errors/weft-error.ts';
import { pause } from '../../sys/timer.ts';
import { shapersOf } from '../bandwidth.ts';
import type { Datapath, SegmentRemoval } from '../datapath.ts';
import { detachPort, type Detachment, type OvsParts } from './port.ts';
import { removeSegment } from './segment.ts';
import type { OvsSwitch } from './switch/switch.ts';

/** So long the last one waits for others' ports to go, which takes ovs-vswitchd some milliseconds each. */
const emptyingMs = 1000;
const emptyingPollMs = 20;

/** The part of the datapath that removes. */
export type DatapathRemoval = Pick<Datapath, 'prepareRemoval' | 'detach' | 'detachSoon' | 'removeSegment' | 'trimGuard'>;

/** It, over a switch that may be gone. */
export function removalOf(parts: OvsParts): DatapathRemoval {
  const { kernel, ovs, untouched } = parts;
  /** Host interfaces of which nothing is on the switch, which cannot be asked. */
  const absent = new Set<string>();
  const detach = ({ port, segment }: Detachment, removeLinks: (names: readonly string[]) => Promise<void>): Promise<void> =>
    absent.delete(port.hostIf) ? removeLinks([port.hostIf, ...shapersOf(port)]) : ovs.presence.during(detachPort(parts, { port, segment }, removeLinks));
  return {
    async prepareRemoval({ hostIf }) {
      const isUntouched = untouched.delete(hostIf);
      try {
        await ovs.presence.require();
      } catch (error) {
        if (!isUntouched) throw error;
        absent.add(hostIf);
      }
    },
    detach: (port, segment) => detach({ port, segment }, (names) => kernel.removeLinks(names)),
    detachSoon: (port, segment) => detach({ port, segment }, (names) => kernel.removeLinksSoon(names)),
    removeSegment(removal: SegmentRemoval) {
      const isAbsent = removal.ports?.length === 1 && removal.ports.every(({ hostIf }) => absent.delete(hostIf));
      return isAbsent ? Promise.resolve() : ovs.presence.during(removeSegment(parts, removal));
    },
    trimGuard: (segments) => (segments.length === 0 ? removeUnusedBridge(parts) : Promise.resolve()),
  };
}

/**
 * A bridge without ports that stays because the switch is gone is removed by a pass, or with the next tenant. Somebody else's stays. The ledger
 * has nobody any more: ports that are there are going by another process's hand, which did not find itself the last one, or have just come.
 */
async function removeUnusedBridge({ ovs }: OvsParts): Promise<void> {
  try {
    for (const deadline = performance.now() + emptyingMs; performance.now() < deadline; await pause(emptyingPollMs)) {
      // The last one may go between the attempt and a look behind it.
      const hadPorts = mayHavePorts(ovs);
      const isRemoved = await ovs.presence.during(ovs.removeUnusedBridge());
      if (isRemoved || !hadPorts) return;
    }
  } catch (error) {
    if (!isWeftError(error, 'tryAgainLater', 'foreignObject')) throw error;
  }
}

/** Whether there is a port that is no tunnel, or nobody knows yet. */
function mayHavePorts(ovs: OvsSwitch): boolean {
  try {
    return [...ovs.ports().values()].some(({ role }) => role === 'port');
  } catch (error) {
    if (isWeftError(error, 'tryAgainLater')) return true;
    throw error;
  }
}
