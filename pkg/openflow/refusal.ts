/** What a switch says when it refuses (OpenFlow 1.3.5 §7.4.4; the extensions by ofp-errors.h of Open vSwitch 3.1). Pure. */

/** A refusal. */
export interface Refusal {
  /** As the specification and Open vSwitch's log have it: `OFPBMC_BAD_PREREQ`; numbers where weft does not know the name. */
  readonly name: string;
  /** In words: `a field that another depends on is missing`. */
  readonly words: string;
}

type Words = readonly (readonly [name: string, words: string])[];

/** enum ofp_error_type: the name that all of its codes begin with, and the codes in order. */
const standard: Readonly<Record<number, { readonly prefix: string; readonly codes: Words }>> = {
  0: { prefix: 'OFPHFC', codes: [['INCOMPATIBLE', 'it does not speak OpenFlow 1.3'], ['EPERM', 'it does not allow it']] },
  1: {
    prefix: 'OFPBRC',
    codes: [
      ['BAD_VERSION', 'it does not speak this version'], ['BAD_TYPE', 'it does not know this message'], ['BAD_MULTIPART', 'it does not know this question'],
      ['BAD_EXPERIMENTER', 'it does not know this extension'], ['BAD_EXP_TYPE', 'it does not know this message of the extension'], ['EPERM', 'it does not allow it'],
      ['BAD_LEN', 'the message has a wrong length'], ['BUFFER_EMPTY', 'the buffer is used already'], ['BUFFER_UNKNOWN', 'there is no such buffer'],
      ['BAD_TABLE_ID', 'there is no such table'], ['IS_SECONDARY', 'another controller is in charge'], ['BAD_PORT', 'there is no such port'],
      ['BAD_PACKET', 'the packet is none'], ['MULTIPART_BUFFER_OVERFLOW', 'the question is too long'],
    ],
  },
  2: {
    prefix: 'OFPBAC',
    codes: [
      ['BAD_TYPE', 'it does not know the action'], ['BAD_LEN', 'the actions have a wrong length'], ['BAD_EXPERIMENTER', 'it does not know the extension of an action'],
      ['BAD_EXP_TYPE', 'it does not know this action of the extension'], ['BAD_OUT_PORT', 'a port of an action cannot be'], ['BAD_ARGUMENT', 'an argument of an action cannot be'],
      ['EPERM', 'it does not allow it'], ['TOO_MANY', 'there are too many actions'], ['BAD_QUEUE', 'a queue of an action cannot be'],
      ['BAD_OUT_GROUP', 'there is no such group'], ['MATCH_INCONSISTENT', 'an action needs a field that the match does not say to be there'],
      ['UNSUPPORTED_ORDER', 'it cannot carry the actions out in this order'], ['BAD_TAG', 'a tag of an action cannot be'], ['BAD_SET_TYPE', 'it does not know the field of an action'],
      ['BAD_SET_LEN', 'an action reaches beyond the end of its field'], ['BAD_SET_ARGUMENT', 'a field cannot have this value, or cannot be set'],
    ],
  },
  3: {
    prefix: 'OFPBIC',
    codes: [
      ['UNKNOWN_INST', 'it does not know the instruction'], ['UNSUP_INST', 'the table cannot do the instruction'], ['BAD_TABLE_ID', 'a flow can only go to a later table'],
      ['UNSUP_METADATA', 'it cannot write these metadata'], ['UNSUP_METADATA_MASK', 'it cannot write metadata under this mask'],
      ['BAD_EXPERIMENTER', 'it does not know the extension of an instruction'], ['BAD_EXP_TYPE', 'it does not know this instruction of the extension'],
      ['BAD_LEN', 'the instructions have a wrong length'], ['EPERM', 'it does not allow it'],
    ],
  },
  4: {
    prefix: 'OFPBMC',
    codes: [
      ['BAD_TYPE', 'the match is of an unknown type'], ['BAD_LEN', 'the match has a wrong length'], ['BAD_TAG', 'it cannot match this tag'],
      ['BAD_DL_ADDR_MASK', 'it cannot match MACs under this mask'], ['BAD_NW_ADDR_MASK', 'it cannot match addresses under this mask'],
      ['BAD_WILDCARDS', 'a value has bits outside of its mask'], ['BAD_FIELD', 'it does not know a field of the match'], ['BAD_VALUE', 'a field cannot have this value'],
      ['BAD_MASK', 'a field cannot have this mask'], ['BAD_PREREQ', 'a field that another depends on is missing'], ['DUP_FIELD', 'a field is there twice'], ['EPERM', 'it does not allow it'],
    ],
  },
  5: {
    prefix: 'OFPFMFC',
    codes: [
      ['UNKNOWN', 'it does not say why'], ['TABLE_FULL', 'the table is full'], ['BAD_TABLE_ID', 'there is no such table'], ['OVERLAP', 'the flow overlaps with another'],
      ['EPERM', 'it does not allow it'], ['BAD_TIMEOUT', 'it does not know such timeouts'], ['BAD_COMMAND', 'it does not know the command'], ['BAD_FLAGS', 'it does not know the flags'],
    ],
  },
  6: {
    prefix: 'OFPGMFC',
    codes: [
      ['GROUP_EXISTS', 'there is such a group already'], ['INVALID_GROUP', 'the group cannot be'], ['WEIGHT_UNSUPPORTED', 'it cannot share the load unequally'],
      ['OUT_OF_GROUPS', 'it has no room for another group'], ['OUT_OF_BUCKETS', 'it has no room for another bucket'], ['CHAINING_UNSUPPORTED', 'a group cannot point at a group'],
      ['WATCH_UNSUPPORTED', 'it cannot watch this'], ['LOOP', 'groups would point at each other in a circle'], ['UNKNOWN_GROUP', 'there is no such group'],
      ['CHAINED_GROUP', 'another group points at it'], ['BAD_TYPE', 'it does not know the type of the group'], ['BAD_COMMAND', 'it does not know the command'],
      ['BAD_BUCKET', 'a bucket cannot be'], ['BAD_WATCH', 'a bucket cannot watch this'], ['EPERM', 'it does not allow it'],
    ],
  },
};

/** Experimenter errors of ONF: those of bundles (EXT-230), from code 2300 on. */
const bundleCodes: { readonly first: number; readonly prefix: string; readonly codes: Words } = {
  first: 2300,
  prefix: 'OFPBFC',
  codes: [
    ['UNKNOWN', 'it does not say why'], ['EPERM', 'it does not allow it'], ['BAD_ID', 'there is no such bundle'], ['BUNDLE_EXIST', 'there is such a bundle already'],
    ['BUNDLE_CLOSED', 'the bundle is closed'], ['OUT_OF_BUNDLES', 'it has no room for another bundle'], ['BAD_TYPE', 'it does not know this step of a bundle'],
    ['BAD_FLAGS', 'the flags are not those of the bundle'], ['MSG_BAD_LEN', 'a message in the bundle has a wrong length'], ['MSG_BAD_XID', 'a message in the bundle has another xid'],
    ['MSG_UNSUP', 'such a message cannot be in a bundle'], ['MSG_CONFLICT', 'such messages cannot be in one bundle'], ['MSG_TOO_MANY', 'there are too many messages in the bundle'],
    ['MSG_FAILED', 'a message in the bundle was refused'], ['TIMEOUT', 'the bundle took too long'], ['BUNDLE_IN_PROGRESS', 'another bundle is in the way'],
  ],
};

/** Experimenter errors of Nicira, as far as flows meet them, by code. */
const niciraCodes: ReadonlyMap<number, Words[number]> = new Map([
  [2, ['NXBRC_NXM_INVALID', 'a field of the match is malformed']],
  [3, ['NXBRC_NXM_BAD_TYPE', 'it does not know a field of the match']],
  [4, ['NXBRC_MUST_BE_ZERO', 'what must be zero is not']],
  [11, ['NXBAC_MUST_BE_ZERO', 'what must be zero in an action is not']],
  [12, ['NXFMFC_HARDWARE', 'the hardware failed']],
  [13, ['NXFMFC_BAD_TABLE_ID', 'there is no such table']],
]);

const experimenterType = 0xffff;
const onf = 0x4f4e4600;
const nicira = 0x2320;

/** What the body of an error message says. @throws RangeError when it ends early */
export function decodeRefusal(body: Buffer): Refusal {
  const [type, code] = [body.readUInt16BE(0), body.readUInt16BE(2)];
  const found = type === experimenterType ? extension(body.readUInt32BE(4), code) : prefixed(standard[type], code);
  const [name, words] = found ?? [`error ${type}/${code}`, 'it gives a reason that weft does not know'];
  return { name, words };
}

function extension(experimenter: number, code: number): Words[number] | undefined {
  if (experimenter === onf) return prefixed(bundleCodes, code - bundleCodes.first);
  return experimenter === nicira ? niciraCodes.get(code) : undefined;
}

function prefixed(family: { readonly prefix: string; readonly codes: Words } | undefined, code: number): Words[number] | undefined {
  const found = family?.codes[code];
  return found === undefined ? undefined : [`${family?.prefix}_${found[0]}`, found[1]];
}
