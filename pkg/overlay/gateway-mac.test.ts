import t from 'tap';
import { isUnicastMac, macBytes, macFromAddress, parseAddress, parseVni, vniMax, vniMin } from '../netaddr/netaddr.ts';
import { gatewayMac } from './gateway-mac.ts';

t.equal(gatewayMac(parseVni(vniMin)), '0e:77:67:00:00:01');
t.equal(gatewayMac(parseVni(0x010203)), '0e:77:67:01:02:03');
t.equal(gatewayMac(parseVni(vniMax)), '0e:77:67:ff:ff:ff');

const localBit = 0x02;
for (const vni of [vniMin, 0x80_00_00, vniMax]) {
  const mac = gatewayMac(parseVni(vni));
  t.ok(isUnicastMac(mac), `${mac} is unicast`);
  t.ok(((macBytes(mac)[0] ?? 0) & localBit) !== 0, `${mac} is locally administered`);
}

/** The first byte of a MAC tells the three ways of making one apart. */
const firstBytes = [gatewayMac(parseVni(vniMin)), macFromAddress(parseAddress('10.1.1.1')), macFromAddress(parseAddress('2001:db8::1'))].map((mac) => macBytes(mac)[0]);
t.equal(new Set(firstBytes).size, firstBytes.length, 'no endpoint has a gateway MAC');
