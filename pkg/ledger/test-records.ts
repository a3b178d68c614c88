/** Records and directories for the tests of this folder. */
import { parseAddress, parseInterfaceAddress, parseMac, parsePrefix, parseVni, type Mac, type Vni } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { companyOf } from '../sys/company.ts';
import { openLedger, type Ledger } from './ledger.ts';
import type { Identity, NewAttachment } from './records.ts';

export const blueVni: Vni = parseVni(1001);
export const redVni: Vni = parseVni(1002);
export const bootOne = '00000000-0000-4000-8000-000000000001';
export const bootTwo = '00000000-0000-4000-8000-000000000002';

/** The ledger in a directory of the test's, closed at its end. */
export function openTestLedger(test: { teardown(undo: () => void): void }, directory: string, bootId: string = bootOne): Ledger {
  const ledger = openLedger({ directory, bootId, deadlineMs: 20_000, company: companyOf(() => 2) });
  test.teardown(() => ledger.close());
  return ledger;
}

/** The MAC of the n-th attachment. */
export function testMac(n: number): Mac {
  return parseMac(`02:00:00:00:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 0xff).toString(16).padStart(2, '0')}`);
}

/** The n-th attachment; those of different numbers collide in nothing. */
export function testAttachment(n: number, overrides: Partial<NewAttachment> = {}): NewAttachment {
  const mac = overrides.mac ?? testMac(n);
  const vni = overrides.vni ?? blueVni;
  const hostIf = `weft-p${n}`;
  return {
    key: { network: 'blue', containerId: `container-${n}`, ifName: 'eth0' },
    tenant: 'blue', vni, netns: `/run/netns/${n}`, netnsId: `4:${n}`, hostIf, mac, state: 'adding',
    worker: { pid: 1, startTime: '1' }, ipam: 'weft', conf: '{"name":"blue","type":"weft"}', createdAt: 1_767_225_600_000 + n,
    port: {
      vni, hostIf, containerIf: 'eth0', mac, mtu: 1450, alias: `weft ${n}`,
      addresses: [parseInterfaceAddress('10.1.1.5/24'), parseInterfaceAddress('2001:db8::5/64')],
      routes: [
        { dst: parsePrefix('0.0.0.0/0'), gateway: parseAddress('10.1.1.1') },
        { dst: parsePrefix('2001:db8:1::/48'), mtu: 1300, advmss: 1200, priority: 10, table: 100, scope: 253 },
      ],
      bandwidth: { ingress: { rateBits: 8_000_000, burstBits: 80_000 }, egress: { rateBits: 4_000_000 } },
    },
    ...overrides,
  };
}

export function testSegment(overrides: Partial<Segment> = {}): Segment {
  return {
    tenant: 'blue', vni: blueVni, vtepAddress: parseAddress('192.0.2.1'), vtepPort: 4789, underlayMtu: 1500, overlayMtu: 1450,
    peers: [parseAddress('192.0.2.2'), parseAddress('192.0.2.3')],
    gateway: { addresses: [parseInterfaceAddress('10.1.1.1/24')], masquerade: true },
    ...overrides,
  };
}

export function testIdentity(endpoint: string, overrides: Partial<Identity> = {}): Identity {
  return {
    vni: blueVni, endpoint, mac: testMac(0x100), addresses: [parseInterfaceAddress('10.1.1.40/24')], updatedAt: 1, ...overrides,
  };
}
