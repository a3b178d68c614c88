/**
 * Builds dist/cni/weft, the launcher, from the C sources in cmd/launcher: static, so that it starts without the dynamic
 * loader and on any distribution.
 *
 *     node scripts/build-launcher.ts [directory]      default: dist/cni
 *
 * With musl, where musl-gcc is installed: before main() glibc asks the processor 43 times what it can do (CPUID), each of which leaves a virtual machine for
 * its host; musl does not ask, and starts 0.2 ms sooner there. $CC names another compiler. It takes half a second, and always happens.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const compiler = process.env['CC'] ?? (isThere('musl-gcc') ? 'musl-gcc' : 'gcc');

const flags = [
  '-std=c11', '-D_GNU_SOURCE', '-O2', '-static',
  '-Wall', '-Wextra', '-Werror', '-Wshadow', '-Wconversion', '-Wstrict-prototypes', '-Wvla',
  // Hardening that costs no time that could be measured.
  '-fstack-protector-strong', '-fstack-clash-protection', '-D_FORTIFY_SOURCE=2', '-Wl,-z,relro,-z,now,-z,noexecstack',
  '-ffunction-sections', '-fdata-sections', '-Wl,--gc-sections', '-s',
];

const [directory = 'dist/cni'] = process.argv.slice(2);
buildLauncher(resolve(root, directory));

/** @throws Error when the sources do not compile */
function buildLauncher(outputDirectory: string): void {
  mkdirSync(outputDirectory, { recursive: true });
  const output = join(outputDirectory, 'weft');
  // A running launcher is never a half-written file, nor "text file busy".
  const temporary = `${output}.${process.pid}`;
  try {
    const sources = globSync('cmd/launcher/*.c', { cwd: root }).sort();
    execFileSync(compiler, [...flags, '-o', temporary, ...sources], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    renameSync(temporary, output);
  } finally {
    rmSync(temporary, { force: true });
  }
  process.stdout.write(`${relative(process.cwd(), output)} is built by ${compiler}, ${Math.round(statSync(output).size / 1024)} KiB\n`);
}

function isThere(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}
