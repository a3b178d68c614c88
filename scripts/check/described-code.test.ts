/** Pages that describe the code name what is in it: a method, a folder or a rule that comes later is missed here. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { importRules } from './import-rules.ts';

const root = resolve(import.meta.dirname, '../..');

t.test('docs/adding-a-datapath.md names every method of a datapath', (t) => {
  const page = read('docs/adding-a-datapath.md');
  const interfaces = [
    ['datapath', 'Datapath'], ['repair', 'DatapathRepair'], ['resize', 'DatapathResize'], ['remotes', 'NodeRemotes'], ['migration', 'DatapathMigration'], ['inspection', 'DatapathInspection'],
  ] as const;
  t.equal(/export interface NodeDatapath extends (.*) \{\}/.exec(read('pkg/datapath/datapath.ts'))?.[1], 'Datapath, NodeRemotes, DatapathMigration, DatapathInspection', 'these interfaces make it up');
  for (const [file, name] of interfaces) {
    t.ok(page.includes(`\`${name}\``), name);
    const methods = methodsOf(read(`pkg/datapath/${file}.ts`), name);
    t.ok(methods.length > 0, `${name} has methods`);
    for (const method of methods) t.ok(page.includes(`\`${method}\``), `${name}.${method}()`);
  }
  t.end();
});

t.test('docs/adding-a-control-plane.md names what a control plane writes by', (t) => {
  const page = read('docs/adding-a-control-plane.md');
  for (const method of methodsOf(read('pkg/datapath/remotes.ts'), 'NodeRemotes')) t.ok(page.includes(`\`${method}\``), method);
  for (const method of ['obstacleOf', 'vtepsOf', 'noteEvents', 'noteOverrun', 'follow']) {
    t.ok(new RegExp(`^  (async )?${method}\\(`, 'm').test(read('pkg/evpn/evpn.ts')), `Evpn has ${method}()`);
    t.ok(page.includes(`\`${method}(`), method);
  }
  t.end();
});

t.test('docs/architecture.md has every layer', (t) => {
  const page = read('docs/architecture.md');
  const layers = new Set(importRules.filter(({ path }) => path.startsWith('pkg/') && path !== 'pkg/testing').map(({ path }) => path.split('/')[1] ?? ''));
  for (const layer of layers) t.ok(new RegExp(`\\b${layer}\\b`).test(page), layer);
  t.end();
});

t.test('the guides name findings that weft doctor has', (t) => {
  const ids = [...read('pkg/doctor/catalogue.ts').matchAll(/^ {2}'([a-z-]+)': entry\(/gm)].map(([, id = '']) => id);
  const named = [...read('docs/guides/node-by-hand.md').matchAll(/`weft doctor`: ((?:`[a-z…-]+`(?:, )?)+)/g)].flatMap(([, list = '']) => [...list.matchAll(/`([a-z…-]+)`/g)].map(([, id = '']) => id));
  t.ok(named.length > 0);
  for (const name of named) t.ok(ids.some((id) => (name.endsWith('…') ? id.startsWith(name.slice(0, -1)) : id === name)), name);
  t.end();
});

/** The methods of an interface: what is indented once and has a parameter list. */
function methodsOf(source: string, name: string): readonly string[] {
  const [, body = ''] = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)^\\}`, 'ms').exec(source) ?? [];
  return [...body.matchAll(/^ {2}(\w+)(?:<[^>]*>)?\(/gm)].map(([, method = '']) => method);
}

function read(path: string): string {
  return readFileSync(resolve(root, path), 'utf8');
}
