/** How nodes learn of each other: the node's `controlPlane`. */
import { isAbsent, isJsonObject, showValue, type JsonObject } from '../cni/json-value.ts';
import { addressesEqual, formatAddress, parseAddress, type Address } from '../netaddr/netaddr.ts';
import { vtepAddress } from './addresses.ts';
import { wordOf } from './datapath-conf.ts';
import { formatPath, report, siteWithin, type Site } from './faults.ts';
import { boolean, key, listOf, malformed, objectOf, readerOf, scalar, text, wholeNumber, type ObjectOf, type Reader } from './readers.ts';
import { socketDirectory } from './socket-path.ts';

/** What tells a node of the other VTEPs and their endpoints: the list of peers, or BGP EVPN (RFC 7432, RFC 8365). */
export type ControlPlaneName = 'static' | 'evpn';

/** A BGP speaker that this node has a session with. */
export interface BgpNeighborConf {
  readonly address: Address;
  /** Its autonomous system; the node's own makes it an internal peer. */
  readonly as: number;
  /** TCP MD5 (RFC 2385). Secret: it stands in no message. */
  readonly password?: string;
  /** This node reflects routes to it (RFC 4456); only where `as` is the node's own. */
  readonly routeReflectorClient: boolean;
}

/** BGP's timers (RFC 4271 §4.2, §8.2.1), seconds. */
export interface BgpTimersConf {
  /** At most a third of holdSeconds; without meaning where that is 0. */
  readonly keepaliveSeconds: number;
  /** At least 3, or 0: a silent neighbour is never given up. */
  readonly holdSeconds: number;
  /** Between two tries to connect. */
  readonly connectSeconds: number;
}

/** BGP EVPN, spoken by FRR. Complete: what was left out has its default. */
export interface EvpnConf {
  readonly type: 'evpn';
  /** The node's autonomous system. */
  readonly as: number;
  /** IPv4; absent: the VTEP's address where that is one. */
  readonly routerId?: Address;
  /** At least one; no two with the same address. */
  readonly neighbors: readonly BgpNeighborConf[];
  readonly timers: BgpTimersConf;
  /** Whether weft configures FRR; otherwise the operator does, and weft checks. */
  readonly managed: boolean;
  /** Where zebra and bgpd make `zebra.vty` and `bgpd.vty`. */
  readonly runDirectory: string;
  /** How long what a lost peer had announced is kept, seconds. */
  readonly retainSeconds: number;
}

/** `controlPlane`; a node without it has the static one. */
export type ControlPlaneConf = { readonly type: 'static' } | EvpnConf;

/** RFC 6793: four octets; 0 is reserved (RFC 7607). */
const asMax = 4_294_967_295;
/** RFC 4271 §4.2: two octets, seconds. */
const timerSecondsMax = 65_535;
/** RFC 4271 §4.2. */
const holdSecondsMin = 3;
/** TCP_MD5SIG_MAXKEYLEN (include/uapi/linux/tcp.h); PEER_PASSWORD_MAXLEN of FRR (bgpd/bgpd.h) is the same. */
const passwordCharactersMax = 80;
/** A day. */
const retainSecondsMax = 86_400;
/** `/` and the longest of zebra.vty and bgpd.vty. */
const vtyNameBytes = 1 + 9;

const defaults = { keepaliveSeconds: 3, holdSeconds: 9, connectSeconds: 1, managed: true, runDirectory: '/var/run/frr', retainSeconds: 120 } as const;

const asNumber: Reader<number> = wholeNumber(1, asMax);

/** FRR's command is one line: what is not of these characters could be another command. The value stands in no message. */
const password: Reader<string> = scalar({ kind: 'text', noun: `a secret of 1 to ${passwordCharactersMax} printable ASCII characters without spaces` }, (value, name) => {
  if (typeof value === 'string' && value.length <= passwordCharactersMax && /^[!-~]+$/.test(value)) return value;
  throw new SyntaxError(`${name} must be 1 to ${passwordCharactersMax} printable ASCII characters without spaces, in quotes where it looks like something else than text`);
});

/** RFC 6286 §2.1: four octets, not all zero. */
const routerId: Reader<Address> = text('an IPv4 address', (value, name) => {
  const id = parseAddress(value, name);
  if (id.family === 4 && id.value !== 0n) return id;
  throw malformed(name, 'an IPv4 address other than 0.0.0.0', value);
});

/** 0 or at least 3. */
const holdSeconds: Reader<number> = scalar({ kind: 'integer', min: holdSecondsMin, max: timerSecondsMax, also: 0 }, (value, name) => {
  if (value === 0) return value;
  if (typeof value === 'number' && Number.isInteger(value) && value >= holdSecondsMin && value <= timerSecondsMax) return value;
  throw malformed(name, `0, or a whole number from ${holdSecondsMin} to ${timerSecondsMax}`, value);
});

const neighbor = objectOf<Required<BgpNeighborConf>, 'address'>(
  {
    address: key(vtepAddress, "The neighbour's address."),
    as: key(asNumber, 'Its autonomous system.', { otherwise: "the node's own, `controlPlane.as`" }),
    password: key(password, 'Of TCP MD5 (RFC 2385).', { otherwise: '`controlPlane.password`' }),
    routeReflectorClient: key(boolean, "This node reflects routes to it (RFC 4456); only for neighbours in the node's own AS.", { default: false }),
  },
  { required: ['address'] },
);

const timers = objectOf<BgpTimersConf>({
  keepaliveSeconds: key(wholeNumber(1, timerSecondsMax), 'Between two signs of life; at most a third of `holdSeconds`.', { unit: 'seconds', otherwise: `${defaults.keepaliveSeconds}, or a third of \`holdSeconds\` where that is less` }),
  holdSeconds: key(holdSeconds, 'After which a silent neighbour is given up; with 0 it never is.', { unit: 'seconds', default: defaults.holdSeconds }),
  connectSeconds: key(wholeNumber(1, timerSecondsMax), 'Between two tries to connect.', { unit: 'seconds', default: defaults.connectSeconds }),
});

type NeighborFields = ObjectOf<Required<BgpNeighborConf>, 'address'>;

/** As it is written; `password` is the neighbours' default. */
interface Fields extends Required<Omit<EvpnConf, 'type' | 'neighbors' | 'timers'>> {
  readonly type: ControlPlaneName;
  readonly neighbors: readonly NeighborFields[];
  readonly timers: Partial<BgpTimersConf>;
  readonly password: string;
}

const neededWithEvpn = 'it must be given with `evpn`';

const readFields = objectOf<Fields, 'type'>(
  {
    type: key(wordOf<ControlPlaneName>('static', 'evpn'), 'How nodes learn of each other: by the list `peers`, or by BGP EVPN. All other keys here are for `evpn` only.'),
    as: key(asNumber, "The node's autonomous system.", { otherwise: neededWithEvpn }),
    routerId: key(routerId, "BGP's identifier of the node.", { otherwise: "the VTEP's address" }),
    neighbors: key(listOf('BGP neighbours', neighbor), 'The BGP speakers that this node has a session with; at least one.', { otherwise: neededWithEvpn }),
    password: key(password, 'For neighbours that have none of their own.', { otherwise: 'none' }),
    timers: key(timers, "BGP's timers.", { otherwise: 'all by their defaults' }),
    managed: key(boolean, 'Whether weft configures FRR. With `false` the operator does, and weft checks.', { default: defaults.managed }),
    runDirectory: key(socketDirectory(vtyNameBytes), 'Where zebra and bgpd make `zebra.vty` and `bgpd.vty`.', { default: defaults.runDirectory }),
    retainSeconds: key(wholeNumber(0, retainSecondsMax), 'How long what a lost peer had announced is kept.', { unit: 'seconds', default: defaults.retainSeconds }),
  },
  { required: ['type'] },
);

/** Reads the node's `controlPlane`. */
export const controlPlane: Reader<ControlPlaneConf> = readerOf(readFields.shape, (value, site) => {
  const fields = readFields(value, site);
  if (fields === undefined || !isJsonObject(value)) return undefined;
  return fields.type === 'static' ? onlyType(value, site) : completeEvpn(fields, { value, site });
});

/** The list of peers needs no more than its name. */
function onlyType(value: JsonObject, site: Site): ControlPlaneConf {
  for (const key of Object.keys(value)) {
    const inner = siteWithin(site, key);
    const isOfEvpn = key !== 'type' && !isAbsent(value[key]);
    if (isOfEvpn) report(inner, `${formatPath(inner.path)} is for type "evpn" only: take it out, or set ${formatPath([...site.path, 'type'])} to "evpn"`);
  }
  return { type: 'static' };
}

function completeEvpn(fields: ObjectOf<Fields, 'type'>, { value, site }: { readonly value: JsonObject; readonly site: Site }): EvpnConf | undefined {
  const { as, neighbors, routerId: id, managed = defaults.managed, runDirectory = defaults.runDirectory, retainSeconds = defaults.retainSeconds } = fields;
  for (const key of ['as', 'neighbors'] as const) if (isAbsent(value[key])) report(site, `${formatPath([...site.path, key])} must be given with type "evpn"`);
  const completeTimers = completeTimersOf(fields.timers ?? {}, siteWithin(site, 'timers'));
  if (as === undefined || neighbors === undefined) return undefined;
  const ownPassword = fields.password === undefined ? {} : { password: fields.password };
  const complete = neighbors.map((written): BgpNeighborConf => ({ as, routeReflectorClient: false, ...ownPassword, ...written }));
  reportNeighbors(complete, { as, site: siteWithin(site, 'neighbors') });
  return { type: 'evpn', as, ...(id === undefined ? {} : { routerId: id }), neighbors: complete, timers: completeTimers, managed, runDirectory, retainSeconds };
}

/** Where the hold time alone is written, the keepalives follow it. */
function completeTimersOf(written: Partial<BgpTimersConf>, site: Site): BgpTimersConf {
  const hold = written.holdSeconds ?? defaults.holdSeconds;
  const third = Math.floor(hold / 3);
  const keepalive = written.keepaliveSeconds ?? Math.min(defaults.keepaliveSeconds, third);
  const inner = siteWithin(site, 'keepaliveSeconds');
  if (hold > 0 && keepalive > third) report(inner, `${formatPath(inner.path)} must be at most a third of holdSeconds, which is ${hold}: current value is ${keepalive}`);
  return { keepaliveSeconds: keepalive, holdSeconds: hold, connectSeconds: written.connectSeconds ?? defaults.connectSeconds };
}

function reportNeighbors(neighbors: readonly BgpNeighborConf[], { as, site }: { readonly as: number; readonly site: Site }): void {
  if (neighbors.length === 0) report(site, `${formatPath(site.path)} must name at least one: a node without neighbours hears of nobody`);
  for (const [index, { address, as: remote, routeReflectorClient }] of neighbors.entries()) {
    const within = siteWithin(site, index);
    const first = neighbors.findIndex((other) => addressesEqual(other.address, address));
    const at = siteWithin(within, 'address');
    if (first < index) report(at, `${formatPath(at.path)} must be the neighbour's own: ${showValue(formatAddress(address))} is also that of ${formatPath([...site.path, first])}`);
    const reflection = siteWithin(within, 'routeReflectorClient');
    const words = `${formatPath(reflection.path)} is for neighbours in the node's own AS, ${as}: this one's is ${remote}`;
    if (routeReflectorClient && remote !== as) report(reflection, words);
  }
}
