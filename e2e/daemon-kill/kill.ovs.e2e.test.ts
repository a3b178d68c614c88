import t from 'tap';
import { skipWithoutDaemonLabOf } from '../harness/weft-executable.ts';
import { killMany } from './kills.ts';

const kills = 40;
t.setTimeout(200_000);

t.test(`${kills} kills while containers come and go: Open vSwitch`, { skip: skipWithoutDaemonLabOf(['ovs'], 'gcc') }, async (t) => killMany(t, 'ovs', kills));
