/**
 * Endpoints that move between nodes, on Linux bridges: see ../migration.ts for what each call is for, relay.ts and copies.ts for how frames go from the
 * source to the target, gate.ts for how they are kept from a machine that does not run yet.
 *
 * Departing and opening are short: a few datagrams of requests, and nothing is listed. What is costly, the relay's device, stands by then.
 */
import { WeftError } from '../../errors/weft-error.ts';
import { watchFdb } from '../../netlink/fdb-watch.ts';
import type { Link } from '../../netlink/link.ts';
import { forgetVxlanFdb, putVxlanFdb, replacePortFdb } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import { SystemCallError } from '../../sys/libc.ts';
import { bridgeName, relayName, vxlanName } from '../../overlay/names.ts';
import { nobodysMac, openingFrame } from '../announcement.ts';
import type { DatapathMigration, MovingPort } from '../migration.ts';
import { findLinks } from '../find-links.ts';
import { hasElements } from '../guard/guard.ts';
import { openElement } from '../guard/guard-elements.ts';
import type { Kernel } from '../kernel.ts';
import { countCopies, ensureCopies, removeCopies } from './copies.ts';
import { closePort, openPort, type PlugLinks } from './gate.ts';
import { announceWith } from './port.ts';
import { asMover, ensureRelay, relayEntry, relayMisfit, releaseRelay, type Mover } from './relay.ts';
import { asSegmentLinks, linksOf } from './segment-links.ts';

/** A node's part in migrations, of tenants of Linux bridges. */
export function linuxBridgeMigration(kernel: Kernel): DatapathMigration {
  return {
    startRelay: (moving) => startRelay(kernel, moving, wholeLinks(kernel, moving)),
    depart: (moving) => depart(kernel, moving),
    leave(moving) {
      closePort(kernel, requireMover(moving), plugLinks(kernel, moving));
      return endRelay(kernel, moving);
    },
    takeBack(moving) {
      const links = wholeLinks(kernel, moving);
      openPort(kernel, moving, links);
      requestTolerating(kernel.route, [forgetVxlanFdb(links.vxlan.index, moving.port.mac)], 'ENOENT');
      return endRelay(kernel, moving);
    },
    countRelayed: ({ port }) => countCopies(kernel.netfilter, port),
    open: (moving) => openPort(kernel, moving, wholeLinks(kernel, moving)),
    armActivation: (moving) => armActivation(kernel, moving),
    armOpening: (moving) => armOpening(kernel, moving),
    hasOpened: ({ port }) => hasOpened(kernel, port),
    watchOpening: (moving, onOpened) => watchOpening(kernel, moving, onOpened),
    settle: ({ port, segment }) => releaseRelay(kernel, { port, segment }),
    announce: (moving) => announceAll(kernel, moving),
  };
}

function startRelay(kernel: Kernel, moving: MovingPort, { host }: Pick<PlugLinks, 'host'>): void {
  const relay = ensureRelay(kernel, requireMover(moving));
  ensureCopies(kernel.netfilter, moving.port, { relay: relay.index, hasHost: host !== undefined });
}

/** The relay stands already, but for a machine that goes without a word. */
function depart(kernel: Kernel, moving: MovingPort): void {
  const [mover, links] = [requireMover(moving), plugLinks(kernel, moving)];
  const relay = links.relay !== undefined && relayMisfit(moving.segment, links.relay) === undefined ? links.relay : undefined;
  closePort(kernel, mover, { ...links, also: relay === undefined ? [] : [putVxlanFdb(relay.index, relayEntry(mover))] });
  if (relay === undefined) startRelay(kernel, moving, links);
  else ensureCopies(kernel.netfilter, moving.port, { relay: relay.index, hasHost: links.host !== undefined });
}

function endRelay(kernel: Kernel, { port, segment }: MovingPort): Promise<void> {
  removeCopies(kernel.netfilter, port);
  return releaseRelay(kernel, { port, segment });
}

function armActivation(kernel: Kernel, moving: MovingPort): () => void {
  const { relay } = plugLinks(kernel, moving);
  const frame = openingFrame(moving.port.mac);
  const send = (bytes: Uint8Array): void => {
    try {
      if (relay !== undefined) kernel.sendFrame(relay.index, bytes);
    } catch (error) {
      // The other node's daemon is told as well.
      if (!(error instanceof SystemCallError)) throw error;
    }
  };
  // The first time takes longer. The relay has nowhere to send this one to.
  send(openingFrame(nobodysMac));
  return () => send(frame);
}

function armOpening(kernel: Kernel, moving: MovingPort): () => void {
  const entry = replacePortFdb(wholeLinks(kernel, moving).host.index, moving.port.mac);
  return () => void kernel.route.tryRequest([entry]);
}

function hasOpened({ netfilter }: Kernel, port: MovingPort['port']): boolean {
  return hasElements(netfilter, [openElement(port)])[0] === true;
}

function requireMover(moving: MovingPort): Mover {
  const mover = asMover(moving);
  if (mover === undefined) throw new WeftError('internal', `The attachment of ${moving.port.hostIf} does not say to which node it moves`);
  return mover;
}

function plugLinks({ route }: Kernel, { segment, port }: MovingPort): PlugLinks {
  const names = [bridgeName(segment.vni), vxlanName(segment.vni)];
  const [bridge, vxlan, host, relay] = findLinks(route, [...names, port.hostIf, relayName(segment.vni)]);
  if (bridge === undefined || vxlan === undefined) throw missing(port, names.filter((_name, at) => [bridge, vxlan][at] === undefined));
  return { bridge, vxlan, ...(host === undefined ? {} : { host }), ...(relay === undefined ? {} : { relay }) };
}

/** Of an attachment whose machine is to run here. */
function wholeLinks(kernel: Kernel, moving: MovingPort): PlugLinks & { readonly host: Link } {
  const links = plugLinks(kernel, moving);
  if (links.host === undefined) throw missing(moving.port, [moving.port.hostIf]);
  return { ...links, host: links.host };
}

function missing({ hostIf }: MovingPort['port'], names: readonly string[]): WeftError {
  return new WeftError('tryAgainLater', `The endpoint at ${hostIf} cannot move at this moment: ${names.join(', ')} is missing and has to be repaired first`);
}

/** The guard opens before the bridge learns, which is what is heard of. */
function watchOpening(kernel: Kernel, moving: MovingPort, onOpened: () => void): () => void {
  let isWatched = true;
  const look = (): void => {
    if (isWatched && hasOpened(kernel, moving.port)) onOpened();
  };
  const watch = watchFdb(wholeLinks(kernel, moving).host.index, look);
  setImmediate(look);
  return () => {
    isWatched = false;
    watch.close();
  };
}

function announceAll(kernel: Kernel, { segment, port }: MovingPort): void {
  const links = asSegmentLinks(segment, findLinks(kernel.route, linksOf(segment).map(({ name }) => name)));
  if (links !== undefined) announceWith(kernel, { segment, port, addresses: port.addresses, isMoved: true }, links);
}
