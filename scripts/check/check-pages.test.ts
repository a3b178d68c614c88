import t from 'tap';
import { checkPage, makeTargetsOf } from './check-pages.ts';

const makefile = 'NODE := node\n\nbuild: setup ## Build\n\tnode build.ts\n\ntest: build ## Test\nsetup-%:\n\tscripts/setup.sh $*\n';
const place = { exists: (path: string) => ['docs/errors.md', 'conf'].includes(path), makeTargets: makeTargetsOf(makefile) };

const rows = [
  { text: '[errors](docs/errors.md), [one](docs/errors.md#102), [examples](conf)', faults: [] },
  { text: '[gone](docs/gone.md)', faults: ['the link leads nowhere: docs/gone.md'] },
  { text: '[gone]: docs/gone.md', faults: ['the link leads nowhere: docs/gone.md'] },
  { text: '[web](https://example.org/x.md) [here](#place)', faults: [] },
  { path: 'docs/a.md', text: '[errors](errors.md) [up](../conf)', faults: [] },
  { text: 'Run `make test`, or:\n\n    make build\n    sudo make test', faults: [] },
  { text: 'Run `make tets`.', faults: ['the Makefile has no target tets'] },
  { text: 'These make sense.', faults: [] },
];

for (const { path = 'README.md', text, faults } of rows) {
  t.same(checkPage(path, text, place).map(({ message }) => message), faults, text);
}

t.same(place.makeTargets, ['build', 'test'], 'the targets of a Makefile are those it describes');
t.match(checkPage('README.md', '\n\n[gone](gone.md)', place), [{ path: 'README.md', line: 3 }], 'a finding has its place');
