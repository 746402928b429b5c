# make demo     five scripts on handwritten digits: no download but the packages; the run is called demo
# make cifar10  five scripts on CIFAR-10, as run "mine"; goes on where it was stopped (SOURCE=PATH for a copy you have,
#               EPOCHS=N for another length, START=RUN to begin with what a run has learnt)
# make page     a local web page to click through the images of a run (SHOW=run) or of a folder (GALLERY=PATH)
# make benchmark  all measurements on CIFAR-10, about two hours; writes benchmarks/README.md (BENCHMARKS=NAMES for some)
# make test     lint and tests
# make coverage  the tests, and which lines and branches of the package they reach; htmlcov/ shows them
# make torture  every write on a full disk, hundreds of kills, thousands of requests, damaged files: hours
# make test-page  the page in a browser: installs chromium where it is missing (as root, with apt-get), else skips
# make test-engines  searches and coding on Spark: installs pyspark, and Java where it is missing (likewise), else skips
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
# Compiled after it is installed, on all cores: pip compiles on one, half of its time.
define install
$(VENV)/bin/pip --disable-pip-version-check install --quiet --no-compile $(1)
-$(RUN) -m compileall -q -j 0 $(VENV)/lib
touch $@
endef
unexport PYTHONDONTWRITEBYTECODE  # or each process would compile all modules again
SOURCE ?= cifar10
SHOW ?=
EPOCHS ?= 24
START ?=
GALLERY ?=
BENCHMARKS ?= training_speed training_profile coding precision first_answer search folders growth scaling set_up

.PHONY: demo cifar10 page benchmark test coverage torture test-page test-engines lint clean

demo: $(VENV)/installed
	$(RUN) -m examples.demo

cifar10: $(VENV)/installed
	$(RUN) DataPreperation.py --source $(SOURCE) --dataset cifar10
	test -e models/mine/build.json || $(RUN) BuildingAutoencoder.py --run mine $(if $(START),--start-from $(START))
	$(RUN) TrainAutoencoder.py --run mine --epochs $(EPOCHS) --resume
	$(RUN) SanityChecks.py --run mine
	$(RUN) RetrieveSimilar.py --run mine
	@echo && cat reports/mine/summary.txt

page: $(VENV)/installed-page
	$(RUN) -m latentsearch.page $(if $(SHOW),--run $(SHOW)) $(if $(GALLERY),--gallery "$(GALLERY)")

benchmark: $(VENV)/installed-benchmark
	test -e data/cifar10/dataset.json || $(RUN) DataPreperation.py --source $(SOURCE) --dataset cifar10
	for name in $(BENCHMARKS); do $(RUN) -m benchmarks.$$name || exit; done
	$(RUN) -m benchmarks.ratios
	$(RUN) -m benchmarks.summary

test: lint
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not engines and not torture"

coverage: lint
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not engines and not torture" --cov --cov-report=term --cov-report=html

torture: $(VENV)/installed-dev
	$(RUN) -m pytest -m torture -n 2
	$(RUN) -m benchmarks.fuzz

test-page: $(VENV)/installed-browser
	command -v chromium || { test "$$(id -u)" = 0 && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
		|| echo "No chromium, and it cannot be installed here: the tests in a browser are skipped."
	$(RUN) -m pytest -m browser tests/page

test-engines: $(VENV)/installed-engines
	command -v java || { test "$$(id -u)" = 0 && apt-get update -qq \
		&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless; } \
		|| echo "No Java, and it cannot be installed here: the tests with Spark are skipped."
	$(RUN) -m pytest -n 2 --dist loadfile -m engines

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/mypy

clean:  # the virtual environment only, never what was prepared, trained or reported
	rm -rf $(VENV)

$(VENV)/installed: requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(call install,-r requirements.txt)

$(VENV)/installed-page: $(VENV)/installed requirements-page.txt
	$(call install,-r requirements-page.txt)

$(VENV)/installed-dev: $(VENV)/installed-page requirements-dev.txt
	$(call install,-r requirements-dev.txt)

$(VENV)/installed-browser: $(VENV)/installed-dev requirements-browser.txt
	$(call install,-r requirements-browser.txt)

$(VENV)/installed-benchmark: $(VENV)/installed requirements-benchmark.txt
	$(call install,-r requirements-benchmark.txt)

$(VENV)/installed-engines: $(VENV)/installed-dev requirements-spark.txt requirements-milvus.txt requirements-milvus-server.txt
	$(call install,-r requirements-spark.txt -r requirements-milvus.txt -r requirements-milvus-server.txt)
