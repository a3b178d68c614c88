import t from 'tap';
import { formatAddress } from '../netaddr/netaddr.ts';
import { parseEndpointArgs } from './endpoint-args.ts';

function argsOf(text: string): ReadonlyMap<string, string> {
  return new Map(text.split(';').filter((pair) => pair !== '').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
}

t.same(parseEndpointArgs(argsOf('')), { addresses: [] });
t.same(parseEndpointArgs(argsOf('IP=;MAC=;WEFT_ENDPOINT=;K8S_POD_NAMESPACE=')), { addresses: [] }, 'empty values say nothing');

t.same(
  parseEndpointArgs(argsOf('K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=u-1;IgnoreUnknown=1;K8S_POD_NAMESPACE=blue;K8S_POD_NAME=web-0;OTHER=x')),
  { addresses: [], pod: { namespace: 'blue', name: 'web-0', uid: 'u-1' } },
  'what containerd sends',
);
t.same(parseEndpointArgs(argsOf('IgnoreUnknown=1;K8S_POD_NAME=box')).pod, { name: 'box' }, 'what podman sends');

const full = parseEndpointArgs(argsOf('IP=10.1.1.5/24,2001:DB8::5;MAC=02:00:00:00:00:0A;WEFT_ENDPOINT=vm/blue_1.a-b'));
t.same(full.addresses.map(formatAddress), ['10.1.1.5', '2001:db8::5']);
t.equal(full.mac, '02:00:00:00:00:0a');
t.equal(full.endpoint, 'vm/blue_1.a-b');
t.equal(full.pod, undefined);
t.equal(parseEndpointArgs(argsOf(`WEFT_ENDPOINT=${'a'.repeat(253)}`)).endpoint?.length, 253);

for (const value of ['1', 'true', 'TRUE', 'True', 't']) t.doesNotThrow(() => parseEndpointArgs(argsOf(`IgnoreUnknown=${value};FOO=1`)), `IgnoreUnknown=${value}`);
for (const value of ['0', 'false', '', 'yes', '11']) t.throws(() => parseEndpointArgs(argsOf(`FOO=1;IgnoreUnknown=${value}`)), { cniCode: 4, message: /^unknown key "FOO"/ }, `IgnoreUnknown=${value}`);

const refused: readonly (readonly [string, string])[] = [
  ['WEFT_ENDPONT=a', 'unknown key "WEFT_ENDPONT" in CNI_ARGS: the nearest known key is "WEFT_ENDPOINT" (IgnoreUnknown=1 lets others pass)'],
  ['ip=10.1.1.5', 'unknown key "ip" in CNI_ARGS: the nearest known key is "IP" (IgnoreUnknown=1 lets others pass)'],
  ['IP=10.1.1', 'IP in CNI_ARGS must be an IPv4 address like 192.0.2.1 or an IPv6 address like 2001:db8::1: current value is "10.1.1"'],
  ['IP=10.1.1.5,', 'IP in CNI_ARGS must be an IPv4 address like 192.0.2.1 or an IPv6 address like 2001:db8::1: current value is ""'],
  ['IP=10.1.1.5, 10.1.1.6', 'IP in CNI_ARGS must be an IPv4 address like 192.0.2.1 or an IPv6 address like 2001:db8::1: current value is " 10.1.1.6"'],
  ['IP=10.1.1.5/33', 'IP in CNI_ARGS must be an address with the length of its subnet, like 10.1.1.5/24 or 2001:db8::5/64: current value is "10.1.1.5/33"'],
  ['IP=224.0.0.1', 'IP in CNI_ARGS must be the address of one host: current value is "224.0.0.1"'],
  ['MAC=02:00:00:00:00', 'MAC in CNI_ARGS must be a MAC address like 02:00:5e:10:00:01: current value is "02:00:00:00:00"'],
  ['MAC=01:00:5e:00:00:01', 'MAC in CNI_ARGS must be the MAC address of one interface, not multicast and not zero: current value is "01:00:5e:00:00:01"'],
  ['MAC=00:00:00:00:00:00', 'MAC in CNI_ARGS must be the MAC address of one interface, not multicast and not zero: current value is "00:00:00:00:00:00"'],
  ['WEFT_ENDPOINT=a b', 'WEFT_ENDPOINT in CNI_ARGS must be 1 to 253 letters, digits, ".", "_", "/" and "-": current value is "a b"'],
  ['IP=x;MAC=y', [
    'IP in CNI_ARGS must be an IPv4 address like 192.0.2.1 or an IPv6 address like 2001:db8::1: current value is "x"',
    'MAC in CNI_ARGS must be a MAC address like 02:00:5e:10:00:01: current value is "y"',
  ].join('; ')],
];
for (const [text, message] of refused) t.throws(() => parseEndpointArgs(argsOf(text)), { code: 'invalidEnvironment', cniCode: 4, message }, text);
t.throws(() => parseEndpointArgs(argsOf(`WEFT_ENDPOINT=${'a'.repeat(254)}`)), { cniCode: 4, message: /must be 1 to 253/ });
