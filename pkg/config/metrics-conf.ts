/** Where the daemon's metrics can be fetched: the node's `metrics`. */
import { formatAddress, parseAddress, type Address } from '../netaddr/netaddr.ts';
import { key, malformed, objectOf, readerOf, text, wholeNumber, type Reader } from './readers.ts';

/** An address and a TCP port to listen on. */
export interface MetricsListen {
  readonly address: Address;
  readonly port: number;
}

/** `metrics`; a node without it listens nowhere and counts nothing. Complete: what was left out has its default. */
export interface MetricsConf {
  readonly listen: MetricsListen;
  /** How many endpoints have series of their own, at most; 0: none has. */
  readonly endpointsMax: number;
}

/** Ten series each: a scrape of them is a megabyte or two. */
const endpointsMaxDefault = 1000;
const endpointsMaxMax = 100_000;
/** RFC 9293 §3.1. */
const portMax = 65_535;

const listenNoun = 'an address and a port, such as 127.0.0.1:9469, [::1]:9469, 0.0.0.0:9469 or [::]:9469';

const listen: Reader<MetricsListen> = text(listenNoun, (value, name) => {
  const [, bracketed, bare, portText] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})$/.exec(value) ?? [];
  const port = Number(portText ?? 0);
  const address = tryAddress(bracketed ?? bare ?? '');
  const isFamilyRight = address?.family === (bracketed === undefined ? 4 : 6);
  if (address === undefined || !isFamilyRight || port < 1 || port > portMax) throw malformed(name, listenNoun, value);
  return { address, port };
});

function tryAddress(value: string): Address | undefined {
  try {
    return parseAddress(value);
  } catch {
    return undefined;
  }
}

const section = objectOf<MetricsConf, 'listen'>({
  listen: key(listen, 'The address and TCP port to listen on.'),
  endpointsMax: key(wholeNumber(0, endpointsMaxMax), 'How many endpoints have series of their own, at most; with 0 none has.', { default: endpointsMaxDefault }),
}, { required: ['listen'] });

/** Reads the node's `metrics`. */
export const metrics: Reader<MetricsConf> = readerOf(section.shape, (value, site) => {
  const fields = section(value, site);
  return fields && { listen: fields.listen, endpointsMax: fields.endpointsMax ?? endpointsMaxDefault };
});

/** `127.0.0.1:9469`, `[::1]:9469`. */
export function formatListen({ address, port }: MetricsListen): string {
  const host = formatAddress(address);
  return address.family === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}
