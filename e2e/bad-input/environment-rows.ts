/** Environments that must be refused. A right one has a namespace of the container's own and the name eth0. */
import type { Row } from './configuration-rows.ts';

const environment = [4];

export interface EnvironmentPaths {
  /** The node's own namespace. */
  readonly nodeNetns: string;
  readonly regularFile: string;
  readonly directory: string;
}

export const environmentRows: readonly Row[] = [
  wrong('an empty command', { CNI_COMMAND: '' }, /CNI_COMMAND/),
  missing('CNI_CONTAINERID'),
  missing('CNI_NETNS'),
  missing('CNI_IFNAME'),
  wrong('a command that is none', { CNI_COMMAND: 'CREATE' }, /CNI_COMMAND.*CREATE/s),
  wrong('a command in small letters', { CNI_COMMAND: 'add' }, /CNI_COMMAND.*add/s),
  ...['', '-leading', 'a/b', 'a b', 'ä'].map((id) => wrong(`container ID ${JSON.stringify(id)}`, { CNI_CONTAINERID: id }, /CNI_CONTAINERID/)),
  ...['', '.', '..', 'a/b', 'a:b', 'a b', 'sixteencharacter'].map((name) => wrong(`interface name ${JSON.stringify(name)}`, { CNI_IFNAME: name }, /CNI_IFNAME/)),
  wrong('two faults, both named', { CNI_IFNAME: 'a/b', CNI_CONTAINERID: 'c d' }, /CNI_IFNAME.*CNI_CONTAINERID|CNI_CONTAINERID.*CNI_IFNAME/s),
  wrong('arguments without a value', { CNI_ARGS: 'IP' }, /CNI_ARGS/),
  wrong('arguments without a key', { CNI_ARGS: '=10.1.1.9' }, /CNI_ARGS/),
  wrong('an unknown argument', { CNI_ARGS: 'WEFT_ENDPONT=one' }, /WEFT_ENDPONT.*WEFT_ENDPOINT/s),
  wrong('a requested address that is none', { CNI_ARGS: 'IP=ten' }, /IP.*ten/s, [4, 7]),
  wrong('a requested MAC that is none', { CNI_ARGS: 'MAC=ten' }, /MAC.*ten/s, [4, 7]),
  wrong('an endpoint with a space', { CNI_ARGS: 'WEFT_ENDPOINT=one two' }, /WEFT_ENDPOINT/, [4, 7]),
];

/** Values of CNI_NETNS that are no network namespace, or the wrong one. */
export function netnsRows({ nodeNetns, regularFile, directory }: EnvironmentPaths): readonly Row[] {
  const paths = [
    { name: 'a path that does not exist', path: '/run/netns/no-such-namespace' },
    { name: 'a regular file', path: regularFile },
    { name: 'a directory', path: directory },
    { name: 'a device', path: '/dev/null' },
    { name: 'a mount namespace', path: '/proc/self/ns/mnt' },
    { name: 'a UTS namespace', path: '/proc/self/ns/uts' },
    { name: "the node's own namespace", path: nodeNetns },
    { name: "the plugin's own namespace", path: '/proc/self/ns/net' },
  ];
  return paths.map(({ name, path }) => wrong(`namespace: ${name}`, { CNI_NETNS: path }, /CNI_NETNS must be/));
}

function missing(variable: string): Row {
  return wrong(`no ${variable}`, { [variable]: undefined }, new RegExp(variable));
}

function wrong(name: string, env: Readonly<Record<string, string | undefined>>, says: RegExp, codes: readonly number[] = environment): Row {
  return { name, env, codes, says };
}
