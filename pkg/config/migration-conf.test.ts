import t from 'tap';
import { formatAddress } from '../netaddr/netaddr.ts';
import { noEndpointArgs } from './endpoint-args.ts';
import type { MigrationConf } from './migration-conf.ts';
import { parseNetConf } from './net-conf.ts';
import { emptyNodeConf } from './node-model.ts';
import { parseNodeConf } from './node-conf.ts';

const path = '/etc/weft/weft.yaml';

function migrationOf(keys: string): MigrationConf | undefined {
  return parseNodeConf(`migration: {${keys}}\n`, path).migration;
}

const key = 'key: "0123456789abcdef"';
const tls = 'tls: { certificate: /c.pem, key: /k.pem, ca: /a.pem }';

t.test('what is left out has its default', (t) => {
  t.same(migrationOf(key), { authentication: { by: 'key', key: '0123456789abcdef' }, port: 24790, timeoutSeconds: 3600 });
  t.same(migrationOf('keyFile: /etc/weft/migration.key')?.authentication, { by: 'keyFile', path: '/etc/weft/migration.key' });
  t.same(migrationOf(tls)?.authentication, { by: 'tls', files: { certificate: '/c.pem', key: '/k.pem', ca: '/a.pem' } });
  for (const text of ['', 'migration:\n', 'migration: null\n']) t.notOk('migration' in parseNodeConf(text, path), 'without it nothing moves');
  t.end();
});

t.test('what is written counts', (t) => {
  const conf = migrationOf(`${key}, port: 1, listen: 2001:db8::1, timeout: 60`);
  t.match(conf, { port: 1, timeoutSeconds: 60 });
  t.equal(conf?.listen && formatAddress(conf.listen), '2001:db8::1');
  t.match(migrationOf('key: ein schöner Schlüssel')?.authentication, { key: 'ein schöner Schlüssel' });
  t.match(migrationOf(`key: null, ${tls}`)?.authentication, { by: 'tls' });
  t.end();
});

t.test('what is wrong is refused', (t) => {
  const rows: readonly (readonly [string, number, string | RegExp])[] = [
    ['', 7, `${path} line 1: migration must have one of key, keyFile and tls: nodes that do not know each other move nothing`],
    ['port: 24790', 7, /migration must have one of key, keyFile and tls/],
    [`${key},\n keyFile: /k`, 7, `${path} line 2: migration must have only one of key, keyFile`],
    [`${tls}, ${key}`, 7, /migration must have only one of key, tls$/],
    [`${tls}, ${key}, keyFile: /k`, 7, /migration must have only one of key, keyFile, tls$/],
    ['key: "0123456789abcde"', 7, /^\S+ line 1: migration\.key must be 16 to 1024 characters of one line, in quotes where it looks like something else than text$/],
    [`key: "${'k'.repeat(1025)}"`, 7, /migration\.key must be 16 to 1024 characters/],
    ['keyFile: etc/weft/migration.key', 7, /migration\.keyFile must be the absolute path of a file$/],
    ['tls: { certificate: /c, key: /k }', 7, /^\S+ line 1: migration\.tls\.ca must be given$/],
    ['tls: { certificate: /c, key: /k, ca: ca.pem }', 7, /migration\.tls\.ca must be the absolute path of a file$/],
    ['tls: { certificate: /c, key: /k, ca: /a, crl: /r }', 2, /unknown key "migration\.tls\.crl": the nearest known key is "migration\.tls\.ca"/],
    [`${key}, prot: 1`, 2, /unknown key "migration\.prot": the nearest known key is "migration\.port"/],
    [`${key}, port: 0`, 7, /migration\.port must be a whole number from 1 to 65535: current value is 0$/],
    [`${key}, port: "24790"`, 7, /migration\.port must be a whole number/],
    [`${key}, timeout: 604801`, 7, /migration\.timeout must be a whole number from 1 to 604800: current value is 604801$/],
    [`${key}, timeout: 0`, 7, /migration\.timeout must be/],
    [`${key}, listen: 127.0.0.1`, 7, /migration\.listen must be an address at which other nodes reach this one/],
    [`${key}, listen: 0.0.0.0`, 7, /migration\.listen must be an address/],
    [`${key}, listen: eth0`, 7, /migration\.listen must be/],
  ];
  for (const [keys, cniCode, message] of rows) t.throws(() => migrationOf(keys), { cniCode, message }, keys);
  t.end();
});

t.test('it is no key of tenants, and none of a plugin configuration', (t) => {
  t.throws(() => parseNodeConf(`tenants: [{ name: blue, migration: {${key}} }]`, path), { cniCode: 2, message: /unknown key "tenants\[0\]\.migration"/ });
  const plugin = { cniVersion: '1.0.0', name: 'blue', type: 'weft', vni: 1001, migration: { key: '0123456789abcdef' } };
  t.throws(() => parseNetConf(plugin, { node: emptyNodeConf, args: noEndpointArgs }), { cniCode: 2, message: /unknown key "migration"/ });
  t.end();
});

t.test('a key stands in no message', (t) => {
  const secret = 'hunter2hunter2hunter2';
  const rows = [
    `key: [${secret}]`, `key: { ${secret}: 1 }`, `key: "${secret}\\n"`, `key: "${secret.repeat(50)}"`, 'key: 4242424242424242', 'key: true', `key: ${secret}: ${secret}`, 'key: "hunter2"',
    `key: *${secret}`, `key: !${secret} x`, `key: @${secret}`, `key: "${secret}`, `key: %${secret}`, `"key": @${secret}`, `key:\n  @${secret}`, `key: &${secret}`,
    `keyFile: ${secret}`, `keyFile: [${secret}]`, `tls: ${secret}`, `tls: [${secret}]`, `tls: { certificate: /c, ca: /a, key: "-----BEGIN PRIVATE KEY----- ${secret}" }`, `keey: ${secret}`, `key: ${secret}, keyFile: ${secret}`,
  ];
  for (const row of rows) t.notMatch(messageOf(`migration: { ${row} }\n`), /hunter2|4242/, row);
  for (const text of [`migration: ${secret}\n`, `migration: [${secret}]\n`, `migration:\n  key: a\n  key: ${secret}\n`]) t.notMatch(messageOf(text), /hunter2/, text);
  t.end();
});

function messageOf(text: string): string {
  try {
    parseNodeConf(text, path);
  } catch (error) {
    return error instanceof Error ? `${error.message} ${String(Reflect.get(error, 'details'))}` : '';
  }
  throw new Error(`${text} is no configuration`);
}
