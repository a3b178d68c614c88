/** Segments with a control plane: the suite every datapath passes, and what is left of one whose making or removal was cut off. */
import t from 'tap';
import { skipUnless } from '../../testing/requirements.ts';
import { testDatapath } from '../test-conformance.ts';
import { FaultPlan, faultyKernel } from '../test-faults.ts';
import { blue, createContainer, createNode, observeNode, removeSegment, testPort, withGateway } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { evpnDatapath, withEvpn } from './test-evpn.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc'] });

testDatapath({ create: evpnDatapath, skip });

/** More than either has. */
const requestsMax = 150;

void t.test('whose making was cut off anywhere: the next attachment makes the rest', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  // A gateway is made last, and looked after by repairs alone.
  const segment = withEvpn(blue);
  const request = { segment, port: testPort(segment, 5), netnsFd: container.fd };
  const before = observeNode(node);
  for (let at = 1; at <= requestsMax; at += 1) {
    const plan = new FaultPlan('refused', at);
    await node.withKernel((kernel) => faultyKernel(kernel, plan)).attach(request).catch(() => undefined);
    if (plan.failed === undefined) break;
    // As the next ADD does, which finds the row of the one that was cut off; the segment stays as it is.
    await node.datapath.detach(request.port, segment);
    await node.datapath.attach(request);
    t.same(await node.datapath.check(request), [], `request ${at}: ${plan.failed}`);
    await removeSegment(node.datapath, { segment, remaining: [], ports: [request.port] });
  }
  await removeSegment(node.datapath, { segment, remaining: [], ports: [request.port] });
  t.same(observeNode(node), before);
});

void t.test('whose removal was cut off anywhere: another attachment makes it anew, another removal finishes it', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const segment = withEvpn(withGateway(blue));
  const request = { segment, port: testPort(segment, 5), netnsFd: container.fd };
  const before = observeNode(node);
  for (let at = 1; at <= requestsMax; at += 1) {
    await node.datapath.attach(request);
    const plan = new FaultPlan('refused', at);
    const faulty = node.withKernel((kernel) => faultyKernel(kernel, plan));
    try {
      await removeSegment(faulty, { segment, remaining: [], ports: [request.port] });
    } catch {
      // That is the point.
    }
    if (plan.failed === undefined) break;
    await node.datapath.detach(request.port, segment);
    await node.datapath.attach(request);
    t.same(await node.datapath.check(request), [], `request ${at}: ${plan.failed}`);
    await removeSegment(node.datapath, { segment, remaining: [], ports: [request.port] });
    t.same(observeNode(node), before, `request ${at}: ${plan.failed}`);
  }
});
