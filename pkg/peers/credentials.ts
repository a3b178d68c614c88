/** What this node shows to others, and what it wants to see of them: options of TLS. */
import { constants, createPrivateKey, scrypt, X509Certificate, type KeyObject } from 'node:crypto';
import { constants as fileConstants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { promisify } from 'node:util';
import { keyCharactersMax, keyCharactersMin, type MigrationAuthentication, type TlsFilesConf } from '../config/migration-conf.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';

/** Both ends of a connection. */
export interface Credentials {
  readonly server: TlsOptions;
  readonly client: ConnectionOptions;
}

/** Nothing is resumed and nothing negotiated again: each connection is authenticated, once. */
const secureOptions = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION;

/** A node is whoever has the key or a certificate; its host name says nothing. */
const checkServerIdentity = (): undefined => undefined;

/** RFC 4279 §5.1: the identity says which key is meant; there is one only. */
const pskIdentity = 'weft';
/** RFC 8442, RFC 7905. Ephemeral keys: who learns the key later reads nothing of before. TLS 1.3 would let whoever hears one greeting try keys on it at leisure. */
const pskCiphers = 'ECDHE-PSK-CHACHA20-POLY1305';
const pskBytes = 32;
/** Trying keys should cost something. The same on all nodes, so it is no secret and does not change. */
const pskSalt = 'weft migration channel 1';

/** Bytes; certificates with all those above them are far smaller. */
const fileBytesMax = 1_048_576;
/** Group and others. */
const othersMode = 0o077;

/**
 * Reads the files and makes the options.
 * @throws WeftError ioFailure (a file cannot be read), invalidConfiguration (what it holds cannot be used, or others can read a secret)
 */
export async function readCredentials(authentication: MigrationAuthentication): Promise<Credentials> {
  switch (authentication.by) {
    case 'key':
      return fromKey(authentication.key);
    case 'keyFile':
      return fromKey(keyIn(await readConfigured(authentication.path, { name: 'migration.keyFile', isSecret: true }), authentication.path));
    case 'tls':
      return fromFiles(authentication.files);
  }
}

async function fromKey(key: string): Promise<Credentials> {
  const psk = (await promisify<string, string, number, Buffer>(scrypt)(key, pskSalt, pskBytes));
  const options = { ciphers: pskCiphers, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', secureOptions } as const;
  return {
    server: { ...options, pskCallback: (_socket, identity) => (identity === pskIdentity ? psk : null) },
    client: { ...options, checkServerIdentity, pskCallback: () => ({ psk, identity: pskIdentity }) },
  };
}

function keyIn(text: string, path: string): string {
  const key = text.replace(/\r?\n$/, '');
  if (key.length >= keyCharactersMin && key.length <= keyCharactersMax && !/\p{Cc}/u.test(key)) return key;
  throw new WeftError('invalidConfiguration', `migration.keyFile: ${path} must hold one line of ${keyCharactersMin} to ${keyCharactersMax} characters`);
}

async function fromFiles(files: TlsFilesConf): Promise<Credentials> {
  const cert = await readConfigured(files.certificate, { name: 'migration.tls.certificate', isSecret: false });
  const key = await readConfigured(files.key, { name: 'migration.tls.key', isSecret: true });
  const ca = await readConfigured(files.ca, { name: 'migration.tls.ca', isSecret: false });
  const [own] = certificatesIn(cert, `migration.tls.certificate: ${files.certificate}`);
  const authorities = certificatesIn(ca, `migration.tls.ca: ${files.ca}`);
  if (own?.checkPrivateKey(privateKeyIn(key, files.key)) !== true) {
    throw new WeftError('invalidConfiguration', `migration.tls.key: ${files.key} must hold the key of the first certificate in ${files.certificate}`);
  }
  // Without a CA, or with an empty one, Node would take certificates of everybody whom browsers trust; here there is at least one.
  const options = { cert, key, ca: authorities.map(String), minVersion: 'TLSv1.3', rejectUnauthorized: true, secureOptions } as const;
  return { server: { ...options, requestCert: true }, client: { ...options, checkServerIdentity } };
}

const certificatePattern = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function certificatesIn(pem: string, name: string): readonly X509Certificate[] {
  try {
    const found = (pem.match(certificatePattern) ?? []).map((text) => new X509Certificate(text));
    if (found.length > 0) return found;
  } catch (error) {
    throw new WeftError('invalidConfiguration', `${name} must hold certificates in PEM: ${describeError(error)}`);
  }
  throw new WeftError('invalidConfiguration', `${name} must hold certificates in PEM`);
}

/** OpenSSL's words are left out: what it could not read is secret. */
function privateKeyIn(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new WeftError('invalidConfiguration', `migration.tls.key: ${path} must hold a private key in PEM without a passphrase`);
  }
}

async function readConfigured(path: string, { name, isSecret }: { readonly name: string; readonly isSecret: boolean }): Promise<string> {
  try {
    // Who names a pipe must not wait for its writer.
    await using file = await open(path, fileConstants.O_RDONLY | fileConstants.O_NONBLOCK);
    const { mode, size, isFile } = await file.stat().then((stats) => ({ mode: stats.mode, size: stats.size, isFile: stats.isFile() }));
    if (!isFile || size > fileBytesMax) throw new WeftError('invalidConfiguration', `${name}: ${path} must be a file of at most ${fileBytesMax} bytes`);
    if (isSecret && (mode & othersMode) !== 0) {
      throw new WeftError('invalidConfiguration', `${name}: ${path} must be readable by its owner only: current mode is ${(mode & 0o777).toString(8).padStart(4, '0')}`, { details: `chmod 600 ${path}` });
    }
    return await file.readFile('utf8');
  } catch (error) {
    if (error instanceof WeftError) throw error;
    throw new WeftError('ioFailure', `${name}: ${path} cannot be read`, { cause: error });
  }
}
