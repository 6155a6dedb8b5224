# Everything starts here: `make` lists the targets. Works with GNU make 3.81 (macOS) and newer.

PYTHON ?= python3
UV ?= uv
# Parallel test processes, each with one thread; see tests/conftest.py.
WORKERS ?= 2
# The same for make test-cluster: each process has its own cluster, and mostly waits for it.
CLUSTER_WORKERS ?= 4
SLURM_PACKAGES := slurmctld slurmd slurm-client munge
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable chrome

BIN := .venv/bin
PYTEST = $(BIN)/python -m pytest -n $(WORKERS)
# Written last, so an interrupted installation never passes for a finished one.
STAMP := .venv/.installed
OWN_STAMP := .venv/.installed-metalqr
PATH_STAMP := .venv/.installed-first
BENCH_STAMP := .venv/.installed-bench
# Wheels only, so that nothing is compiled. connection-pool, a dependency of Snakemake, has no wheel on PyPI:
# it is built from its hashed source with the lock's own setuptools.
# Into .venv, wherever the user's or the site's pip is told to install; other settings, such as an index, count.
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-input \
	--no-user --target '' --root / --prefix "$$PWD/.venv"
WHEELS_ONLY := --only-binary :all: --no-binary connection-pool
# One version of each package for all platforms, with the hashes of all its files, and no trace of where it came from.
COMPILE_LOCK = $(UV) pip compile --universal --python-version 3.11 --generate-hashes \
	--default-index https://pypi.org/simple --no-emit-index-url --no-emit-find-links \
	--no-emit-package colorama --no-emit-package pyreadline3 $(if $(UPGRADE),--upgrade) \
	--custom-compile-command "make lock (or: make lock UPGRADE=1)" --quiet

# What a module of a cluster puts there would pass for installed, and be imported in place of the lock's.
unexport PYTHONPATH PYTHONHOME

# Neighbouring papers, each an overlay config/papers/NAME.yaml; its results are in a folder of their own.
PAPERS := pan2025 song2025 svrpg2023 toso2024

.DEFAULT_GOAL := help
.PHONY: $(PAPERS) help quick paper check test test-cluster validate slurm browser lint schema gallery docs dist showcase bench lock clean .venv

help: ## List the targets
	@echo "metalqr: the paper's figures from one command. Targets:"
	@awk -F ':.*## ' -v papers='$(PAPERS)' '/^[.a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 } \
		/^\$$\(PAPERS\):.*## / { count = split(papers, names, " "); \
			for (place = 1; place <= count; place++) printf "  make %-12s %s\n", names[place], $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "PYTHON=python3.12 chooses the Python that .venv is made with (3.11 to 3.13)."

quick: .venv ## All of it at small numbers, in results/quick (three minutes); says how it differs from the paper
	@mkdir -p results/quick
	$(BIN)/snakemake --cores all --logger metalqr --configfile config/quick.yaml --directory results/quick
	@$(BIN)/snakemake --report results/report.html --logger metalqr --configfile config/quick.yaml --directory results/quick
	@echo
	@$(BIN)/python -m metalqr.config.differences config.yaml config/quick.yaml
	@echo
	@echo "Page:     $$PWD/results/quick/results/page.html"
	@echo "Report:   $$PWD/results/quick/results/report.html"
	@echo "Figure 1: $$PWD/results/quick/results/figures/figure1.pdf"

paper: .venv ## Reproduce results/figures/figure1.pdf and all other results of the paper, results/page.html and report.html
	$(BIN)/snakemake --cores all --logger metalqr
	@$(BIN)/snakemake --report results/report.html --logger metalqr
	@echo
	@echo "Page:     $$PWD/results/page.html"
	@echo "Report:   $$PWD/results/report.html"
	@echo "Figure 1: $$PWD/results/figures/figure1.pdf"

$(PAPERS): .venv ## Rebuild the experiments of this neighbouring paper, in results/papers/ (minutes; docs/papers.md)
	@mkdir -p results/papers/$@
	$(BIN)/snakemake figures tables --cores all --logger metalqr --configfile config/papers/$@.yaml --directory results/papers/$@
	@echo
	@echo "Figure: $$PWD/results/papers/$@/results/figures/$@.pdf"

check: lint ## Lint, types and the fast tests (two minutes; more in a fresh clone, which compiles)
	$(PYTEST) --dist worksteal -m "not slow" --doctest-modules src/metalqr tests/unit

# The workflow tests share results within a file, and use the code that the unit tests have compiled.
test: lint ## Lint, types and all tests except those of the next two targets (ten minutes)
	$(PYTEST) --dist worksteal --doctest-modules src/metalqr tests/unit docs
	$(PYTEST) --dist loadfile tests/workflow

test-cluster: .venv slurm ## Test the cluster profiles on a temporary Slurm on this machine (some minutes)
	$(PYTEST) -n $(CLUSTER_WORKERS) tests/cluster

validate: .venv ## Compare predicted learning curves with fresh trainings (two hours)
	$(PYTEST) -rP tests/validation

# Installs Debian's Slurm where it is missing. The tests start its daemons themselves and stop them again.
slurm:
	@PATH="$$PATH:/usr/sbin:/sbin"; missing=; \
	for program in slurmctld slurmd sbatch munged; do \
		command -v $$program > /dev/null || missing="$$missing $$program"; \
	done; \
	test -z "$$missing" || { \
		if command -v apt-get > /dev/null && test "$$(id -u)" = 0; then \
			apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $(SLURM_PACKAGES); \
		else \
			echo "Error: missing$$missing; as root: apt-get install $(SLURM_PACKAGES)" >&2; exit 1; \
		fi; }

# Installs Debian's Chromium where there is no browser and that is possible; the tests that need one say why they are skipped.
browser:
	@for program in $(BROWSERS); do command -v $$program > /dev/null && exit; done; \
	{ command -v apt-get > /dev/null && test "$$(id -u)" = 0 && apt-get update && \
		DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium fonts-dejavu-core; } || \
		echo "No Chromium: the tests of results/page.html and of the site in a browser are skipped."

lint: .venv ## Check style, formatting, types and docstrings; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/numpydoc lint $$(find src workflow -name '*.py')
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

schema: .venv ## Write the config's JSON schema and the tables of docs/; run it after changing a setting or a system
	$(BIN)/python -m metalqr.config.schema
	$(BIN)/python -m metalqr.reporting.systems_page
	$(BIN)/python -m metalqr.reporting.results_page

gallery: .venv ## Draw the figures of docs/systems.md; run it after adding or changing a system
	$(BIN)/python -m metalqr.reporting.figures.gallery

docs: .venv ## Build the documentation into build/site, with every link checked (a minute)
	$(BIN)/python -m website

showcase: .venv ## Copy the figures and tables that README.md and docs/ show from results/, and renew the numbers in their pages
	$(BIN)/python -m metalqr.reporting.showcase

# The wheel is made from the sdist, so that what the sdist lacks is noticed. Both are made by the lock's setuptools, without network.
dist: .venv ## Make the wheel and the sdist of metalqr, in dist/
	rm -rf dist src/metalqr.egg-info
	$(BIN)/python -c 'from setuptools import build_meta; build_meta.build_sdist("dist")' > /dev/null
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-build-isolation --no-deps --no-index \
		--wheel-dir dist dist/metalqr-*.tar.gz
	rm -rf src/metalqr.egg-info
	@echo; ls dist/* | sed "s|^|Made: $$PWD/|"

bench: .venv $(BENCH_STAMP) ## Time metalqr against NumPy, JAX and a plain loop, into results/benchmarks/ (some minutes)
	$(BIN)/python -m benchmarks

.venv: $(PATH_STAMP) ## Install the versions of requirements.lock into .venv, if it is missing or older than the lock

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2> /dev/null || { \
		found=$$($(PYTHON) --version 2>&1) || found='no working Python'; \
		echo "Error: metalqr needs Python 3.11, 3.12 or 3.13, but '$(PYTHON)' is $$found." >&2; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; \
		exit 1; }
	@echo "Installing the versions of requirements.lock into .venv (once; a minute or two)"
	rm -rf .venv
	$(PYTHON) -m venv .venv
	sed -n '/^setuptools==/,/[^\\]$$/p' requirements.lock > .venv/setuptools.lock
	$(PIP_INSTALL) --quiet --require-hashes $(WHEELS_ONLY) --no-deps -r .venv/setuptools.lock
	$(PIP_INSTALL) --require-hashes $(WHEELS_ONLY) --no-build-isolation --use-pep517 -r requirements.lock
	@touch $(STAMP)

# Again where pyproject.toml is newer, which may have another command or version.
$(OWN_STAMP): $(STAMP) pyproject.toml
	$(PIP_INSTALL) --quiet --no-build-isolation --no-deps --no-index --editable .
	@touch $(OWN_STAMP)

# For Snakemake, which imports NumPy before it reads the Snakefile. Python runs this line when it starts.
$(PATH_STAMP): $(OWN_STAMP)
	@echo 'import os; os.environ.get("PYTHONPATH") and __import__("metalqr.common.python_path", fromlist=["_"]).installed_first()' \
		> "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/metalqr-installed-first.pth"
	@touch $(PATH_STAMP)

# JAX, used only by the benchmarks, goes into the same folder: both locks have the same versions.
$(BENCH_STAMP): $(PATH_STAMP) requirements-bench.lock
	@echo "Installing the versions of requirements-bench.lock into .venv"
	$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements-bench.lock
	@touch $(BENCH_STAMP)

lock: ## Bring both locks up to date with pyproject.toml (needs uv; UPGRADE=1 also takes newer versions)
	@command -v $(UV) > /dev/null || { \
		echo "Error: '$(UV)' not found; 'make lock' needs uv, see docs/installation.md." >&2; exit 1; }
	$(COMPILE_LOCK) pyproject.toml --extra workflow --group build --group docs --group test --group lint \
		--output-file requirements.lock
	$(COMPILE_LOCK) --group bench --constraints requirements.lock --output-file requirements-bench.lock
	@echo "Now bring envs/*.yaml to the same versions; tests/unit/test_environments.py names the differences."

clean: ## Remove .venv, caches and build leftovers; results/ is never touched
	rm -rf .venv build dist src/metalqr.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -path ./results -prune -o -path ./.git -prune -o -path ./.snakemake -prune -o -type d -name __pycache__ -print \
		| while IFS= read -r cache; do rm -rf "$$cache"; done
