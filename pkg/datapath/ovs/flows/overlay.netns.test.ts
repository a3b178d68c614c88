/** Nodes with the flows, and real packets: who reaches whom. */
import t from 'tap';
import { parseVni } from '../../../netaddr/netaddr.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { BridgeNode, canPing, createHub, createSwitchNode, vtepOf } from './test-nodes.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'bridge', 'nft', 'ping', 'tcpdump'] });
const [blue, red] = [parseVni(1001), parseVni(1002)];

for (const family of [4, 6] as const) {
  void t.test(`two switches and a Linux bridge over IPv${family}, two tenants with the same addresses`, { skip }, async (t) => {
    const hub = createHub(t, family);
    const vteps = [1, 2, 3].map((n) => vtepOf(hub, n));
    const [first, second] = [await createSwitchNode(t, hub, 1), await createSwitchNode(t, hub, 2)];
    const third = new BridgeNode(t, hub, 3);
    const peersOf = (n: number): typeof vteps => vteps.filter((_, index) => index !== n - 1);
    const [blue1, blue2] = [await first.addTenant(blue, peersOf(1)), await second.addTenant(blue, peersOf(2))];
    third.addTenant(blue, peersOf(3));
    const containers = [
      await first.attach(blue1, { number: 1 }),
      await first.attach(blue1, { number: 2 }),
      await second.attach(blue2, { number: 3 }),
      third.attach({ vni: blue, number: 4 }),
    ];
    for (const from of containers) {
      for (const to of containers.filter((other) => other !== from)) {
        const number = Number(to.port.mac.slice(-2));
        t.ok(canPing(from, `10.0.0.${number}`), `${from.port.mac} → ${to.port.mac}`);
        t.ok(canPing(from, `fd00::${number}`), `${from.port.mac} → ${to.port.mac} by IPv6`);
      }
    }
    const red2 = await second.addTenant(red, peersOf(2));
    const stranger = await second.attach(red2, { number: 5 });
    t.notOk(canPing(stranger, '10.0.0.3', { waitSeconds: 1 }));
  });
}
