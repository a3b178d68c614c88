# Every target works alone on a fresh Debian 12 with npm, as root: scripts/setup.sh installs what the target needs.

# The Node that npm installed: the machine's own only has to run npm. Not node_modules/.bin/node, which Debian's npm does
# not link where two optional packages have it.
NODE := node_modules/node-linux-$(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x64)/bin/node
DESTDIR ?=

# Without a login shell a Debian root has no sbin on its PATH, and that is where ip, bridge and nft are.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.PHONY: build test demo bench check docs install uninstall e2e-kind e2e-kubernetes clean help
.NOTPARALLEL:
.DEFAULT_GOAL := help

build: setup-build ## Build dist/weft, the single executable, and dist/cni/weft, the launcher
	@$(NODE) scripts/build.ts
	@$(NODE) scripts/build-launcher.ts

test: setup-test build check ## Run everything: build, check, and all tests on this machine's kernel
	@WEFT_TEST_STRICT=1 $(NODE) scripts/run-tests.ts

demo: setup-demo build ## Show two tenants with equal addresses on two nodes, and who reaches whom
	@$(NODE) e2e/demo/main.ts

bench: setup-bench build ## Measure ADD and DEL side by side with the reference plugins
	@$(NODE) scripts/bench/main.ts

e2e-kubernetes: setup-e2e-kubernetes build ## Run pods of tenants in a real Kubernetes, which is built when it is missing
	@$(NODE) e2e/kubernetes/main.ts

check: setup-build ## Check types, imports, style and documentation
	@$(NODE) node_modules/typescript/bin/tsc -p .
	@$(NODE) scripts/check/main.ts

docs: setup-build ## Write docs/reference and conf/weft.schema.json anew from the schema in pkg/config
	@$(NODE) scripts/reference/main.ts

install: build ## Install weft under DESTDIR (default: this machine)
	@scripts/install.sh "$(DESTDIR)"

uninstall: ## Remove what install has put under DESTDIR; not while containers are attached
	@scripts/install.sh --uninstall "$(DESTDIR)"

e2e-kind: ## Try the Kubernetes manifests on a cluster of two nodes, where Docker, kind and kubectl are
	@e2e/kind/run.sh

clean: ## Remove what was built
	rm -rf dist .tap

help: ## Show this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do printf '  make %-15s %s\n' "$$target" "$$text"; done

setup-%:
	@scripts/setup.sh $*
