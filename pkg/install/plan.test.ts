import t from 'tap';
import { planInstall, type FileState, type InstallChoices, type WantedFile } from './plan.ts';

const program: WantedFile = { path: '/usr/local/bin/weft', mode: 0o755, digest: 'p', content: { kind: 'copy', from: '/x' }, isConfiguration: false };
const conf: WantedFile = { path: '/etc/weft/weft.yaml', mode: 0o600, digest: 'c', content: { kind: 'text', text: 'c' }, isConfiguration: true };
const list: WantedFile = { path: '/etc/cni/net.d/10-weft.conflist', mode: 0o600, digest: 'l', content: { kind: 'text', text: 'l' }, isConfiguration: true };
const wanted = [program, conf, list];
const no: InstallChoices = { overwrite: false, besideOthers: false };

interface Found {
  readonly states?: Readonly<Record<string, FileState>>;
  readonly record?: Readonly<Record<string, readonly string[]>>;
  readonly networkFiles?: readonly string[];
}

function plan({ states = {}, record = {}, networkFiles = [] }: Found, choices = no): { readonly problems: readonly string[]; readonly notes: readonly string[]; readonly paths: readonly string[] } {
  const { problems, notes, changes } = planInstall(wanted, { states: new Map(Object.entries(states)), record: new Map(Object.entries(record)), networkFiles }, choices);
  return { problems, notes, paths: changes.map(({ path }) => path) };
}

const file = (digest: string, mode = 0o600): FileState => ({ kind: 'file', digest, mode });

t.test('what differs is replaced, the conflist last', async (t) => {
  t.same(plan({}), { problems: [], notes: [], paths: [program.path, conf.path, list.path] });
  t.same(plan({ states: { [program.path]: file('p', 0o755), [conf.path]: file('c'), [list.path]: file('l') } }).paths, [], 'all as it shall be');
  t.same(plan({ states: { [program.path]: file('p', 0o644), [conf.path]: file('c'), [list.path]: file('l') } }).paths, [program.path], 'a mode counts');
  t.same(plan({ states: { [program.path]: { kind: 'link' }, [conf.path]: file('c'), [list.path]: file('l') } }), { problems: [], notes: [], paths: [program.path] }, 'a link to a program is replaced');
});

t.test("configuration that is not weft's is left alone", async (t) => {
  const states = { [conf.path]: file('hand') };
  t.match(plan({ states }).problems, [/^\/etc\/weft\/weft\.yaml is not what weft has put there.*--overwrite$/]);
  t.match(plan({ states, record: { [conf.path]: ['old'] } }).problems, [/weft\.yaml/], 'changed since');
  t.same(plan({ states, record: { [conf.path]: ['hand'] } }).problems, [], 'as weft left it');
  t.same(plan({ states, record: { [conf.path]: ['older', 'hand'] } }).problems, [], 'as an installation that was interrupted left it');
  t.same(plan({ states }, { ...no, overwrite: true }).problems, [], 'told to');
  t.match(plan({ states: { [list.path]: { kind: 'link' } } }).problems, [/10-weft\.conflist is not what/], 'a link is somebody else\'s');
});

t.test('what is no file is in the way, whatever is said', async (t) => {
  t.match(plan({ states: { [program.path]: { kind: 'other' } } }, { overwrite: true, besideOthers: true }).problems, [/^\/usr\/local\/bin\/weft must be a file/]);
});

t.test("another network in front is a problem, one behind is not, and what runtimes do not read is nothing", async (t) => {
  t.match(plan({ networkFiles: ['05-cilium.conflist', '10-weft.conflist'] }).problems, [/05-cilium\.conflist is another network, and comes before 10-weft\.conflist.*--beside-others$/]);
  t.match(plan({ networkFiles: ['05-a.conf', '06-b.json'] }).problems, [/05-a\.conf/, /06-b\.json/], 'all endings that runtimes read');
  t.match(plan({ networkFiles: ['05-a.conf'] }, { ...no, besideOthers: true }), { problems: [], notes: [/05-a\.conf is another network, and comes before/] });
  t.match(plan({ networkFiles: ['87-podman.conflist'] }), { problems: [], notes: [/87-podman\.conflist is another network: .* use 10-weft\.conflist/] });
  t.match(plan({ networkFiles: ['.weft-install.10-weft.conflist.1', 'README', '05-cilium.conflist.cilium_bak', '.05-hidden.conflist'] }), { problems: [], notes: [] });
});
