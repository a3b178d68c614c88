/** Which endpoint is meant, and which tenant. Pure. */
import { WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord, SegmentRecord } from '../ledger/records.ts';
import { formatAddress } from '../netaddr/netaddr.ts';
import type { LedgerContent } from '../report/node-state.ts';
import { shortContainerId } from '../report/text.ts';
import type { TenantSight } from './sight.ts';

/** Of a container's id; shorter ones could be a name. */
const idDigitsMin = 6;
const candidatesMax = 10;

/** Somebody has named what there is not, or not once. */
function refuse(message: string, candidates: readonly string[]): never {
  const shown = candidates.slice(0, candidatesMax);
  const rest = candidates.length > shown.length ? `, and ${candidates.length - shown.length} more` : '';
  throw new WeftError('unknownContainer', shown.length === 0 ? message : `${message}: ${shown.join('; ')}${rest}`);
}

/** How an endpoint can be named; what comes first wins, so that a name is never taken for the beginning of an id. */
const waysToName: readonly ((record: AttachmentRecord, word: string) => boolean)[] = [
  ({ endpoint }, word) => endpoint === word,
  ({ pod }, word) => pod === word,
  ({ key }, word) => key.containerId === word,
  ({ port }, word) => port.addresses.some(({ address }) => formatAddress(address) === word),
  ({ hostIf }, word) => hostIf === word,
  ({ key }, word) => word.length >= idDigitsMin && key.containerId.startsWith(word),
];

/**
 * The attachment that a word means, as `weft endpoints` shows it: a name, a pod, a container's id or its beginning, an address, a host interface.
 * @throws WeftError unknownContainer, with those that could be meant
 */
export function chooseEndpoint({ attachments }: LedgerContent, word: string, tenant?: string): AttachmentRecord {
  const known = attachments.filter((record) => record.state === 'attached' && (tenant === undefined || record.tenant === tenant || String(record.vni) === tenant));
  const found = waysToName.map((is) => known.filter((record) => is(record, word))).find((records) => records.length > 0) ?? [];
  const [first] = found;
  if (first !== undefined && found.length === 1) return first;
  if (first === undefined) return refuse(`No endpoint on this node is called ${word}${tenant === undefined ? '' : ` in tenant ${tenant}`}${known.length === 0 ? '' : '; there are'}`, known.map(describe));
  return refuse(`${word} can be ${found.length} endpoints: name one by its container's id, or add --tenant`, found.map(describe));
}

function describe({ tenant, endpoint, pod, key, port }: AttachmentRecord): string {
  const name = endpoint ?? pod;
  const addresses = port.addresses.map(({ address }) => formatAddress(address)).join(' ');
  return `${name === undefined ? '' : `${name} `}${shortContainerId(key.containerId)} ${key.ifName} of ${tenant}${addresses === '' ? '' : `, ${addresses}`}`;
}

/** The tenant, by its name or its VNI; without one, the only one of the node. @throws WeftError unknownContainer */
export function chooseTenant(content: LedgerContent, word: string | undefined): TenantSight {
  const { segments } = content;
  const found = word === undefined ? segments : segments.filter(({ segment }) => segment.tenant === word || String(segment.vni) === word);
  const [first] = found;
  const names = segments.map(({ segment }) => `${segment.tenant} (VNI ${segment.vni})`);
  if (first !== undefined && found.length === 1) return tenantOf(content, first);
  return refuse(word === undefined ? 'Name the tenant with --tenant; there are' : `No tenant ${word} has an endpoint on this node; there are`, names);
}

/** The tenant of an attachment. @throws WeftError unknownContainer */
export function tenantOfRecord(content: LedgerContent, { vni, tenant }: AttachmentRecord): TenantSight {
  const found = content.segments.find((entry) => entry.vni === vni);
  return found === undefined ? refuse(`The ledger has no segment of tenant ${tenant}`, []) : tenantOf(content, found);
}

function tenantOf({ attachments }: LedgerContent, { segment, vni }: SegmentRecord): TenantSight {
  return { segment, records: attachments.filter((record) => record.vni === vni && record.state === 'attached') };
}
