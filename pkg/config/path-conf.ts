/** How the ways to other nodes are proven: the node's `path`. */
import { probePort } from '../overlay/probe-port.ts';
import { boolean, malformed, objectOf, text, wholeNumber, type Reader } from './readers.ts';

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
});

const readFields = objectOf<Required<PathConf>>({
  probe: boolean,
  port: wholeNumber(1, portMax),
  intervalSeconds: wholeNumber(1, intervalSecondsMax),
  act,
  mtuMin: wholeNumber(mtuMinMin, packetBytesMax),
});

/** Reads the node's `path`. */
export const pathProbes: Reader<PathConf> = (value, site) => {
  const fields = readFields(value, site);
  return fields && { ...pathDefaults, ...fields };
};
