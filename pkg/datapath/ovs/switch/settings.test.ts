import t from 'tap';
import { namesModule, placeOf } from './settings.ts';

t.same(placeOf({}), { database: '/var/run/openvswitch/db.sock', bridge: 'weft-int', datapathType: undefined, managementSocket: '/var/run/openvswitch/weft-int.mgmt' });
t.equal(placeOf({ database: '/run/a/db.sock', bridge: 'br' }).managementSocket, '/run/a/br.mgmt', "beside the database's socket");
t.match(placeOf({ database: '/run/a/db.sock', runDirectory: '/run/b', datapathType: 'netdev' }), { managementSocket: '/run/b/weft-int.mgmt', datapathType: 'netdev' });

t.ok(namesModule('kernel/net/openvswitch/openvswitch.ko\n'), 'modules.builtin');
t.ok(namesModule('kernel/a.ko:\nkernel/net/openvswitch/openvswitch.ko.xz: kernel/net/nsh/nsh.ko.xz\n'), 'modules.dep, compressed');
t.notOk(namesModule(''));
