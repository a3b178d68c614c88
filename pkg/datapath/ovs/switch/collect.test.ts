import t from 'tap';
import { mapOf, uuidAtom } from '../../../ovsdb/values.ts';
import { findSurplus, findUnreferenced } from './collect.ts';
import { findBridge, type OwnBridge } from './rows.ts';
import { testRows, testUuid } from './test-rows.ts';

const [usedQos, ownQos, alienQos, usedQueue, ownQueue, alienQueue] = [testUuid(), testUuid(), testUuid(), testUuid(), testUuid(), testUuid()];
const owner = mapOf({ weft: 'port' });
const rows = testRows(
  [{
    name: 'weft-int',
    externalIds: { weft: 'bridge' },
    ports: [
      { name: 'weft-int', type: 'internal', externalIds: { weft: 'bridge' }, ifindex: 0 },
      { name: 'p0', externalIds: { weft: 'port' }, ifindex: 7, qos: usedQos },
      { name: 'p1', externalIds: { weft: 'port' }, ifindex: 0 },
      { name: 'p2', externalIds: { weft: 'port' } },
      { name: 't0', type: 'vxlan', externalIds: { weft: 'tunnel' }, ifindex: 0 },
      { name: 'eth1', ifindex: 0 },
    ],
  }],
  {
    QoS: {
      [usedQos]: { external_ids: owner, queues: ['map', [[0, uuidAtom(usedQueue)]]] },
      [ownQos]: { external_ids: owner, queues: ['map', [[0, uuidAtom(ownQueue)]]] },
      [alienQos]: { queues: ['map', []] },
    },
    Queue: { [usedQueue]: { external_ids: owner }, [ownQueue]: { external_ids: owner }, [alienQueue]: {} },
  },
);
const bridge = findBridge(rows, 'weft-int') as OwnBridge;
const find = (ports: readonly string[], tunnels: readonly string[], deadBefore: readonly string[] = []): ReturnType<typeof findSurplus> =>
  findSurplus(rows, { bridge, needed: { ports: new Set(ports), tunnels: new Set(tunnels) }, deadBefore: new Set(deadBefore) });

t.same([...find([], []).ports.keys()], ['p0', 'p1', 'p2', 't0'], "neither the bridge's own port nor somebody else's");
t.same([...find(['p0', 'p1', 'p2'], ['t0']).ports], [], 'everything is needed');
t.same([...find(['t0'], ['p0']).ports.keys()], ['p0', 'p1', 'p2', 't0'], 'a tunnel is no port');

const first = find(['p0', 'p1', 'p2'], ['t0']);
t.same([...first.dead], ['p1'], 'a device that is gone; one that nobody has looked at, and a tunnel, are not');
const second = find(['p0', 'p1', 'p2'], ['t0'], [...first.dead]);
t.same([...second.ports], [['p1', 'the port p1 of Open vSwitch, whose network device is gone']], 'seen twice');
t.same([...second.dead], []);

t.same(findUnreferenced(rows), { qos: [ownQos], queues: [ownQueue] }, 'with the queues of what goes; nothing of somebody else');
