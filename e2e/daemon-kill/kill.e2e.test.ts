import t from 'tap';
import { skipWithoutDaemonLabOf } from '../harness/weft-executable.ts';
import { killMany } from './kills.ts';

const kills = 200;
t.setTimeout(350_000);

t.test(`${kills} kills while containers come and go: Linux bridges`, { skip: skipWithoutDaemonLabOf(['bridge'], 'gcc') }, async (t) => killMany(t, 'bridge', kills));
