/** How the ways to other nodes are proven: the node's `path`. */
import { probePort } from '../overlay/probe-port.ts';
import { boolean, key, malformed, objectOf, readerOf, text, wholeNumber, type Reader } from './readers.ts';

/** What is done about a path that is narrower than this node's interfaces say. */
export type PathAct =
  /** Tenants that use it get a smaller MTU. */
  | 'lower'
  /** It is said, and nothing else. */
  | 'report';

/** `path`. Complete: what was left out has its default. */
export interface PathConf {
  /** Whether packets are sent to find out. */
  readonly probe: boolean;
  /** UDP; the same on all nodes. */
  readonly port: number;
  /** Between two probes of one peer, where there are not too many of them. */
  readonly intervalSeconds: number;
  readonly act: PathAct;
  /** Bytes of the outer IP packet below which no MTU is lowered; absent: what carries the least IPv6 packet of 1280 bytes. */
  readonly mtuMin?: number;
}

/** Of a node without the section. The port's number is that of the migrations, which have TCP. */
export const pathDefaults: PathConf = { probe: true, port: probePort, intervalSeconds: 2, act: 'lower' };

/** RFC 768. */
const portMax = 65_535;
/** An hour: more would be no proof. */
const intervalSecondsMax = 3600;
/** What every node must be able to take (RFC 791 §3.1), bytes. */
const mtuMinMin = 576;
/** RFC 791 §3.1, bytes. */
const packetBytesMax = 65_535;

const acts: readonly PathAct[] = ['lower', 'report'];

const act: Reader<PathAct> = text('lower or report', (value, name) => {
  const found = acts.find((candidate) => candidate === value);
  if (found !== undefined) return found;
  throw malformed(name, 'lower or report', value);
}, { kind: 'words', words: acts });

const readFields = objectOf<Required<PathConf>>({
  probe: key(boolean, 'Whether packets are sent to find out how large a packet gets to a peer. With `false` nothing is sent, and nothing is known.', { default: pathDefaults.probe }),
  port: key(wholeNumber(1, portMax), 'UDP, the same on all nodes, open between the VTEPs.', { default: pathDefaults.port }),
  intervalSeconds: key(wholeNumber(1, intervalSecondsMax), 'Between two probes of one peer; it grows where there are more than 100 peers.', { unit: 'seconds', default: pathDefaults.intervalSeconds }),
  act: key(act, 'What is done about a path that is narrower than the interfaces say: the MTU of tenants that use it is lowered, or it is reported and no more.', { default: pathDefaults.act }),
  mtuMin: key(wholeNumber(mtuMinMin, packetBytesMax), 'Of the outer packet, below which no MTU is lowered.', { unit: 'bytes', otherwise: '1330 over IPv4, 1350 over IPv6: what carries the least IPv6 packet' }),
});

/** Reads the node's `path`. */
export const pathProbes: Reader<PathConf> = readerOf(readFields.shape, (value, site) => {
  const fields = readFields(value, site);
  return fields && { ...pathDefaults, ...fields };
});
