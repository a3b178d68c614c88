/** The reader for names of interfaces. */
import { malformed, text, type Reader } from './readers.ts';

/** IFNAMSIZ − 1 characters, and no sign that the kernel refuses (net/core/dev.c dev_valid_name). */
export const interfaceName: Reader<string> = text('the name of an interface', (value, name) => {
  if (/^[!-~]{1,15}$/.test(value) && !/[/:%]/.test(value) && value !== '.' && value !== '..') return value;
  throw malformed(name, 'the name of an interface, at most 15 characters without "/", ":", "%" and spaces', value);
});
