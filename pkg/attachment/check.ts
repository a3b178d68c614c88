/** CHECK: the ledger, the kernel and what ADD had answered must agree. */
import { closeSync } from 'node:fs';
import { delegateCheck } from '../cni/delegate.ts';
import type { CniRequest } from '../cni/dispatch.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { formatInterfaceAddress } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { openNetns } from '../sys/netns.ts';
import type { EngineParts } from './engine-parts.ts';
import { isDelegated } from './ipam.ts';

/** Looks at everything the container's network needs on this node. @throws WeftError unknownContainer, checkFailed with all faults in words */
export async function check(parts: EngineParts, request: CniRequest): Promise<void> {
  const { record, segment } = findAttached(parts, request);
  const netnsFd = openNetns(request.netns);
  try {
    const faults = [...comparePrevResult(record, request), ...await parts.datapath.check({ segment, port: record.port, netnsFd })];
    if (faults.length > 0) throw new WeftError('checkFailed', `Container ${request.containerId}, ${request.ifName}: ${faults.join('; ')}`, { details: 'delete the container and create it again' });
  } finally {
    closeSync(netnsFd);
  }
  if (isDelegated(record.ipam)) await delegateCheck(record.ipam, request, { executor: parts.executor });
}

function findAttached(parts: EngineParts, { conf, containerId, ifName }: CniRequest): { record: AttachmentRecord; segment: Segment } {
  const key = { network: String(conf['name']), containerId, ifName };
  const found = parts.ledger().read((tx) => {
    const record = tx.findAttachment(key);
    const segment = record === undefined ? undefined : tx.findSegment(record.vni)?.segment;
    return { record, segment };
  });
  const { record, segment } = found;
  if (record === undefined) throw new WeftError('unknownContainer', `Container ${containerId}, ${ifName} is not attached to network ${key.network} on this node: call ADD`);
  if (record.state !== 'attached' || segment === undefined) throw new WeftError('checkFailed', `Container ${containerId}, ${ifName} is not attached completely: call DEL, then ADD`);
  return { record, segment };
}

/** Other plugins of a chain may have added to the result; what ADD answered must still be in it. */
function comparePrevResult({ key, port }: AttachmentRecord, { prevResult }: CniRequest): string[] {
  if (prevResult === undefined) return [];
  const faults: string[] = [];
  const own = prevResult.interfaces.find((entry) => entry.sandbox !== undefined && entry.name === key.ifName);
  if (own === undefined) faults.push(`prevResult lacks the interface ${key.ifName}`);
  else if (own.mac !== undefined && own.mac.toLowerCase() !== port.mac) faults.push(`prevResult gives ${key.ifName} the MAC ${own.mac}, ADD gave it ${port.mac}`);
  const addresses = new Set(prevResult.ips.map((ip) => ip.address.toLowerCase()));
  for (const address of port.addresses) {
    if (!addresses.has(formatInterfaceAddress(address))) faults.push(`prevResult lacks the address ${formatInterfaceAddress(address)}`);
  }
  return faults;
}
