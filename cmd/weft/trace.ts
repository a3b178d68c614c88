/** `weft trace`. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import type { NodeConf } from '../../pkg/config/node-model.ts';
import { describeError } from '../../pkg/errors/weft-error.ts';
import { formatAddress, parseAddress, parseMac, type Address, type Mac } from '../../pkg/netaddr/netaddr.ts';
import { tables } from '../../pkg/datapath/ovs/flows/flows.ts';
import { tunnelOf } from '../../pkg/datapath/ovs/rows.ts';
import { placeOf } from '../../pkg/datapath/ovs/switch/settings.ts';
import { tunnelName } from '../../pkg/datapath/ovs/switch/tunnel.ts';
import type { Segment } from '../../pkg/overlay/model.ts';
import { findingsFileIn } from '../../pkg/path/findings-file.ts';
import { contentOf } from '../../pkg/report/node-state.ts';
import type { PathStatus } from '../../pkg/report/paths.ts';
import { chooseEndpoint, chooseTenant, tenantOfRecord } from '../../pkg/trace/choose.ts';
import { seeNode } from '../../pkg/trace/look/node.ts';
import { defaultSizeBytes, protocols, sizeBytesMax, type Packet, type Protocol } from '../../pkg/trace/packet.ts';
import { renderTrace, reportTrace, type TraceReport } from '../../pkg/trace/report.ts';
import type { NodeSight, SwitchSight, TenantSight } from '../../pkg/trace/sight.ts';
import { traceArriving, traceSent } from '../../pkg/trace/trace.ts';
import { nameOf } from '../../pkg/trace/way.ts';
import { openSwitchOf, type NodeSwitch } from './build-datapath.ts';
import { openKernelIn } from './build-engine.ts';
import { noteAbsence } from './node-notes.ts';
import { observeDaemon, observeNode } from './node-view.ts';
import { outputOption, printNote, printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces, type Places } from './places.ts';

const traceExamples = `
It changes nothing and sends no packet: each step is read from the kernel as it is, and names the command that shows it. It works without a
daemon, and needs root. docs/trace.md has each step.

<endpoint> is a name, a pod, a container's id or its beginning, an address, or a host interface, as weft endpoints shows them. For a packet that
comes from another node leave it out, and say which VTEP it comes from.

Exit status: 0 when the packet reaches somebody on this node or leaves for another, 1 when it is lost or cannot be followed, 2 for wrong usage.

Examples:
  weft trace shop/db-0 10.1.1.20
  weft trace web 10.1.1.20 --protocol tcp --port 443 --size 1500
  weft trace web 198.51.100.7
  weft trace web 10.1.1.20 -o json | jq -r '.steps[] | select(.outcome == "stops") | .show' | sh
  weft trace --arriving --from-vtep 192.0.2.1 --tenant blue 10.1.1.20
`;

interface TraceOptions extends OutputOptions {
  readonly tenant?: string;
  readonly protocol: Protocol;
  readonly port?: number;
  readonly size: number;
  readonly mac?: Mac;
  readonly arriving?: true;
  readonly fromVtep?: Address;
}

/** Adds the command. */
export function addTrace(program: Command): void {
  program
    .command('trace')
    .description('where a packet from an endpoint to an address goes, and where it stops, from the real state of the node')
    .usage('<endpoint> <address> [options] | --arriving --from-vtep <address> <address> [options]')
    .argument('<words...>', 'the endpoint and the address; of an arriving packet the address alone')
    .addOption(outputOption())
    .addOption(new Option('--tenant <name>', 'the tenant, by its name or its VNI, where the endpoint alone does not say it'))
    .addOption(new Option('--protocol <name>', 'what is sent').choices(protocols).default('icmp'))
    .addOption(new Option('--port <number>', 'the destination port, of tcp and udp').argParser((text) => parseNumber(text, 65_535)))
    .addOption(new Option('--size <bytes>', 'of the whole IP packet, which nobody may fragment').argParser((text) => parseNumber(text, sizeBytesMax)).default(defaultSizeBytes))
    .addOption(new Option('--mac <mac>', 'the MAC that it is sent to (default: what the sender knows, or would be answered)').argParser((text) => parsed(() => parseMac(text, 'mac'))))
    .addOption(new Option('--arriving', 'follow a packet that comes from another node; needs --from-vtep'))
    .addOption(new Option('--from-vtep <address>', 'the VTEP of that node').argParser((text) => parsed(() => parseAddress(text, 'from-vtep'))))
    .addHelpText('after', traceExamples)
    .action(tracePacket);
}

function parseNumber(text: string, max: number): number {
  const number = Number(text);
  if (/^[0-9]{1,5}$/.test(text) && number >= 1 && number <= max) return number;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${max}.`);
}

function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new InvalidArgumentError(describeError(error));
  }
}

interface Wanted {
  readonly packet: Packet;
  /** Absent: it arrives. */
  readonly endpoint?: string;
}

/** What the words are. Those that do not fit are wrong usage, and end the command. */
function readWords(words: readonly string[], { protocol, port, size, arriving, fromVtep }: TraceOptions, command: Command): Wanted {
  const isArriving = arriving === true || fromVtep !== undefined;
  const misuse = (message: string): never => command.error(`error: ${message}`, { exitCode: 2 });
  if (isArriving && fromVtep === undefined) return misuse('--arriving needs --from-vtep <address>: where does the packet come from?');
  if (words.length !== (isArriving ? 1 : 2)) return misuse(isArriving ? 'an arriving packet needs one address: weft trace --from-vtep <address> <address>' : 'two words are needed: weft trace <endpoint> <address>');
  if (port !== undefined && protocol === 'icmp') return misuse('--port needs --protocol tcp or udp');
  const text = words.at(-1) ?? '';
  try {
    const packet = { destination: parseAddress(text), protocol, size, ...(port === undefined ? {} : { port }) };
    return isArriving ? { packet } : { packet, endpoint: words[0] ?? '' };
  } catch (error) {
    return misuse(describeError(error));
  }
}

async function tracePacket(words: readonly string[], options: TraceOptions, command: Command): Promise<void> {
  const wanted = readWords(words, options, command);
  await reportFailures(async () => {
    const places = findPlaces();
    const node = await observeNode(places);
    noteAbsence(node);
    const content = contentOf(node);
    const record = wanted.endpoint === undefined ? undefined : chooseEndpoint(content, wanted.endpoint, options.tenant);
    const tenant = record === undefined ? chooseTenant(content, options.tenant) : tenantOfRecord(content, record);
    const report = await onNode({ places, conf: node.configuration.kind === 'valid' ? node.configuration.conf : undefined }, tenant, (sight): TraceReport => {
      const { segment } = tenant;
      const common = { node: sight, tenant, packet: wanted.packet, ...(options.mac === undefined ? {} : { mac: options.mac }) };
      const subject = { tenant: segment.tenant, vni: segment.vni, packet: wanted.packet };
      if (record !== undefined) return reportTrace({ ...subject, endpoint: nameOf(record), fromVtep: null }, traceSent({ ...common, record }));
      const vtep = options.fromVtep ?? segment.vtepAddress;
      return reportTrace({ ...subject, endpoint: null, fromVtep: formatAddress(vtep) }, traceArriving({ ...common, vtep }));
    });
    printReport({ value: report, render: () => renderTrace(report) }, options);
    if (report.verdict.kind === 'stops' || report.verdict.kind === 'unknown') process.exitCode = 1;
  });
}

interface Opened {
  readonly places: Places;
  readonly conf: NodeConf | undefined;
}

/** Runs with the node opened, and closes what it has opened. */
async function onNode<T>({ places, conf }: Opened, tenant: TenantSight, fn: (sight: NodeSight) => T): Promise<T> {
  const kernel = openKernelIn(places);
  const isOvs = tenant.segment.datapath === 'ovs';
  const nodeSwitch = isOvs ? await openSwitchOf(places) : undefined;
  try {
    const seen = nodeSwitch === undefined ? undefined : await seeSwitch(nodeSwitch, { conf, segment: tenant.segment });
    return fn(seeNode({ kernel, segment: tenant.segment, paths: await findPaths(places), switch: seen }));
  } finally {
    await nodeSwitch?.ovs.close();
    kernel.close();
  }
}

/** The daemon's word of the paths; without one, what an earlier one has written down of narrow ones. */
async function findPaths(places: Places): Promise<readonly PathStatus[] | undefined> {
  const daemon = await observeDaemon(places);
  if (daemon.kind === 'running') return daemon.status.paths?.paths;
  const remembered = findingsFileIn(places.stateDirectory, printNote).read();
  return remembered.map(({ vtep, peer, peerNode, way, packetBytes, since, fullBytes, isActedOn = false }) => ({
    vtep: formatAddress(vtep), peer: formatAddress(peer), state: 'narrow', fullBytes, narrow: { packetBytes, way, since, isActedOn }, ...(peerNode === undefined ? {} : { peerNode }),
  }));
}

/** All flows of the bridge, whosever they are: each may take the packet. */
async function seeSwitch({ ovs }: NodeSwitch, { conf, segment }: { readonly conf: NodeConf | undefined; readonly segment: Segment }): Promise<SwitchSight> {
  const names = new Map(Object.entries(tables).map(([name, number]) => [number as number, name]));
  const common = { bridge: placeOf(conf?.ovs ?? {}).bridge, tunnel: tunnelName(tunnelOf(segment)), tableName: (table: number): string => names.get(table) ?? "not weft's" };
  const none = { ...common, isUserspace: true, ports: [], flows: [] };
  try {
    const obstacle = await ovs.findObstacle();
    if (obstacle !== undefined) return { ...none, obstacle };
    const [flows, datapathType] = [await ovs.listFlows(), await ovs.findDatapathType()];
    const ports = [...ovs.ports()].map(([name, { role, ofport, error }]) => ({ name, isTunnel: role === 'tunnel', ...(ofport === undefined ? {} : { ofport }), ...(error === undefined ? {} : { error }) }));
    return { ...common, isUserspace: datapathType === 'netdev', ports, flows };
  } catch (error) {
    return { ...none, obstacle: describeError(error) };
  }
}
