import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import t, { type Test } from 'tap';
import { parseAddress } from '../netaddr/netaddr.ts';
import { openUdpSender } from './udp-sender.ts';

async function listen(t: Test, type: 'udp4' | 'udp6', address: string): Promise<Socket> {
  const socket = createSocket(type);
  t.teardown(() => socket.close());
  socket.bind(0, address);
  await once(socket, 'listening');
  return socket;
}

for (const [type, address, other] of [['udp4', '127.0.0.1', '127.0.0.2'], ['udp6', '::1', undefined]] as const) {
  void t.test(type, async (t) => {
    const socket = await listen(t, type, address);
    const sender = openUdpSender();
    const to = { address: parseAddress(address), port: socket.address().port };
    for (const from of other === undefined ? [address] : [address, other]) {
      const heard = once(socket, 'message') as Promise<[Buffer, RemoteInfo]>;
      sender.send(parseAddress(from), to, Buffer.from(`from ${from}`));
      const [data, info] = await heard;
      t.equal(data.toString(), `from ${from}`);
      t.equal(info.address, from);
    }
    t.throws(() => sender.send(parseAddress(type === 'udp4' ? '192.0.2.77' : '2001:db8::77'), to, Buffer.alloc(1)), { code: 'EADDRNOTAVAIL' }, 'an address of another node');
    const open = readdirSync('/proc/self/fd').length;
    sender.close();
    t.ok(readdirSync('/proc/self/fd').length < open, 'nothing stays open');
  });
}
