/** What OpenSSL says, for whoever configures nodes. */
import { describeError } from '../errors/weft-error.ts';

/** OpenSSL's reasons (include/openssl/sslerr.h) of the faults that a configuration makes. */
const meanings: readonly (readonly [RegExp, string])[] = [
  [/bad record mac|bad_record_mac|decrypt error|digest check failed/, 'it has another key'],
  [/identity not found|unknown psk identity/, 'it has a key of another kind'],
  [/no shared cipher|unsupported protocol|protocol version|handshake failure|no suitable/, 'it authenticates in another way: both nodes must have a key, or both certificates'],
  [/did not return a certificate|certificate required/, 'it has no certificate'],
  [/unknown ca|self.signed|unable to get|unable to verify/, 'its certificate is of another authority'],
  [/http request|wrong version number|packet length too long|record layer failure/, 'it does not speak TLS'],
];

/** In a few words, and OpenSSL's own. */
export function describeTlsError(error: unknown): string {
  const own = reasonOf(error);
  const meaning = meanings.find(([pattern]) => pattern.test(own))?.[1];
  return meaning === undefined ? own : `${meaning} (${own})`;
}

/** True where TLS failed, and not what carries it. */
export function isTlsError(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^(?:ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|INVALID_|HOSTNAME_)/.test(code);
}

function reasonOf(error: unknown): string {
  const reason = error instanceof Error && 'reason' in error ? error.reason : undefined;
  return typeof reason === 'string' && reason !== '' ? reason : describeError(error).trim();
}
