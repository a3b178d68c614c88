/** How the daemons of two nodes speak about an endpoint that moves: the node's `migration`. */
import { isAbsent, isJsonObject, type JsonObject } from '../cni/json-value.ts';
import type { Address } from '../netaddr/netaddr.ts';
import { vtepAddress } from './addresses.ts';
import { formatPath, report, siteWithin, type Site } from './faults.ts';
import { key, objectOf, readerOf, scalar, wholeNumber, type Reader } from './readers.ts';

/** Files of PEM; they are read when they are needed. */
export interface TlsFilesConf {
  /** The node's own certificate, and perhaps those between it and the authority's. */
  readonly certificate: string;
  readonly key: string;
  /** Whoever has a certificate of this authority is a node. */
  readonly ca: string;
}

/** What the nodes know each other by. */
export type MigrationAuthentication =
  /** Secret: it stands in no message. */
  | { readonly by: 'key'; readonly key: string }
  | { readonly by: 'keyFile'; readonly path: string }
  | { readonly by: 'tls'; readonly files: TlsFilesConf };

/** `migration`; a node without it lets no endpoint go and takes none. Complete: what was left out has its default. */
export interface MigrationConf {
  readonly authentication: MigrationAuthentication;
  /** TCP; the same on all nodes. */
  readonly port: number;
  /** Where to listen; absent: at the VTEP's address. */
  readonly listen?: Address;
  /** After how long a migration that was prepared and not activated is given up. */
  readonly timeoutSeconds: number;
}

/** A shorter one can be guessed by whoever makes a node connect to him (RFC 4279 §7.2). */
export const keyCharactersMin = 16;
/** More than anybody needs, so that a wrong file is noticed. */
export const keyCharactersMax = 1024;

/** RFC 9293 §3.1. */
const portMax = 65_535;
/** A week. */
const timeoutSecondsMax = 604_800;
/** PATH_MAX with its NUL (include/uapi/linux/limits.h), bytes. */
const pathBytesMax = 4096 - 1;

const defaults = { port: 24_790, timeoutSeconds: 3600 } as const;

/** No reader of a secret, or of what stands where one is easily written by mistake, shows the value. */
const secret: Reader<string> = scalar({ kind: 'text', noun: `a secret of ${keyCharactersMin} to ${keyCharactersMax} characters in one line` }, (value, name) => {
  if (typeof value === 'string' && value.length >= keyCharactersMin && value.length <= keyCharactersMax && !/\p{Cc}/u.test(value)) return value;
  throw new SyntaxError(`${name} must be ${keyCharactersMin} to ${keyCharactersMax} characters of one line, in quotes where it looks like something else than text`);
});

const filePath: Reader<string> = scalar({ kind: 'text', noun: 'the absolute path of a file', pattern: '^/' }, (value, name) => {
  if (typeof value === 'string' && value.startsWith('/') && !value.includes('\0') && Buffer.byteLength(value) <= pathBytesMax) return value;
  throw new SyntaxError(`${name} must be the absolute path of a file`);
});

const tlsFiles = unseen(objectOf<TlsFilesConf, keyof TlsFilesConf>(
  {
    certificate: key(filePath, "The node's own certificate, and perhaps those between it and the authority's; PEM."),
    key: key(filePath, 'Its private key; PEM, readable by its owner only.'),
    ca: key(filePath, 'The certificate of the authority; whoever has one of this authority is a node.'),
  },
  { required: ['certificate', 'key', 'ca'] },
));

/** As it is written. */
interface Fields {
  readonly key: string;
  readonly keyFile: string;
  readonly tls: TlsFilesConf;
  readonly port: number;
  readonly listen: Address;
  readonly timeout: number;
}

const oneOfThree = 'exactly one of `key`, `keyFile` and `tls` must be given';

const readFields = unseen(objectOf<Fields>({
  key: key(secret, 'The secret that all nodes share. The file that has it must be readable by its owner only.', { otherwise: oneOfThree }),
  keyFile: key(filePath, 'A file with that secret in its one line, readable by its owner only.', { otherwise: oneOfThree }),
  tls: key(tlsFiles, 'A certificate for each node instead.', { otherwise: oneOfThree }),
  port: key(wholeNumber(1, portMax), 'TCP, the same on all nodes.', { default: defaults.port }),
  listen: key(vtepAddress, 'Where the daemon listens.', { otherwise: "the VTEP's address" }),
  timeout: key(wholeNumber(1, timeoutSecondsMax), 'After which a migration that was prepared and not activated is given up.', { unit: 'seconds', default: defaults.timeoutSeconds }),
}));

/** Reads the node's `migration`. */
export const migration: Reader<MigrationConf> = readerOf(readFields.shape, (value, site) => {
  const fields = readFields(value, site);
  if (fields === undefined || !isJsonObject(value) || !hasOneAuthentication(value, site)) return undefined;
  const authentication = authenticationOf(fields);
  const { port = defaults.port, listen, timeout = defaults.timeoutSeconds } = fields;
  return authentication && { authentication, port, ...(listen === undefined ? {} : { listen }), timeoutSeconds: timeout };
});

const waysToAuthenticate = ['key', 'keyFile', 'tls'] as const;

/** Looks at what is written, sound or not: a key that is too short is not one that is missing. */
function hasOneAuthentication(value: JsonObject, site: Site): boolean {
  const given = waysToAuthenticate.filter((way) => !isAbsent(value[way]));
  if (given.length === 1) return true;
  const [, second] = given;
  const name = formatPath(site.path);
  if (second === undefined) report(site, `${name} must have one of key, keyFile and tls: nodes that do not know each other move nothing`);
  else report(siteWithin(site, second), `${name} must have only one of ${given.join(', ')}`);
  return false;
}

/** Undefined where what was written is not sound, which has been reported. */
function authenticationOf({ key: shared, keyFile, tls }: Partial<Fields>): MigrationAuthentication | undefined {
  if (shared !== undefined) return { by: 'key', key: shared };
  if (keyFile !== undefined) return { by: 'keyFile', path: keyFile };
  return tls && { by: 'tls', files: tls };
}

/** What is no object may be a secret in the wrong place, so it is not shown. */
function unseen<T>(read: Reader<T>): Reader<T> {
  return readerOf(read.shape, (value, site) => {
    if (isJsonObject(value)) return read(value, site);
    report(site, `${formatPath(site.path)} must be an object`);
    return undefined;
  });
}
