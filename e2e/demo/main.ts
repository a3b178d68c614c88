/**
 * The main job on one machine: two nodes as network namespaces, two tenants with the same subnet, containers attached by
 * real CNI calls, then who reaches whom. Prints for a person to read; exit status 1 and the reasons when anything is not
 * as it should be. Everything it made is gone afterwards.
 */
import { run } from '../../pkg/testing/command.ts';
import { CleanupStack } from '../harness/cleanup-stack.ts';
import { ping } from '../harness/container.ts';
import type { LabNode, NodeSnapshot } from '../harness/lab-node.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { describeFaults, measureReach, type Participant } from '../harness/reach.ts';
import { attachGuest, blue, red, type Guest } from '../harness/tenant.ts';
import { renderTable } from '../harness/text-table.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { renderDurations, renderReach } from './render.ts';

const tenants = [blue, red] as const;
const underlayMtu = 1500;
/** underlay MTU less 50 bytes of VXLAN over IPv4 (RFC 7348 §5). */
const overlayMtu = underlayMtu - 50;

const picture = `
   node1  10.200.0.11                     node2  10.200.0.12
  ┌────────────────────────────┐         ┌────────────────────────────┐
  │ blue-1a blue-1b  VNI 1001  │         │ blue-2a blue-2b  VNI 1001  │
  │ red-1a  red-1b   VNI 1002  │         │ red-2a  red-2b   VNI 1002  │
  └─────────────┬──────────────┘         └─────────────┬──────────────┘
                └────────── underlay, VXLAN ───────────┘
`;

await main();

async function main(): Promise<void> {
  const failures: string[] = [];
  const scope = new CleanupStack();
  try {
    const missing = skipWithoutLab('tcpdump');
    if (missing !== false) throw new Error(`the demo ${missing}`);
    await demonstrate(scope, failures);
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  }
  await scope.run().catch((error: unknown) => failures.push(String(error)));
  if (leftovers().length > 0) failures.push(`namespaces are left over: ${leftovers().join(' ')}`);
  if (failures.length === 0) return print('\nEverything is as it should be, and nothing is left behind.');
  print(`\nThe demo FAILED:\n${failures.map((failure) => ` - ${failure}`).join('\n')}`);
  process.exitCode = 1;
}

async function demonstrate(scope: CleanupStack, failures: string[]): Promise<void> {
  print(`weft: one overlay network for each tenant\n${picture}`);
  const lab = createLab(scope, { nodes: 2, underlayMtu });
  const before = lab.nodes.map((node) => node.snapshot());

  print('1. Eight containers are attached by CNI ADD. Both tenants use the subnets 10.1.1.0/24 and fd00:1::/64.\n');
  const guests = await attachAll(lab);
  print(renderTable([['container', 'node', 'tenant', 'VNI', 'IPv4', 'IPv6', 'ADD'], ...guests.map(describeGuest)]));
  failures.push(...addressFaults(guests));

  print('\n2. Each container pings every address of the others over IPv4 and IPv6, and everybody by broadcast.');
  print('   Captures in all of them tell where the packets came out.\n');
  await lab.settle();
  const reaches = await measureReach(scope, guests.map(({ participant }) => participant));
  print(renderReach(reaches));
  print('\n   ✓ reached over IPv4 and IPv6   ✗ nothing came through   · itself');
  failures.push(...describeFaults(reaches));

  print(`\n3. Packets of the full ${overlayMtu} bytes with "don't fragment" cross between the nodes; one byte more does not.\n`);
  failures.push(...(await checkFullSize(guests)));

  print('\n4. All are detached by CNI DEL.\n');
  const deletions: number[] = [];
  for (const guest of guests) deletions.push((await lab.detach(guest)).ms);
  print(renderTable([['ADD', renderDurations(guests.map(({ addMs }) => addMs))], ['DEL', renderDurations(deletions)]]));
  failures.push(...lab.nodes.flatMap((node, index) => leftoversOf(node, before[index])));
}

async function attachAll(lab: Lab): Promise<readonly Guest[]> {
  const guests: Guest[] = [];
  for (const number of lab.nodes.keys().map((index) => index + 1)) {
    for (const tenant of tenants) {
      for (const letter of ['a', 'b']) guests.push(await attachGuest(lab, tenant, number, { label: `${tenant.name}-${number}${letter}` }));
    }
  }
  return guests;
}

function describeGuest({ participant: { name, tenant, ipv4, ipv6 }, node, attach, addMs }: Guest): readonly string[] {
  return [name, node.name, tenant, String(attach.conf['vni']), ipv4, ipv6, `${Math.round(addMs)} ms`];
}

/** That the tenants really use the same addresses is the point of the demo: it must not get lost. */
function addressFaults(guests: readonly Guest[]): readonly string[] {
  const addressesOf = (tenant: string): string =>
    guests.map(({ participant }) => participant).filter((one) => one.tenant === tenant).map(({ ipv4, ipv6 }) => `${ipv4} ${ipv6}`).join(', ');
  const [blue, red] = tenants.map(({ name }) => addressesOf(name));
  return blue === red ? [] : [`the tenants were meant to have the same addresses: blue has ${blue}, red has ${red}`];
}

async function checkFullSize(guests: readonly Guest[]): Promise<readonly string[]> {
  const probes = tenants.flatMap(({ name }) => {
    const [from, to] = [guestNamed(guests, `${name}-1a`), guestNamed(guests, `${name}-2a`)];
    // ICMP and IP headers: 8 and 20 bytes (RFC 792, RFC 791), 8 and 40 bytes (RFC 4443, RFC 8200).
    const targets = [{ address: to.ipv4, headerBytes: 28 }, { address: to.ipv6, headerBytes: 48 }];
    return targets.flatMap((target) => [overlayMtu, overlayMtu + 1].map((bytes) => ({ from, to, bytes, ...target })));
  });
  const failures: string[] = [];
  const rows = [['from', 'to', 'bytes', 'arrived']];
  for (const { from, to, address, bytes, headerBytes } of probes) {
    const isArrived = (await ping(from.netns, address, { size: bytes - headerBytes, df: true })) > 0;
    rows.push([from.name, `${to.name} ${address}`, String(bytes), isArrived ? '✓' : '✗']);
    const isExpected = bytes <= overlayMtu;
    if (isArrived !== isExpected) failures.push(`${bytes} bytes from ${from.name} to ${address} ${isArrived ? 'arrive' : 'do not arrive'}`);
  }
  print(renderTable(rows));
  return failures;
}

function guestNamed(guests: readonly Guest[], name: string): Participant {
  const guest = guests.find(({ participant }) => participant.name === name);
  if (guest === undefined) throw new Error(`no container is called ${name}`);
  return guest.participant;
}

function leftoversOf(node: LabNode, before: NodeSnapshot | undefined): readonly string[] {
  const after = node.snapshot();
  if (before === undefined || JSON.stringify(after) === JSON.stringify(before)) return [];
  const links = after.links.filter((link) => !before.links.includes(link));
  return [`${node.name} is not as it was before: links ${links.join(', ') || 'unchanged'}; nftables ${after.ruleset.trim() || 'empty'}`];
}

/** This process's own namespaces that still exist. */
function leftovers(): readonly string[] {
  return run('ip', ['netns', 'list']).split('\n').filter((line) => line.startsWith(`wt${process.pid}-`));
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
