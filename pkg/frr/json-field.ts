/** FRR's JSON, read with suspicion: its shapes differ between versions, and nobody writes them down. Pure. */
import { parseAddress, parseMac, parseVni, type Address, type Mac, type Vni } from '../netaddr/netaddr.ts';
import { FrrError } from './frr-error.ts';

const shownCharactersMax = 60;

/** A value of an answer, which knows where it stands: what is not as it must be is told with the command and the place. */
export class JsonField {
  readonly #command: string;
  readonly #path: string;
  readonly #value: unknown;

  private constructor(command: string, path: string, value: unknown) {
    this.#command = command;
    this.#path = path;
    this.#value = value;
  }

  /**
   * The answer to a command; undefined for none, which is how FRR says that there is nothing.
   * @throws FrrError garbled
   */
  static parse(command: string, text: string): JsonField | undefined {
    if (text.trim() === '') return undefined;
    try {
      return new JsonField(command, 'its top', JSON.parse(text));
    } catch (error) {
      throw new FrrError('garbled', `The answer of FRR to "${command}" must be JSON: it begins with ${show(text)}`, { cause: error });
    }
  }

  /** Whether it is an object, as entries, get() and find() need. */
  get isObject(): boolean {
    return typeof this.#value === 'object' && this.#value !== null && !Array.isArray(this.#value);
  }

  /** Whether it is an array, as items() needs. */
  get isArray(): boolean {
    return Array.isArray(this.#value);
  }

  /** The keys and values of an object. @throws FrrError garbled */
  entries(): readonly (readonly [string, JsonField])[] {
    return Object.entries(this.#object()).map(([key, value]) => [key, this.#within(key, value)]);
  }

  /** The items of an array. @throws FrrError garbled */
  items(): readonly JsonField[] {
    if (!Array.isArray(this.#value)) throw this.#fault('an array');
    return this.#value.map((item: unknown, index) => this.#within(String(index), item));
  }

  /** The first item of an array, which must have one. @throws FrrError garbled */
  first(): JsonField {
    const [first] = this.items();
    if (first === undefined) throw this.#fault('an item');
    return first;
  }

  /** The value of a key that must be there. @throws FrrError garbled */
  get(key: string): JsonField {
    const found = this.find(key);
    if (found === undefined) throw this.#fault(`"${key}"`);
    return found;
  }

  /** The value of a key, where it is there. @throws FrrError garbled where this is no object */
  find(key: string): JsonField | undefined {
    const object = this.#object();
    return Object.hasOwn(object, key) ? this.#within(key, object[key]) : undefined;
  }

  /** @throws FrrError garbled */
  text(): string {
    if (typeof this.#value !== 'string') throw this.#fault('a string');
    return this.#value;
  }

  /** A number that counts something. @throws FrrError garbled */
  count(): number {
    if (typeof this.#value !== 'number' || !Number.isInteger(this.#value) || this.#value < 0) throw this.#fault('a whole number');
    return this.#value;
  }

  /** Whether it is the given value; for flags, which FRR leaves out where they are not set. */
  is(value: string | boolean): boolean {
    return this.#value === value;
  }

  /** @throws FrrError garbled */
  address(): Address {
    return this.read('an address', parseAddress);
  }

  /** @throws FrrError garbled */
  mac(): Mac {
    return this.read('a MAC', parseMac);
  }

  /** A number, or a string of one; of two with a slash between them the first, the second being of layer 3. @throws FrrError garbled */
  vni(): Vni {
    const digits = typeof this.#value === 'string' ? /^(\d{1,8})(?:\/\d+)?$/.exec(this.#value)?.[1] : undefined;
    const value = digits === undefined ? this.#value : Number(digits);
    try {
      return parseVni(value);
    } catch (error) {
      throw this.#fault('a VNI', error);
    }
  }

  /** This value's key, as a value of its own: FRR's tables are objects. */
  keyed(key: string): JsonField {
    return new JsonField(this.#command, `the key of ${this.#path}`, key);
  }

  /** A string that the parser takes. @throws FrrError garbled */
  read<T>(noun: string, parse: (text: string) => T): T {
    const text = this.text();
    try {
      return parse(text);
    } catch (error) {
      throw this.#fault(noun, error);
    }
  }

  #object(): Readonly<Record<string, unknown>> {
    if (!this.isObject) throw this.#fault('an object');
    return this.#value as Readonly<Record<string, unknown>>;
  }

  #within(key: string, value: unknown): JsonField {
    return new JsonField(this.#command, this.#path === 'its top' ? key : `${this.#path} ${key}`, value);
  }

  #fault(noun: string, cause?: unknown): FrrError {
    return new FrrError('garbled', `The answer of FRR to "${this.#command}" must have ${noun} at ${this.#path}: it has ${show(this.#value)}`, { cause });
  }
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length <= shownCharactersMax ? text : `${text.slice(0, shownCharactersMax)}…`;
}
