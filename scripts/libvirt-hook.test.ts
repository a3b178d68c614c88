/** conf/libvirt-hook: run as libvirt runs it, with a weft that only writes down what it was told. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { temporaryDirectory } from '../pkg/testing/directory.ts';

const hook = resolve(import.meta.dirname, '../conf/libvirt-hook');

/** A definition as libvirt writes it, with what is in its metadata. */
function machine(metadata: string): string {
  return `<domain type='kvm' id='3'>\n  <name>vm</name>\n  <metadata>\n    <other:thing xmlns:other="urn:other" tenant="red" name="no"/>\n    ${metadata}\n  </metadata>\n  <devices>\n    <interface type='bridge'><source bridge='x' name='vm-9'/></interface>\n  </devices>\n</domain>\n`;
}

const one = '<weft:endpoint xmlns:weft="urn:weft:endpoint" tenant="blue" name="vm-1" from="192.0.2.1"/>';

interface Outcome {
  readonly status: number | null;
  readonly calls: readonly string[];
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs it; weft exits with the status given. */
function runHook(t: Test, args: readonly string[], { xml = machine(one), weftStatus = 0 }: { readonly xml?: string; readonly weftStatus?: number } = {}): Outcome {
  const directory = temporaryDirectory(t);
  const record = join(directory, 'calls');
  writeFileSync(join(directory, 'weft'), `#!/bin/sh\nfor each; do printf '[%s]' "$each"; done >>'${record}'\necho >>'${record}'\necho words of weft\nexit ${weftStatus}\n`, { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync(hook, args, { input: xml, encoding: 'utf8', timeout: 20_000, env: { PATH: `${directory}${delimiter}${process.env['PATH']}` } });
  return { status, stdout, stderr, calls: existsSync(record) ? readFileSync(record, 'utf8').trimEnd().split('\n') : [] };
}

t.ok((statSync(hook).mode & 0o111) === 0o111, 'libvirt executes it');

t.test('what libvirt says, and what weft is told', async (t) => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['migrate begin -', ['[migrate][prepare][blue][vm-1][--from][192.0.2.1]']],
    ['release end migrated', ['[migrate][activate][blue][vm-1]']],
    ['release end failed', ['[migrate][cancel][blue][vm-1]']],
    // Of a machine that starts, runs, stops, or moves with a libvirt that does not say so.
    ...['prepare begin -', 'start begin -', 'started begin -', 'stopped end -', 'release end -', 'release end shutdown', 'release end destroyed', 'release end crashed', 'release end saved', 'release end from snapshot', 'reconnect begin -', 'restore begin -', 'attach begin -', '', 'migrate'].map((call) => [call, []] as const),
  ];
  for (const [call, calls] of rows) {
    const [operation, sub, ...reason] = call.split(' ');
    const outcome = runHook(t, ['vm', operation, sub, reason.join(' ')].filter((arg) => arg !== undefined));
    t.match(outcome, { status: 0, stdout: '' }, `vm ${call}`);
    t.same(outcome.calls, calls, `vm ${call}`);
  }
});

t.test('how an endpoint can be written', async (t) => {
  const rows: readonly (readonly [string, string, readonly string[]])[] = [
    ['none', '', []],
    ['in one line', `${one}${one.replace('vm-1', 'vm-2')}`, ['[migrate][activate][blue][vm-1]', '[migrate][activate][blue][vm-2]']],
    ['in many lines', '<weft:endpoint\n xmlns:weft=\'urn:weft:endpoint\'\n name=\'ns/vm_1.a\'\n tenant=\'1001\'\n></weft:endpoint>', ['[migrate][activate][1001][ns/vm_1.a]']],
    ['an attribute that only ends like one', '<weft:endpoint xmlns:weft="urn:weft:endpoint" nickname="x" name="vm-1" subtenant="y" tenant="blue"/>', ['[migrate][activate][blue][vm-1]']],
    ['an option', '<weft:endpoint xmlns:weft="urn:weft:endpoint" tenant="blue" name="--help"/>', []],
    ['a command', '<weft:endpoint xmlns:weft="urn:weft:endpoint" tenant="blue" name="$(reboot)"/>', []],
    ['a pattern', '<weft:endpoint xmlns:weft="urn:weft:endpoint" tenant="*" name="vm-1"/>', []],
    ['two words', '<weft:endpoint xmlns:weft="urn:weft:endpoint" tenant="blue" name="vm-1 vm-2"/>', []],
    ['another element', '<weft:endpoints xmlns:weft="urn:weft:endpoint" tenant="blue" name="vm-1"/>', []],
  ];
  for (const [name, metadata, calls] of rows) t.same(runHook(t, ['vm', 'release', 'end', 'migrated'], { xml: machine(metadata) }).calls, calls, name);
  t.same(runHook(t, ['vm', 'migrate', 'begin', '-'], { xml: machine(one.replace(/ from="[^"]*"/, '')) }), { status: 0, stdout: '', stderr: '', calls: [] }, 'without its VTEP: the ADD asks the other nodes');
  t.match(runHook(t, ['vm', 'migrate', 'begin', '-'], { xml: machine(one.replace('192.0.2.1', '2001:db8::1')) }), { calls: ['[migrate][prepare][blue][vm-1][--from][2001:db8::1]'] });
});

t.test('a machine that would come without its network stays', async (t) => {
  t.match(runHook(t, ['vm', 'migrate', 'begin', '-'], { weftStatus: 1 }), { status: 1, stdout: '', stderr: /words of weft/ });
  t.match(runHook(t, ['vm', 'migrate', 'begin', '-'], { xml: machine('<weft:endpoint xmlns:weft="urn:weft:endpoint" tenant="blue"/>') }), { status: 1, calls: [], stderr: /each <weft:endpoint> of machine vm must have a tenant and a name, and in from, if it has one, an address/ });
  t.match(runHook(t, ['vm', 'migrate', 'begin', '-'], { xml: machine(one.replace('192.0.2.1', 'node-1')) }), { status: 1, calls: [] }, 'a VTEP that is none is not one that was left out');
  t.match(runHook(t, ['vm', 'migrate', 'begin', '-'], { weftStatus: 1, xml: machine(`${one}${one.replace('vm-1', 'vm-2')}`) }), { status: 1, calls: { length: 2 } });
  for (const reason of ['migrated', 'failed']) t.match(runHook(t, ['vm', 'release', 'end', reason], { weftStatus: 1 }), { status: 0, calls: { length: 1 } }, 'afterwards nothing is prevented');
});
