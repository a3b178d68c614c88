import t from 'tap';
import { parseInterfaceAddress } from '../netaddr/netaddr.ts';
import { betweenMtus, describeShortage, haveSameMtus, portMtu, segmentMtus, type SegmentMtus } from './mtu-course.ts';

const mtus = (underlayMtu: number, overlayMtu: number): SegmentMtus => ({ underlayMtu, overlayMtu });
const of = (...texts: readonly string[]): { readonly addresses: readonly ReturnType<typeof parseInterfaceAddress>[] } => ({ addresses: texts.map((text) => parseInterfaceAddress(text)) });
const [four, six, both, none] = [of('10.1.1.5/24'), of('fd00:1::5/64'), of('10.1.1.6/24', 'fd00:1::6/64'), of()];

t.test('on the way nobody sends what the next does not take', async (t) => {
  t.same(betweenMtus(mtus(1600, 1550), mtus(1500, 1450)), mtus(1600, 1450), 'lowering: the gateway first, the tunnel last');
  t.same(betweenMtus(mtus(1500, 1450), mtus(9000, 8950)), mtus(9000, 1450), 'raising: the tunnel first, the gateway last');
  t.same(betweenMtus(mtus(1500, 1300), mtus(1400, 1350)), mtus(1500, 1300), 'a larger MTU over a smaller link');
  const there = mtus(1500, 1450);
  t.ok(haveSameMtus(betweenMtus(there, there), there));
});

t.test('IPv6 keeps its 1280 bytes', async (t) => {
  for (const [port, expected] of [[four, 1200], [six, 1280], [both, 1280], [none, 1200]] as const) t.equal(portMtu(port, 1200), expected);
  for (const port of [four, six]) t.equal(portMtu(port, 1450), 1450);
  t.same(segmentMtus(mtus(1250, 1200), [four, none]), mtus(1250, 1200));
  t.same(segmentMtus(mtus(1250, 1200), [four, both]), mtus(1280, 1280), 'the tunnel takes what they send');
  t.same(segmentMtus({ ...mtus(1250, 1200), gateway: { addresses: six.addresses, masquerade: false } }, [four]), mtus(1280, 1280), "so does the gateway's");
  t.same(segmentMtus(mtus(1500, 1450), [both]), mtus(1500, 1450));
});

t.equal(describeShortage('blue', mtus(1500, 1450), [four, six]), undefined);
t.equal(describeShortage('blue', mtus(1250, 1200), [four]), undefined);
t.equal(describeShortage('blue', mtus(1250, 1200), [four, six]), 'tenant blue has a container with IPv6, which needs an MTU of 1280, and there is room for 1200: they keep 1280, and what is larger than 1200 may not arrive');
t.match(describeShortage('blue', mtus(1250, 1200), [both, six]), /has 2 containers with IPv6/);
