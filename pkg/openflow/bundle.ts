/** Bundles: changes that are prepared one by one and take effect together, or not at all (ONF EXT-230, for OpenFlow 1.3). Pure. */
import { messageTypes, type Request } from './message.ts';

/** The experimenter ONF, and its messages. */
const onf = 0x4f4e4600;
const subtypes = { control: 2300, add: 2301 } as const;

/** enum onf_bundle_ctrl_type; each is answered by the number behind it. */
const controls = { open: 0, close: 2, commit: 4, discard: 6 } as const;
const flags = { atomic: 1, ordered: 2 } as const;

/** A step in the life of a bundle. Closing it is answered when all of its messages have been looked at. */
export function bundleControl(step: keyof typeof controls, bundle: number): Request {
  const body = Buffer.alloc(16);
  writeHead(body, { subtype: subtypes.control, bundle });
  body.writeUInt16BE(controls[step], 12);
  body.writeUInt16BE(flags.atomic | flags.ordered, 14);
  return { type: messageTypes.experimenter, body, describe: () => `${step} a bundle of changes` };
}

/** Puts a change into a bundle. What is wrong with it in itself the switch says at once, the rest when the bundle is committed. */
export function bundleAdd(bundle: number, request: Request): Request {
  const body = Buffer.alloc(16);
  writeHead(body, { subtype: subtypes.add, bundle });
  body.writeUInt16BE(flags.atomic | flags.ordered, 14);
  return { type: messageTypes.experimenter, body, describe: () => request.describe(), inner: request };
}

function writeHead(body: Buffer, { subtype, bundle }: { subtype: number; bundle: number }): void {
  body.writeUInt32BE(onf, 0);
  body.writeUInt32BE(subtype, 4);
  body.writeUInt32BE(bundle, 8);
}
