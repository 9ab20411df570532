# `make` lists what it can do. Everything runs inside .venv, which is made from a lock with hashes.

PYTHON ?= python3
# cpu or gpu: which TensorFlow the environment gets (requirements/cpu.txt, requirements/gpu.txt).
# An environment that is there keeps its own.
TF ?= $(or $(patsubst .venv/.ready-%,%,$(firstword $(wildcard .venv/.ready-*))),cpu)

# What `compare` compares with: a branch, a tag, a commit.
AGAINST ?= main

# Relative, so that a path with a space in it is no special case.
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := .venv/.ready-$(TF)
TOOLS := .venv/.tools-ready
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-header --python-version 3.10
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" DVC_NO_ANALYTICS=1
# For a plain `dvc`, see SECURITY.md.
NOTES := DVC_SITE_CACHE_DIR="$$($(BIN)/python -m carbrand.pipeline.dvc_settings)"

.DEFAULT_GOAL := help
.PHONY: help setup repro test torture lint format bench compare experiments sample lock audit wheels \
  sbom merge-drivers clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

setup: $(TOOLS) merge-drivers  ## make .venv from the locks, with what tests need

$(READY): requirements/build.txt requirements/$(TF).txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not to be found. Say which Python to use: make PYTHON=python3.12"; exit 2; }
	@# A Python that is much too old could not read the next line's module.
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v < (3, 14) else \
	  "Python %d.%d is not supported: TensorFlow needs 3.10 to 3.13. Say which one to use: make PYTHON=python3.12" % v)'
	@$(PYTHON) -m carbrand.pipeline.virtual_environment $(TF)

$(TOOLS): $(READY) requirements/dev.txt
	@$(PYTHON) -m carbrand.pipeline.virtual_environment $(TF) tests

# `exec`: a signal to make's shell is one to what it runs.
repro: $(READY) merge-drivers  ## run what changed of the pipeline (dvc repro)
	@$(RUN) exec python -m stages

# Git takes commands from no file that is committed. Without .git, this does nothing.
merge-drivers: $(READY)
	@$(RUN) python -m carbrand.pipeline.lock_merge install

test: $(TOOLS)  ## prove it
	@$(RUN) PYTHONDONTWRITEBYTECODE= python -m pytest -n auto --dist worksteal $(ARGS)

torture: $(TOOLS)  ## hold the promises to the full, and print the figures (takes long)
	@$(RUN) TORTURE=1 python -m pytest $(ARGS)

lint: $(TOOLS)  ## ruff and mypy
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

format: $(TOOLS)  ## mend what ruff can mend
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

bench: $(READY)  ## print ratios of things measured in one run
	@$(RUN) python -m bench

compare: $(READY)  ## what changed since AGAINST: comparison/comment.md, plots beside it
	@mkdir -p comparison/plots
	@$(RUN) carbrand gate --against '$(AGAINST)' --no-ledger --markdown --exit-zero > comparison/comment.md
	@printf '\n<details><summary><code>dvc metrics diff</code></summary>\n\n' >> comparison/comment.md
	@$(RUN) $(NOTES) dvc metrics diff --md '$(AGAINST)' >> comparison/comment.md
	@printf '\n</details>\n' >> comparison/comment.md
	@$(RUN) $(NOTES) dvc plots diff '$(AGAINST)' --out comparison/plots

experiments: $(READY)  ## held-out accuracy and loss of DVC's experiments, and what each changed
	@$(RUN) python -m carbrand.commands.experiments $(ARGS)

sample: $(TOOLS)  ## draw the photos of Datasets/ again (the same bytes)
	@$(RUN) python -m tools.sample Datasets

lock: $(READY)  ## resolve requirements/*.txt anew, and look at their licences
	@$(BIN)/python -m pip install --quiet uv==0.13.9 pip==26.3
	@for tf in cpu gpu; do $(COMPILE) --upgrade --group build --extra $$tf -o requirements/$$tf.txt pyproject.toml || exit; done
	@$(COMPILE) --upgrade --group build --constraint requirements/cpu.txt -o requirements/build.txt
	@$(COMPILE) --upgrade --group dev --constraint requirements/cpu.txt -o requirements/dev.txt
	@$(RUN) python -m tools.locks.licences

audit: $(TOOLS)  ## ask for known weaknesses of every locked version
	@$(RUN) python -m tools.locks.audit $(ARGS)

wheels: $(READY)  ## ask whether every platform can install the locks
	@$(BIN)/python -m pip install --quiet uv==0.13.9
	@$(RUN) python -m tools.locks.wheels

sbom: $(READY)  ## write bills of materials into dist/ (CycloneDX)
	@mkdir -p dist
	@for lock in cpu gpu; do $(RUN) python -m tools.locks.sbom $$lock > dist/carbrand-$$lock.cdx.json || exit; done

# Where they lie, what the project makes; only what Git ignores of it is deleted.
MADE := .venv artifacts .vectors .training .made_by .retrain comparison export dvc_plots dist \
  .pytest_cache .mypy_cache .ruff_cache
CLEAN := -c core.excludesFile=/dev/null clean -ffdX -- $(MADE)

# A downloaded archive is in no repository: an empty one reads its .gitignore files too.
clean:  ## delete what was made here, but nothing that Git tracks (photos, weights, DVC's cache stay)
	@command -v git >/dev/null || { echo "make clean asks Git which files were made here, and there is no git. Delete what you need no more of: $(MADE)"; exit 2; }
	@if git rev-parse --git-dir >/dev/null 2>&1; then git $(CLEAN); else \
	  empty=$$(mktemp -d) && git init --quiet --bare "$$empty" && \
	  git --git-dir="$$empty" --work-tree=. $(CLEAN); status=$$?; rm -rf "$$empty"; exit $$status; fi
	@echo "Deleted what is named above: nothing that Git tracks, no photo, no weights, nothing of DVC's cache."
