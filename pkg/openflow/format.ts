/** Flows as text, as ovs-ofctl(8) prints them and takes them; for logs and errors. Pure. */
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import { ports, type Action, type FieldPart } from './action.ts';
import { fieldShapes, type FieldName, type FieldValue } from './field.ts';
import type { Flow, FlowFilter, FlowName } from './flow.ts';
import type { Instructions } from './instruction.ts';
import type { LearnAction, LearnSource, LearnSpec } from './learn.ts';
import { etherTypes, ipProtocols, isMasked, type Masked, type Match } from './match.ts';

/** `cookie=0x1, table=10, priority=50,metadata=0x3e9,dl_dst=02:00:00:00:00:01 actions=output:101`. */
export function formatFlow(flow: Flow): string {
  const { cookie = 0n, idleTimeoutSeconds = 0, hardTimeoutSeconds = 0, flags = [] } = flow;
  const settings = [
    ...(cookie === 0n ? [] : [`cookie=${hex(cookie)}`]),
    `table=${flow.table}`,
    ...(idleTimeoutSeconds === 0 ? [] : [`idle_timeout=${idleTimeoutSeconds}`]),
    ...(hardTimeoutSeconds === 0 ? [] : [`hard_timeout=${hardTimeoutSeconds}`]),
    ...flags.map((flag) => flagTexts[flag]),
  ];
  return `${settings.join(', ')}, ${rule(flow)} actions=${formatInstructions(flow.instructions)}`;
}

const flagTexts = { sendFlowRemoved: 'send_flow_rem', noPacketCounts: 'no_packet_counts', noByteCounts: 'no_byte_counts' } as const;

/** `table=10, priority=50,metadata=0x3e9,dl_dst=02:00:00:00:00:01`. */
export function formatFlowName(flow: FlowName): string {
  return `table=${flow.table}, ${rule(flow)}`;
}

function rule({ priority, match }: FlowName): string {
  return [`priority=${priority}`, ...matchTexts(match)].join(',');
}

/** `table=10,cookie=0x1/-1,metadata=0x3e9`, or `of every kind`. */
export function formatFilter({ table, match = {}, cookie, cookieMask, outPort, outGroup }: FlowFilter): string {
  const parts = [
    ...(table === undefined ? [] : [`table=${table}`]),
    ...(cookie === undefined ? [] : [`cookie=${hex(cookie)}/${cookieMask === undefined ? '-1' : hex(cookieMask)}`]),
    ...(outPort === undefined ? [] : [`out_port=${outPort}`]),
    ...(outGroup === undefined ? [] : [`out_group=${outGroup}`]),
    ...matchTexts(match),
  ];
  return parts.length === 0 ? 'of every kind' : parts.join(',');
}

/** `arp,in_port=101,arp_op=1`; empty for a match of everything. */
export function formatMatch(match: Match): string {
  return matchTexts(match).join(',');
}

function matchTexts(match: Match): readonly string[] {
  const { word, said } = protocolWord(match);
  const names = (Object.keys(fieldShapes) as FieldName[]).filter((name) => match[name] !== undefined && !said.includes(name));
  const known = names.map((name) => matchText(name, match[name] as FieldValue | Masked<FieldValue>));
  const unknown = (match.unknown ?? []).map(({ header, bytes }) => `oxm:${hex(header, 8)}=${bytes}`);
  return [...(word === undefined ? [] : [word]), ...known, ...unknown];
}

/** ovs-ofctl(8) has words for the usual protocols: the Ethernet type, or that and the protocol over IP. */
function protocolWord({ ethType, ipProto }: Match): { readonly word: string | undefined; readonly said: readonly FieldName[] } {
  const ether = Object.entries(etherWords).find(([, number]) => number === ethType)?.[0];
  if (ether === undefined) return { word: undefined, said: [] };
  const transport = ether === 'ip' || ether === 'ipv6' ? Object.entries(transportWords[ether]).find(([, number]) => number === ipProto)?.[0] : undefined;
  return transport === undefined ? { word: ether, said: ['ethType'] } : { word: transport, said: ['ethType', 'ipProto'] };
}

const etherWords = { ip: etherTypes.ipv4, arp: etherTypes.arp, rarp: etherTypes.rarp, ipv6: etherTypes.ipv6 } as const;
const transportWords = {
  ip: { icmp: ipProtocols.icmp, tcp: ipProtocols.tcp, udp: ipProtocols.udp },
  ipv6: { icmp6: ipProtocols.icmpv6, tcp6: ipProtocols.tcp, udp6: ipProtocols.udp },
} as const;

function matchText(name: FieldName, value: FieldValue | Masked<FieldValue>): string {
  const { text } = fieldShapes[name];
  if (name === 'inPort' && value === ports.local) return `${text}=LOCAL`;
  if (name === 'vlanVid') return vlanText(value as number | Masked<number>);
  if (!isMasked(value)) return `${text}=${formatValue(name, value)}`;
  if (fieldShapes[name].kind === 'address') return `${text}=${addressText(value as Masked<Address>)}`;
  return `${text}=${maskedPart(value.value)}/${maskedPart(value.mask)}`;
}

function maskedPart(value: FieldValue): string {
  return typeof value === 'number' || typeof value === 'bigint' ? hex(value) : formatValue('ethSrc', value);
}

/** A VLAN by its number where there is one, otherwise the bits of the tag. */
function vlanText(value: number | Masked<number>): string {
  const { value: bits, mask } = isMasked(value) ? value : { value, mask: 0x1fff };
  return mask === 0x1fff && (bits & 0x1000) !== 0 ? `dl_vlan=${bits & 0xfff}` : `vlan_tci=${hex(bits, 4)}/${hex(mask, 4)}`;
}

/** With the length of the prefix, where the mask is one. */
function addressText({ value, mask }: Masked<Address>): string {
  const bits = mask.value.toString(2).padStart(mask.family === 4 ? 32 : 128, '0');
  const length = bits.lastIndexOf('1') + 1;
  return `${formatAddress(value)}/${bits.indexOf('0') < length && bits.includes('0') ? formatAddress(mask) : length}`;
}

function formatValue(name: FieldName, value: FieldValue): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object') return formatAddress(value);
  return fieldShapes[name].base === 10 ? String(value) : hex(value, name === 'ethType' ? 4 : 0);
}

function hex(value: number | bigint, digits = 0): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/** `set_field:0x3e9->tun_id,goto_table:10`, or `drop`. */
export function formatInstructions({ meter, apply = [], clear, write = [], writeMetadata, gotoTable, unknown = [] }: Instructions): string {
  const parts = [
    ...(meter === undefined ? [] : [`meter:${meter}`]),
    ...apply.map(formatAction),
    ...(clear === true ? ['clear_actions'] : []),
    ...(write.length === 0 ? [] : [`write_actions(${write.map(formatAction).join(',')})`]),
    ...(writeMetadata === undefined ? [] : [`write_metadata:${metadataText(writeMetadata)}`]),
    ...(gotoTable === undefined ? [] : [`goto_table:${gotoTable}`]),
    ...unknown.map((bytes) => `instruction:${bytes}`),
  ];
  return parts.length === 0 ? 'drop' : parts.join(',');
}

function metadataText(written: bigint | Masked<bigint>): string {
  return typeof written === 'bigint' ? hex(written) : `${hex(written.value)}/${hex(written.mask)}`;
}

function formatAction(action: Action): string {
  switch (action.kind) {
    case 'output':
      return outputText(action);
    case 'group':
      return `group:${action.group}`;
    case 'setField':
      return `set_field:${formatValue(action.field, action.value)}->${actionName(action.field)}`;
    case 'move':
      return `move:${partText(action.from)}->${partText(action.to)}`;
    case 'load':
      return `load:${hex(action.value)}->${partText(action.to)}`;
    case 'resubmit':
      return `resubmit(${action.port === ports.inPort ? '' : action.port},${action.table})`;
    case 'learn':
      return learnText(action);
    case 'unknown':
      return `action:${action.bytes}`;
  }
}

const portWords: ReadonlyMap<number, string> = new Map([[ports.inPort, 'IN_PORT'], [ports.table, 'TABLE'], [ports.normal, 'NORMAL'], [ports.flood, 'FLOOD'], [ports.all, 'ALL'], [ports.local, 'LOCAL']]);

function outputText({ port, maxBytes }: { readonly port: number; readonly maxBytes: number }): string {
  return port === ports.controller ? `CONTROLLER:${maxBytes}` : (portWords.get(port) ?? `output:${port}`);
}

function actionName(field: FieldName): string {
  return fieldShapes[field].actionText ?? fieldShapes[field].text;
}

function partText({ field, offset, bits }: FieldPart): string {
  const range = offset === 0 && bits === fieldShapes[field].bits ? '' : bits === 1 ? String(offset) : `${offset}..${offset + bits - 1}`;
  return `${actionName(field)}[${range}]`;
}

function learnText({ table, priority, cookie, idleTimeoutSeconds, hardTimeoutSeconds, specs }: LearnAction): string {
  const settings = [`table=${table}`, `idle_timeout=${idleTimeoutSeconds}`, `hard_timeout=${hardTimeoutSeconds}`, `priority=${priority}`, `cookie=${hex(cookie)}`];
  return `learn(${[...settings, ...specs.map(specText)].join(',')})`;
}

function specText(spec: LearnSpec): string {
  if (spec.kind === 'output') return `output:${partText(spec.source)}`;
  return spec.kind === 'load' ? `load:${sourceText(spec.source)}->${partText(spec.to)}` : `${partText(spec.to)}=${sourceText(spec.source)}`;
}

function sourceText(source: LearnSource): string {
  return 'value' in source ? hex(source.value) : partText(source);
}
