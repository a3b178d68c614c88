import t from 'tap';
import { parseAddress } from '../../../netaddr/netaddr.ts';
import { tunnelName, tunnelOptions, type TunnelSettings } from './tunnel.ts';

const vxlan: TunnelSettings = { type: 'vxlan', local: parseAddress('192.0.2.1'), port: 4789 };
const others: readonly TunnelSettings[] = [vxlan, { ...vxlan, type: 'geneve' }, { ...vxlan, port: 4790 }, { ...vxlan, local: parseAddress('192.0.2.2') }, { ...vxlan, local: parseAddress('2001:db8::1') }];

t.equal(tunnelName(vxlan), tunnelName({ ...vxlan, local: parseAddress('192.0.2.1') }), 'the same for the same tunnel');
t.equal(new Set(others.map(tunnelName)).size, others.length, 'another for another');
for (const settings of others) t.match(tunnelName(settings), /^weft-t[0-9a-z]{9}$/);

t.same(tunnelOptions(vxlan), { remote_ip: 'flow', key: 'flow', local_ip: '192.0.2.1', dst_port: '4789', csum: 'false' });
t.match(tunnelOptions({ ...vxlan, local: parseAddress('2001:db8::1') }), { local_ip: '2001:db8::1', csum: 'true' });
