/**
 * Builds dist/weft, the single executable: esbuild makes one file of cmd/weft/main.ts, and Node packs it, koffi's addon
 * and itself into one program (`node --build-sea`), offline and without a step that alters the binary afterwards.
 *
 *     node scripts/build.ts [entry] [directory]      default: cmd/weft/main.ts dist
 *
 * Bundling takes a tenth of a second and always happens; packing is skipped when all that goes in is what the stamp says.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { build, type BuildFailure } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
const addonPackages: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  arm64: 'node_modules/@koromix/koffi-linux-arm64/linux_arm64/koffi.node',
  x64: 'node_modules/@koromix/koffi-linux-x64/linux_x64/koffi.node',
};

/** What `weft explain` prints: read when it is wanted, and so no part of the bundle that every start loads. */
const pages = Object.fromEntries(['errors.md', 'doctor.md', 'logs.md'].map((name) => [name, join(root, 'docs', name)]));

const [entry = 'cmd/weft/main.ts', directory = 'dist'] = process.argv.slice(2);
await buildExecutable(resolve(root, entry), resolve(root, directory)).catch((error: unknown) => {
  process.exitCode = 1;
  // esbuild has already shown each fault with its line.
  if (!isBuildFailure(error)) throw error;
});

/** @throws Error when the sources do not bundle or Node cannot pack them */
async function buildExecutable(entryPath: string, outputDirectory: string): Promise<void> {
  mkdirSync(outputDirectory, { recursive: true });
  const bundle = join(outputDirectory, 'weft.cjs');
  await bundleSources(entryPath, bundle);

  const output = join(outputDirectory, 'weft');
  const stampFile = join(outputDirectory, '.stamp');
  const stamp = stampOf([bundle, addonPath(), import.meta.filename, ...Object.values(pages)]);
  if (readIfThere(stampFile) === stamp && isFile(output)) return report(output, 'is up to date');

  pack(bundle, output);
  writeFileSync(stampFile, stamp);
  report(output, `is built, ${Math.round(statSync(output).size / 1024 ** 2)} MiB`);
}

async function bundleSources(entryPath: string, outfile: string): Promise<void> {
  await build({
    entryPoints: [entryPath],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node26',
    // The code cache, which start-up time depends on, is for CommonJS only: there is no top-level await in cmd/weft.
    format: 'cjs',
    minifySyntax: true,
    legalComments: 'eof',
    logLevel: 'warning',
    define: {
      WEFT_VERSION: JSON.stringify(packageVersion()),
      // Where a bundle in CommonJS has no import.meta. In the single executable __filename is the executable's own path.
      'import.meta.filename': '__filename',
      'import.meta.dirname': '__dirname',
    },
  });
}

/** Writes `output` under another name first: a running weft is never a half-written file, nor "text file busy". */
function pack(bundle: string, output: string): void {
  const temporary = `${output}.${process.pid}`;
  const [configuration, digest] = [`${temporary}.json`, `${temporary}.sha256`];
  try {
    writeFileSync(digest, sha256(readFileSync(addonPath())));
    writeFileSync(configuration, JSON.stringify(seaConfiguration(bundle, { output: temporary, digest })));
    execFileSync(process.execPath, ['--build-sea', configuration], { stdio: ['ignore', 'ignore', 'inherit'] });
    chmodSync(temporary, 0o755);
    renameSync(temporary, output);
  } finally {
    for (const file of [temporary, configuration, digest]) rmSync(file, { force: true });
  }
}

/** https://nodejs.org/api/single-executable-applications.html; the assets' names are those of pkg/sys/koffi.ts and cmd/weft/pages.ts. */
function seaConfiguration(main: string, { output, digest }: { output: string; digest: string }): object {
  return {
    main,
    output,
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    // The runtime's NODE_OPTIONS are not for us: a plugin must do the same whatever kubelet was started with.
    execArgvExtension: 'none',
    // A young generation that may grow to three times 16 MiB never gives it back; the daemon keeps little of what a call makes.
    execArgv: ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=2'],
    assets: { 'koffi.node': addonPath(), 'koffi.sha256': digest, ...pages },
  };
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && 'errors' in error;
}

function addonPath(): string {
  const path = addonPackages[process.arch];
  if (path === undefined) throw new Error(`weft is built on x64 and arm64 only: this is ${process.arch}`);
  return join(root, path);
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return version;
}

/** A digest of the given files and of the Node that packs itself around them. */
function stampOf(files: readonly string[]): string {
  return sha256([process.version, process.arch, ...files.map((file) => sha256(readFileSync(file)))].join('\n'));
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function readIfThere(file: string): string | undefined {
  return isFile(file) ? readFileSync(file, 'utf8') : undefined;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function report(output: string, news: string): void {
  process.stdout.write(`${relative(process.cwd(), output)} ${news}\n`);
}
