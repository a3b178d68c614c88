/** Addresses and MACs: asked for by the runtime in each of its ways, or given in turn. */
import t from 'tap';
import { describeOutcome } from '../harness/cni-call.ts';
import { readInterface } from '../harness/container.ts';
import type { Attach } from '../harness/lab-node.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { done, refused } from './outcomes.ts';
import { addressesOf, createSite, macOf, newcomer, rangeOf, type Site } from './site.ts';

const skip = skipWithoutLab();
const requestedMac = '02:00:5e:00:00:07';

interface Row {
  readonly name: string;
  readonly conf?: object;
  readonly args?: string;
  readonly addresses?: readonly string[];
  readonly mac?: string;
}

const granted: readonly Row[] = [
  { name: 'IP in CNI_ARGS', args: 'IP=10.1.1.15', addresses: ['10.1.1.15', 'fd00:1::10'] },
  { name: 'IP in CNI_ARGS with a prefix length, as host-local takes it', args: 'IP=10.1.1.15/24', addresses: ['10.1.1.15', 'fd00:1::10'] },
  { name: 'both families in CNI_ARGS', args: 'IP=10.1.1.15,fd00:1::77', addresses: ['10.1.1.15', 'fd00:1::77'] },
  { name: 'MAC in CNI_ARGS', args: `MAC=${requestedMac}`, mac: requestedMac },
  { name: 'a MAC in capital letters', args: `MAC=${requestedMac.toUpperCase()}`, mac: requestedMac },
  { name: 'the capability ips', conf: { runtimeConfig: { ips: ['fd00:1::77/64', '10.1.1.15/24'] } }, addresses: ['10.1.1.15', 'fd00:1::77'] },
  { name: 'the capability mac', conf: { runtimeConfig: { mac: requestedMac } }, mac: requestedMac },
  { name: 'capabilities of others beside them', conf: { runtimeConfig: { mac: requestedMac, portMappings: [{ hostPort: 80 }], bandwidth: {} } }, mac: requestedMac },
  { name: 'args.cni', conf: { args: { cni: { ips: ['10.1.1.15'], mac: requestedMac }, labels: [] } }, addresses: ['10.1.1.15', 'fd00:1::10'], mac: requestedMac },
  { name: 'the capability before CNI_ARGS', conf: { runtimeConfig: { ips: ['10.1.1.15'] } }, args: 'IP=10.1.1.16', addresses: ['10.1.1.15', 'fd00:1::10'] },
  { name: 'empty requests, which are none', conf: { runtimeConfig: { ips: [], mac: '' } }, args: 'IP=;MAC=' },
];

t.test('what is asked for and free is given', { skip, timeout: 60_000 }, async (t) => {
  for (const { name, conf = {}, args, addresses, mac } of granted) {
    const site = await createDualSite(t);
    const attach = newcomer(site, 'asking', { conf: { ...site.conf, ...conf }, ...(args === undefined ? {} : { args }) });
    const outcome = await site.node.add(attach);
    const { ipv4, ipv6, mac: given } = readInterface(attach.netns);
    const found = [...ipv4, ...ipv6].map((address) => address.replace(/\/.*/, ''));
    t.same(found, addresses ?? ['10.1.1.10', 'fd00:1::10'], `${name}: ${describeOutcome(outcome)}`);
    t.same([addressesOf(outcome), macOf(outcome)], [found, given], 'the result says the same');
    if (mac !== undefined) t.equal(given, mac);
  }
});

t.test('what cannot be given is refused', { skip, timeout: 60_000 }, async (t) => {
  const site = await createDualSite(t);
  const present = await site.lab.attach(site.node, { label: 'present', conf: site.conf, args: `IP=10.1.1.15;MAC=${requestedMac}` });
  const rows: readonly (readonly [string, Partial<Attach>, number, RegExp])[] = [
    ['an address in use', { args: 'IP=10.1.1.15' }, 103, /10\.1\.1\.15 of tenant blue belongs to container present-\S+, eth0: ask for another one/],
    ['a MAC in use', { args: `MAC=${requestedMac}` }, 103, /MAC 02:00:5e:00:00:07 is in use in tenant blue: ask for another one/],
    ["the gateway's address", { args: 'IP=10.1.1.1' }, 103, /must not be the gateway of 10\.1\.1\.0\/24: current value is 10\.1\.1\.1/],
    ["the gateway's MAC", { args: 'MAC=0e:77:67:00:03:e9' }, 103, /MAC 0e:77:67:00:03:e9 is in use in tenant blue/],
    ['an address outside the range', { args: 'IP=10.1.1.200' }, 7, /must be in a range of ipam \(10\.1\.1\.10.10\.1\.1\.19, fd00:1::10.+\): current value is 10\.1\.1\.200/],
    ['an excluded address', { args: 'IP=10.1.1.19' }, 7, /must not be in ipam\.exclude \(10\.1\.1\.19\): current value is 10\.1\.1\.19/],
    ['two addresses of one range', { args: 'IP=10.1.1.16,10.1.1.17' }, 7, /10\.1\.1\.16 and 10\.1\.1\.17 are both of ipam\.ranges\[0\]/],
    ['the same address twice', { conf: { ...site.conf, runtimeConfig: { ips: ['10.1.1.16/24', '10.1.1.16'] } } }, 7, /10\.1\.1\.16 is there twice/],
    ['a multicast MAC', { args: 'MAC=01:00:5e:00:00:01' }, 4, /MAC in CNI_ARGS must/],
    ['text for an address', { args: 'IP=10.1.1.1O' }, 4, /IP in CNI_ARGS must/],
    ['a request where there is no pool', { args: 'IP=10.1.1.16', conf: { ...site.conf, ipam: {} } }, 7, /ipam/],
  ];
  const before = site.node.snapshot();
  for (const [name, options, code, words] of rows) {
    const outcome = await site.node.add(newcomer(site, 'refused', options));
    t.match(outcome, refused(code, words), `${name}: ${describeOutcome(outcome)}`);
  }
  t.same(site.node.snapshot(), before, 'the node is as before');
  t.match(await site.node.check(present.attach, present.result), done);
  const inOtherTenant = await site.lab.attach(site.node, { label: 'red', conf: { ...site.conf, name: 'red', vni: 1002 }, args: `IP=10.1.1.15;MAC=${requestedMac}` });
  t.same([addressesOf(inOtherTenant)[0], macOf(inOtherTenant)], ['10.1.1.15', requestedMac], 'another tenant may have the same');
});

t.test('addresses are given in turn', { skip }, async (t) => {
  const site = await createSite(t, { range: rangeOf('10.1.1.10', '10.1.1.14'), extra: {} });
  const given: string[] = [];
  for (let round = 0; round < 7; round += 1) {
    const attached = await site.lab.attach(site.node, { label: `r${round}`, conf: site.conf });
    given.push(...addressesOf(attached));
    await site.lab.detach(attached);
  }
  const last = (address: string): string => address.replace('10.1.1.', '');
  t.equal(given.map(last).join(' '), '10 11 12 13 14 10 11', 'a freed address is the last to be given again');
  const stays = await site.lab.attach(site.node, { label: 'stays', conf: site.conf });
  t.same(addressesOf(stays), ['10.1.1.12']);
  for (const expected of ['13', '14', '10', '11', '13']) {
    const attached = await site.lab.attach(site.node, { label: 'goes', conf: site.conf });
    t.same(addressesOf(attached).map(last), [expected], 'what is held is passed over');
    await site.lab.detach(attached);
  }
});

t.test('an address that is given again has the same MAC as before', { skip }, async (t) => {
  const site = await createSite(t, { range: rangeOf('10.1.1.10') });
  const first = await site.lab.attach(site.node, { label: 'first', conf: site.conf });
  await site.lab.detach(first);
  const second = await site.lab.attach(site.node, { label: 'second', conf: site.conf });
  t.equal(macOf(second), macOf(first), "it is the one in the neighbours' caches");
});

async function createDualSite(t: Parameters<typeof createSite>[0]): Promise<Site> {
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.19' }], [{ subnet: 'fd00:1::/64', rangeStart: 'fd00:1::10' }]];
  return createSite(t, { extra: { ipam: { type: 'weft', ranges, exclude: ['10.1.1.19'] } } });
}
