import { WeftError } from '../errors/weft-error.ts';
import { errnoName, errnoText } from '../sys/libc.ts';

/** A request the kernel refused: which request, the errno, and the kernel's own explanation where it gave one. */
export class NetlinkError extends WeftError {
  /** Positive errno. */
  readonly errno: number;
  /** Such as `EEXIST`. */
  readonly errnoCode: string;

  constructor(what: string, errno: number, explanation?: string) {
    const because = explanation === undefined ? errnoText(errno) : `${errnoText(errno)}: ${explanation}`;
    super('kernelRefused', `Cannot ${what}: ${because}`);
    this.errno = errno;
    this.errnoCode = errnoName(errno);
  }
}

/** True for a refusal with one of the errno names. */
export function isRefusal(error: unknown, ...codes: readonly string[]): error is NetlinkError {
  return error instanceof NetlinkError && codes.includes(error.errnoCode);
}
