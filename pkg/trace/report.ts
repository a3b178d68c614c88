/** What `weft trace` prints, for people and for programs. Pure. */
import { formatAddress } from '../netaddr/netaddr.ts';
import { printable } from '../report/text.ts';
import type { Packet } from './packet.ts';
import type { Outcome, Step } from './step.ts';
import type { Trace, Verdict } from './trace.ts';

/** What `weft trace -o json` prints. Every key is always there, but for `fix`, which steps have that end the way; keys may be added. */
export interface TraceReport {
  readonly tenant: string;
  readonly vni: number;
  /** The endpoint that sends; null for a packet that comes from another node. */
  readonly endpoint: string | null;
  /** The VTEP that it comes from; null for a packet of an endpoint here. */
  readonly fromVtep: string | null;
  readonly packet: { readonly destination: string; readonly protocol: string; readonly port: number | null; readonly size: number };
  readonly verdict: Verdict;
  readonly steps: readonly Step[];
}

/** Who asks what. */
export interface TraceSubject {
  readonly tenant: string;
  readonly vni: number;
  readonly endpoint: string | null;
  readonly fromVtep: string | null;
  readonly packet: Packet;
}

/** Puts it together. */
export function reportTrace({ packet, ...subject }: TraceSubject, { steps, verdict }: Trace): TraceReport {
  const { destination, protocol, port = null, size } = packet;
  return { ...subject, packet: { destination: formatAddress(destination), protocol, port, size }, verdict, steps };
}

const words: Readonly<Record<Outcome, string>> = { ok: 'ok', note: 'note', unknown: 'unknown', stops: 'STOPS' };
const verdicts: Readonly<Record<Verdict['kind'], string>> = { reaches: 'reaches', leaves: 'leaves', stops: 'STOPS', unknown: 'unknown' };

/** One line a step, with the command that shows it below; then the verdict. */
export function renderTrace({ tenant, endpoint, fromVtep, packet, steps, verdict }: TraceReport): string {
  const what = `${packet.protocol}${packet.port === null ? '' : ` port ${packet.port}`}, ${packet.size} bytes`;
  const lines = [
    `${endpoint ?? `VTEP ${fromVtep ?? ''}`} of tenant ${tenant} to ${packet.destination} (${what})`,
    '',
    ...steps.flatMap(renderStep),
    '',
    `${verdicts[verdict.kind]}: ${verdict.what}`,
    ...(verdict.next === null ? [] : [`on ${verdict.vteps.length === 1 ? 'that node' : 'those nodes'}: ${verdict.next}`]),
  ];
  return lines.map((line) => `${printable(line)}\n`).join('');
}

const outcomeWidth = 8;
const idWidth = 20;

function renderStep({ id, outcome, what, show, fix }: Step): readonly string[] {
  const indent = ' '.repeat(outcomeWidth + idWidth);
  return [`${words[outcome].padEnd(outcomeWidth)}${id.padEnd(idWidth)}${what}`, `${indent}$ ${show}`, ...(fix === undefined ? [] : [`${indent}→ ${fix}`])];
}
