/** The flows of an endpoint that moves as ovs-ofctl(8) writes them, against a golden file; UPDATE_GOLDEN=1 writes it anew. And what is true of them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseAddress } from '../../../netaddr/netaddr.ts';
import { output, ports, setField } from '../../../openflow/action.ts';
import { flowKey, type Flow, type FlowMod, type ListedFlow } from '../../../openflow/flow.ts';
import { formatFlow } from '../../../openflow/format.ts';
import type { MigrationPhase } from '../../../overlay/model.ts';
import { planPortFlows, planPortFlowsUnseen } from '../port-flows.ts';
import { countsRelayed, flowsOfPort, openedFlows, ownerOf, portFlows, tables, type LocalPort, type TenantNetwork } from './flows.ts';
import { blue, blueNetwork, bluePort, redNetwork, redPort } from './test-tenants.ts';

const golden = join(import.meta.dirname, 'testdata', 'migration.txt');
const phases: readonly MigrationPhase[] = ['relaying', 'departed', 'left', 'waiting', 'arrived'];
const [other4, other6] = [parseAddress('192.0.2.2'), parseAddress('2001:db8::2')];

function inPhase(local: LocalPort, phase: MigrationPhase, other = other4): LocalPort {
  return { ...local, port: { ...local.port, migration: { id: 'm', phase, other, since: 0 } } };
}

function flowsIn(phase: MigrationPhase): Flow[] {
  return flowsOfPort(blueNetwork, inPhase(bluePort, phase));
}

function listed(flows: readonly Flow[]): ListedFlow[] {
  return flows.map((flow) => ({ ...flow, cookie: flow.cookie ?? 0n, ageSeconds: 1, packets: 7n, bytes: 0n }));
}

/** What is there when the changes have been made, of which those by filter name a table. */
function carriedOut(mods: readonly FlowMod[], before: readonly Flow[]): readonly Flow[] {
  return mods.reduce((flows, mod) => {
    if (mod.kind === 'delete') return flows.filter(({ table }) => table !== mod.filter.table);
    const others = flows.filter((flow) => flowKey(flow) !== flowKey(mod.flow));
    return mod.kind === 'add' ? [...others, mod.flow] : others;
  }, before);
}

t.test('the flows are as they are written down', async (t) => {
  const sections: Readonly<Record<string, readonly Flow[]>> = {
    ...Object.fromEntries(phases.map((phase) => [phase, flowsIn(phase)])),
    'relaying, over IPv6 and without addresses': flowsOfPort({ ...redNetwork, segment: { ...redNetwork.segment, vni: blue } }, inPhase({ ...redPort, port: { ...redPort.port, vni: blue } }, 'relaying', other6)),
    'waiting, over IPv6 and without addresses': flowsOfPort({ ...redNetwork, segment: { ...redNetwork.segment, vni: blue } }, inPhase({ ...redPort, port: { ...redPort.port, vni: blue } }, 'waiting', other6)),
  };
  const text = Object.entries(sections).map(([title, flows]) => `# ${title}\n${flows.map((flow) => `${formatFlow(flow)}\n`).join('')}`).join('\n');
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
  t.equal(text, readFileSync(golden, 'utf8'));
});

t.test('whatever its part, a port\'s flows are its own, each by one name', async (t) => {
  for (const phase of phases) {
    const flows = flowsIn(phase);
    t.equal(new Set(flows.map(flowKey)).size, flows.length, phase);
    for (const flow of flows) t.same(ownerOf(flow.cookie ?? 0n), { kind: 'port', vni: blue, ofport: 101 }, formatFlow(flow));
  }
  t.same(flowsOfPort(blueNetwork, bluePort), portFlows(bluePort));
});

t.test('a port that waits gets what comes through the tunnel, behind which the gate is, and what it sends is the tenant\'s by an announcement only', async (t) => {
  const flows = flowsIn('waiting');
  const given = flows.filter(({ instructions: { apply = [] } }) => apply.some((action) => action.kind === 'output' && action.port !== ports.controller));
  t.same(given.map(({ table, match: { inPort, ethDst }, instructions }) => ({ table, inPort, ethDst, instructions })), [{ table: tables.local, inPort: blueNetwork.tunnel, ethDst: bluePort.port.mac, instructions: { apply: [output(101)] } }]);
  const ofPort = flows.filter(({ match }) => match.inPort === 101);
  const [opening, others] = [ofPort.filter(({ instructions: { apply = [] } }) => apply.some(({ kind }) => kind === 'learn')), ofPort.filter(({ instructions: { apply = [] } }) => !apply.some(({ kind }) => kind === 'learn'))];
  t.equal(opening.length, 1 + 1 + 2 * 2, 'RARP, an IPv4 address, two of IPv6 with the MAC or without');
  t.ok(opening.every(({ instructions }) => instructions.writeMetadata === BigInt(blue)));
  t.ok(others.length > 0 && others.every(({ instructions }) => instructions.writeMetadata === undefined));
  t.same(ofPort.map(flowKey).filter((key) => !opening.map(flowKey).includes(key)).sort(), portFlows(bluePort).filter(({ match, table }) => match.inPort === 101 && table <= tables.discovery).map(flowKey).filter((key) => !opening.map(flowKey).includes(key)).sort(), 'the guard is whole');
});

t.test('what is learned shares no name with what the port has in any phase', async (t) => {
  const learned = openedFlows(bluePort).map(flowKey);
  t.equal(learned.length, 2);
  for (const phase of phases) t.notOk(flowsIn(phase).some((flow) => learned.includes(flowKey(flow))), phase);
});

t.test('a port that has departed sends nothing, and gets nothing', async (t) => {
  for (const phase of ['departed', 'left'] as const) {
    const flows = flowsIn(phase);
    t.notOk(flows.some(({ match }) => match.inPort === 101));
    t.notOk(flows.some(({ instructions: { apply = [] } }) => apply.some((action) => action.kind === 'output' && action.port === 101)));
  }
});

t.test('relayed frames have the spare VNI and the target, and go back into the tunnel where they came from it', async (t) => {
  const counted = flowsIn('relaying').filter(countsRelayed);
  t.same(counted.map(({ table }) => table), [tables.arrivals, tables.arrivals, tables.arrivals, tables.local], 'two addresses and a link-local one');
  for (const { instructions: { apply = [] } } of counted) t.same(apply.slice(-3), [setField('tunnelId', 16777215n - 1001n), setField('tunnelIpv4Dst', other4), output(ports.inPort)]);
  t.same(flowsIn('departed').filter(countsRelayed).map(flowKey).sort(), counted.map(flowKey).sort(), 'by the same names: the counts go on');
});

t.test('from phase to phase only what differs is changed', async (t) => {
  const network: TenantNetwork = blueNetwork;
  const local = inPhase(bluePort, 'arrived');
  const opened = openedFlows(local).map((name): Flow => ({ ...name, instructions: {}, cookie: flowsIn('waiting')[0]?.cookie ?? 0n }));
  const waiting = inPhase(bluePort, 'waiting');
  t.same(planPortFlows(waiting, { wanted: flowsIn('waiting'), present: listed([...flowsIn('waiting'), ...opened]) }), [], 'what the machine has opened stays open');
  for (const phase of phases) t.same(planPortFlows(inPhase(bluePort, phase), { wanted: flowsIn(phase), present: listed(flowsIn(phase)) }), [], phase);
  for (const [from, to] of [['waiting', 'arrived'], ['relaying', 'departed'], ['departed', 'departed'], ['arrived', 'arrived']] as const) {
    const moving = inPhase(bluePort, to);
    const mods = planPortFlowsUnseen(network, moving, flowsIn(to));
    t.ok(mods.length < 50, `${from} to ${to}: ${mods.length} messages`);
    const after = carriedOut(mods, [...flowsIn(from), ...(from === 'waiting' ? opened : [])]);
    t.same(after.map(formatFlow).sort(), flowsIn(to).map(formatFlow).sort(), `${from} to ${to}`);
  }
});
