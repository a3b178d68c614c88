import { WeftError } from '../errors/weft-error.ts';
import type { Link } from '../netlink/link.ts';

/** The link, where it is there and of the kind. @throws WeftError tryAgainLater where it has gone, foreignObject where it is another's */
export function requireKind(link: Link | undefined, name: string, kind: string): Link {
  if (link?.kind === kind) return link;
  const what = link === undefined ? 'went away while it was being made' : `is a ${link.kind ?? 'device'} that weft did not make`;
  throw new WeftError(link === undefined ? 'tryAgainLater' : 'foreignObject', `Cannot use ${name}: it ${what}`, { details: `remove it: ip link del ${name}` });
}
