/** Relay and gate over both families of VTEPs, by the flows alone: a process is not asked. */
import t from 'tap';
import { parseMac, parseVni, type Mac } from '../../../netaddr/netaddr.ts';
import { applyMods, listFlows } from '../../../openflow/openflow.ts';
import type { MigrationPhase } from '../../../overlay/model.ts';
import { pause } from '../../../sys/timer.ts';
import type { Capture } from '../../../testing/capture.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { countsRelayed, flowsOf, flowsOfPort, openedFlows, remoteFlows, type LocalPort, type TenantNetwork } from './flows.ts';
import { addressOption, arp, broadcast, discoveryBody, frame, icmp6, udp4 } from './test-frames.ts';
import { captureAt, createHub, createSwitchNode, type Container, type SwitchNode } from './test-nodes.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'bridge', 'nft', 'tcpdump'] });
const blue = parseVni(1001);
const deadlineMs = 10_000;

function moving(container: Container, other: SwitchNode, phase: MigrationPhase): LocalPort {
  return { ...container, port: { ...container.port, migration: { id: 'm', phase, other: other.vtep, since: 0 } } };
}

/** Puts a port's flows in the place of those it has. */
async function enter(node: SwitchNode, network: TenantNetwork, local: LocalPort): Promise<void> {
  const filter = flowsOf({ kind: 'port', vni: blue, ofport: local.ofport });
  await applyMods(node.connection, [{ kind: 'delete', filter }, ...flowsOfPort(network, local).map((flow) => ({ kind: 'add', flow }) as const)]);
  node.settle();
}

/** Sends the frame until it has come. */
async function arrives(capture: Capture, marker: string, send: () => void): Promise<boolean> {
  for (const endsAt = performance.now() + deadlineMs; performance.now() < endsAt; await pause(5)) {
    send();
    if (capture.count(marker) > 0) return true;
  }
  return false;
}

for (const family of [4, 6] as const) {
  void t.test(`an endpoint moves over IPv${family}`, { skip }, async (t) => {
    const hub = createHub(t, family);
    const [source, target, third] = [await createSwitchNode(t, hub, 1), await createSwitchNode(t, hub, 2), await createSwitchNode(t, hub, 3)] as const;
    const networkOf = (node: SwitchNode): Promise<TenantNetwork> => node.addTenant(blue, [source, target, third].filter((other) => other !== node).map(({ vtep }) => vtep));
    const [atSource, atTarget, atThird] = [await networkOf(source), await networkOf(target), await networkOf(third)];
    const [before, near, far] = [await source.attach(atSource, { number: 5 }), await source.attach(atSource, { number: 6 }), await third.attach(atThird, { number: 8 })];
    const after = target.addContainer({ vni: blue, number: 5 });
    const { mac } = after.port;
    // The third node sends what is for the endpoint to the source, come what may.
    await third.add(remoteFlows(atThird, { mac, addresses: [], vtep: source.vtep }));
    await enter(target, atTarget, moving(after, source, 'waiting'));
    await enter(source, atSource, moving(before, target, 'relaying'));
    const [inBefore, inAfter] = [await captureAt(t, before), await captureAt(t, after)];
    const data = (from: Container, to: Mac, marker: string): Buffer => frame({ to, from: from.port.mac }, 0x0800, udp4(`10.0.0.${from === near ? 6 : 8}`, '10.0.0.77'), marker);
    const asks = (from: Container, marker: string): Buffer => frame({ to: parseMac('33:33:ff:00:00:05'), from: from.port.mac }, 0x86dd, icmp6(`fd00::${from === near ? 6 : 8}`, 'ff02::1:ff00:5', { type: 135, body: discoveryBody('fd00::5', addressOption(1, from.port.mac)) }), marker);

    for (const from of [near, far]) from.send(data(from, mac, 'closed'));
    t.ok(await inBefore.waitFor(() => inBefore.count('closed') === 2, deadlineMs), 'the source gets all');
    const arpFrame = (from: Container, to: Mac, marker: string): Buffer => frame({ to, from: from.port.mac }, 0x0806, arp({ operation: 1, senderMac: from.port.mac, senderAddress: '10.0.0.8', targetAddress: '10.0.0.5' }), marker);
    const rarp = frame({ to: broadcast, from: mac }, 0x8035, arp({ operation: 3, senderMac: mac, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), 'here I am');
    after.send(rarp);
    t.ok(await arrives(inAfter, 'open', () => far.send(data(far, mac, 'open'))), 'it is opened');
    await inAfter.drain();
    t.equal(inAfter.count('closed'), 2, 'the switch gives it everything: the gate, which these flows are without, is behind it');
    const learned = await listFlows(target.connection, flowsOf({ kind: 'port', vni: blue, ofport: after.ofport }));
    t.same(openedFlows(after).filter(({ table, priority }) => learned.some((flow) => flow.table === table && flow.priority === priority)).length, 2);

    for (const from of [near, far]) from.send(data(from, mac, 'both'), asks(from, 'asks'));
    far.send(arpFrame(far, mac, 'unicast'));
    t.ok(await inAfter.waitFor(() => inAfter.count('both') === 2 && inAfter.count('asks') === 2 && inAfter.count('unicast') === 1, deadlineMs), 'data and questions of both');
    t.ok(await inBefore.waitFor(() => inBefore.count('both') === 2 && inBefore.count('asks') === 2, deadlineMs), 'to both');
    t.ok(inAfter.frames.filter((one) => one.includes('asks')).every((one) => one.toString('hex', 0, 6) === mac.replaceAll(':', '')), 'questions come to the endpoint alone');
    t.equal((await listFlows(target.connection, flowsOf({ kind: 'learned', vni: blue }))).some((flow) => flow.match.ethDst === near.port.mac), false, 'of the others it learns nothing by what is relayed');

    await enter(target, atTarget, moving(after, source, 'arrived'));
    await enter(source, atSource, moving(before, target, 'departed'));
    for (const from of [near, far]) from.send(data(from, mac, 'moved'));
    t.ok(await inAfter.waitFor(() => inAfter.count('moved') === 2, deadlineMs), 'then to the target alone');
    await inBefore.drain();
    t.equal(inBefore.count('moved'), 0);
    const inNear = await captureAt(t, near);
    before.send(frame({ to: near.port.mac, from: mac }, 0x0800, udp4('10.0.0.5', '10.0.0.77'), 'of the dead'));
    t.ok(await arrives(inNear, 'alive', () => after.send(frame({ to: near.port.mac, from: mac }, 0x0800, udp4('10.0.0.5', '10.0.0.77'), 'alive'))));
    await inNear.drain();
    t.equal(inNear.count('of the dead'), 0);

    // Others than the source do not get in by the relay's VNI.
    const relayedBy = (await listFlows(source.connection, flowsOf({ kind: 'port', vni: blue, ofport: before.ofport }))).filter(countsRelayed);
    t.ok(relayedBy.length > 0);
    await enter(target, atTarget, moving(after, third, 'arrived'));
    far.send(data(far, mac, 'from elsewhere'));
    near.send(data(near, mac, 'directly'));
    t.ok(await inAfter.waitFor(() => inAfter.count('directly') === 1, deadlineMs));
    await inAfter.drain();
    t.equal(inAfter.count('from elsewhere'), 0, 'what another than the named source relays is not let in');
  });
}
