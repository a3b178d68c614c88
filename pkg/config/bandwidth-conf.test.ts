import t from 'tap';
import { smallerOf } from './bandwidth-conf.ts';
import { noEndpointArgs } from './endpoint-args.ts';
import { parseNetConf, type NetConf } from './net-conf.ts';
import { parseNodeConf } from './node-conf.ts';

const path = '/etc/weft/weft.yaml';

function tenant(bandwidth: string): ReturnType<typeof parseNodeConf>['tenants'][number]['bandwidth'] {
  return parseNodeConf(`tenants: [{ name: blue, vni: 1001, bandwidth: ${bandwidth} }]`, path).tenants[0]?.bandwidth;
}

t.same(tenant('{ ingressRate: 100M, ingressBurst: 1M, egressRate: 50000000 }'), { together: { ingress: { rateBits: 100_000_000, burstBits: 1_000_000 }, egress: { rateBits: 50_000_000 } } });
t.same(tenant('{ egressRate: 2.5G }'), { together: { egress: { rateBits: 2_500_000_000 } } });
t.same(tenant('{ egressRate: "100k" }'), { together: { egress: { rateBits: 100_000 } } }, 'the smallest');
t.same(tenant('{ egressRate: 1000G, egressBurst: 34359738360 }'), { together: { egress: { rateBits: 1e12, burstBits: 34_359_738_360 } } }, 'the largest');
t.same(tenant('{ each: { ingressRate: 10M } }'), { each: { ingress: { rateBits: 10_000_000 } } });
t.same(tenant('{ ingressRate: 100M, each: { egressRate: 10M } }'), { together: { ingress: { rateBits: 100_000_000 } }, each: { egress: { rateBits: 10_000_000 } } });
t.equal(tenant('null'), undefined);

const refused: readonly (readonly [bandwidth: string, words: RegExp])[] = [
  ['100M', /bandwidth must be an object/],
  ['{}', /tenants\[0\]\.bandwidth must have ingressRate or egressRate/],
  ['{ each: {} }', /tenants\[0\]\.bandwidth\.each must have ingressRate or egressRate/],
  ['{ ingressRate: 0 }', /ingressRate must be bits from 100000 to 1000000000000, .*: current value is 0/],
  ['{ ingressRate: -5 }', /current value is -5/],
  ['{ ingressRate: 99999 }', /current value is 99999/],
  ['{ ingressRate: 1e13 }', /current value is 10000000000000/],
  ['{ ingressRate: 18446744073709551616 }', /current value is 18446744073709552000/],
  ['{ ingressRate: 1.5 }', /current value is 1\.5/],
  ['{ ingressRate: 100Mbit }', /current value is "100Mbit"/],
  ['{ ingressRate: 100m }', /current value is "100m"/],
  ['{ ingressRate: " 100M" }', /current value is " 100M"/],
  ['{ ingressRate: true }', /current value is true/],
  ['{ ingressRate: .inf }', /current value is/],
  ['{ ingressRate: 10M, ingressBurst: 1000 }', /ingressBurst must be bits from 24288 to 34359738360/],
  ['{ ingressRate: 10G, ingressBurst: 1M }', /ingressBurst must be at least 10000000, which is a millisecond of ingressRate, or the rate is not reached: current value is 1000000/],
  ['{ egressBurst: 1M }', /egressBurst needs egressRate: a burst alone is no limit/],
  ['{ ingress: 10M }', /unknown key "tenants\[0\]\.bandwidth\.ingress": the nearest known key is/],
];
for (const [bandwidth, words] of refused) t.throws(() => tenant(bandwidth), { message: words }, bandwidth);

t.test('what counts of a container is the smaller of its own and each one’s', (t) => {
  const [small, large] = [{ rateBits: 1e6 }, { rateBits: 2e6, burstBits: 1e6 }];
  t.equal(smallerOf(undefined, undefined), undefined);
  t.same(smallerOf({ ingress: large }, { ingress: small, egress: large }), { ingress: small, egress: large });
  t.same(smallerOf({ ingress: small }, { ingress: large }), { ingress: small });
  t.same(smallerOf({ egress: small }, undefined), { egress: small });
  t.end();
});

t.test('parseNetConf() gives a tenant’s limits to those who name the tenant, and to nobody else', (t) => {
  const node = parseNodeConf('tenants: [{ name: blue, vni: 1001, bandwidth: { ingressRate: 100M, each: { egressRate: 10M } } }, { name: red, vni: 1002 }]', path);
  const conf = (name: string, more = {}): NetConf => parseNetConf({ cniVersion: '1.0.0', name: 'pods', type: 'weft', tenant: name, ...more }, { node, args: noEndpointArgs });
  t.match(conf('blue', { runtimeConfig: { bandwidth: { egressRate: 5_000_000, ingressRate: 7_000_000 } } }), { tenantBandwidth: { ingress: { rateBits: 1e8 } }, bandwidth: { ingress: { rateBits: 7e6 }, egress: { rateBits: 5e6 } } });
  t.match(conf('blue'), { bandwidth: { egress: { rateBits: 1e7 } } });
  t.notOk('bandwidth' in conf('red') || 'tenantBandwidth' in conf('red'));
  t.throws(() => conf('red', { bandwidth: { ingressRate: 1e9 } }), { message: /unknown key "bandwidth"/ }, 'it is the administrator’s to give');
  t.end();
});
