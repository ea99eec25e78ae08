# The local engine: .venv from the lock. And the light environment of the commands that work beside the image.

CODE_OF_SCRIPTS = scripts/pyproject.toml $(wildcard scripts/*.whl)
UV     := .samebook/uv/bin/uv
LOCAL  := .venv/.installed
# Runs need production's packages only; where Lab or tests have added theirs, runs go on with all.
RUNTIME := $(or $(wildcard $(LOCAL)),.venv/.runtime)
PYTHON_VERSION = $(shell cat .python-version)
INSIDE_local      = env -u PYTHONDONTWRITEBYTECODE PATH=$(call quoted,$(CURDIR)/.venv/bin):"$$PATH"
PROGRAM_local     = samebook
BESIDE_local      = BASE_IMAGE=$(call quoted,$(BASE_IMAGE)) $(INSIDE_local) samebook
ENVIRONMENT_local = $(if $(filter lab,$(TARGETS)),$(LOCAL),$(RUNTIME))
LIGHT_local       = $(LOCAL)
LOST_local        = :

# Downloads trust what this machine trusts; a project has samebook as a wheel in scripts/. Under pyenv any other Python hides where PYENV_VERSION names one.
UV_WAYS = UV_SYSTEM_CERTS=1 UV_FIND_LINKS=$(call quoted,$(CURDIR)/scripts)"$${UV_FIND_LINKS:+,$$UV_FIND_LINKS}"
UV_RUN = env -u PYENV_VERSION $(UV_WAYS) $(UV)

# uv comes by hash from the lock into a folder of its own: nothing on the machine needs to have it, or hide it. Where
# there is no Python to begin with, the image's build has it: Docker and make are enough.
$(UV): environments/build.txt
	@echo "uv: into .samebook/uv" >&2 && rm -rf .samebook/uv && \
	if python3 -m venv .samebook/uv 2>/dev/null || /usr/bin/python3 -m venv .samebook/uv 2>/dev/null; then \
	  { export PIP_CERT="$${PIP_CERT:-$(filter-out /etc/ssl/cert.pem,$(CA))}" && [ -n "$$PIP_CERT" ] || unset PIP_CERT; } && \
	  .samebook/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r environments/build.txt || { \
	    echo "error: uv could not be downloaded" >&2 && $(PROXIES) && exit 2; }; \
	else \
	  rm -rf .samebook/uv && { $(if $(filter docker,$(ENGINE)),[ "$$(uname)" = Linux ] && $(AGAIN) --silent uv-of-image,false) || { \
	    echo "error: python3 can't make a virtual environment, or there is none" >&2 && \
	    echo "  -> on Debian: sudo apt-get install python3-venv" >&2 && exit 2; }; }; \
	fi && touch $@

# An environment from a lock. What packages are compiled to comes from the user's cache, once it is there; a
# reproduction takes it from there itself, as the commit's own code may not write into it.
define install
@echo "environment: $< into $(@D), $$(grep -c == $<) packages" >&2 && rm -f $(@D)/.installed $(@D)/.runtime && \
{ $(UV_RUN) venv --quiet --allow-existing --python "$(PYTHON_VERSION)" $(@D) || { \
  echo "error: Python $(PYTHON_VERSION) was neither found nor fetched" >&2 && \
  echo "  -> install it: apt-get install python$(PYTHON_VERSION), pyenv install $(PYTHON_VERSION), …" >&2 && $(PROXIES) && exit 5; }; } && \
export VIRTUAL_ENV="$(CURDIR)/$(@D)" && \
{ $(UV_RUN) pip sync --quiet --require-hashes --build-constraints environments/build.txt $< || { \
  echo "error: the packages of $< could not be installed" >&2 && $(PROXIES) && exit 2; }; } && \
$(UV_RUN) pip install --quiet --no-deps --no-index --editable scripts && \
$(HERE)environments/image/install no_pip && \
{ [ -n "$$SAMEBOOK_UNCOMPILED" ] || $(@D)/bin/python -P -m samebook.environment.bytecode $(@D)/lib/python$(PYTHON_VERSION)/site-packages || :; } && touch $@
endef

$(LOCAL): environments/lab.txt environments/build.txt $(CODE_OF_SCRIPTS) .python-version | $(UV)
	$(install)

.venv/.runtime: environments/runtime.txt environments/build.txt $(CODE_OF_SCRIPTS) .python-version | $(UV)
	$(install)

.samebook/command/.installed: environments/command.txt environments/build.txt $(CODE_OF_SCRIPTS) .python-version | $(UV)
	$(install)

OWN += kernel
TAKES_kernel = NAME SHOW
kernel: $(LOCAL) ## The kernel "samebook (NAME)" for VS Code, PyCharm and other Jupyters of this machine
	@$(INSIDE_local) $(PROGRAM_local) make $@ -- $(foreach name,$(CHOSEN),$(call quoted,$(name)))

.PHONY: lab-local
lab-local:
	@set -a && . environments/variables.env && set +a && \
	token=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n') && export JUPYTER_TOKEN=$$token && ulimit -c 0 && port=$(call quoted,$(PORT)) && \
	echo "Lab: http://127.0.0.1:$$port/lab?token=$$token" && echo "Stop it: Ctrl-C" && \
	$(INSIDE_local) $(FOR_PEOPLE) SAMEBOOK_WORKSPACE="$(CURDIR)" MATPLOTLIBRC="$(CURDIR)/environments/matplotlibrc" JUPYTER_DEFAULT_PROVISIONER_NAME=samebook \
	  jupyter lab --no-browser --ip 127.0.0.1 --port "$$port" --ServerApp.port_retries=0 --notebook-dir . --log-level WARN \
	  $$([ "$$(id -u)" != 0 ] || echo --allow-root) || { \
	  echo "error: Lab did not start, or ended" >&2 && echo "  -> port $$port taken? make lab PORT=8889" >&2 && exit 2; }

clean: ## Remove environments and caches; runs, store and data stay
	@rm -rf .venv .samebook .pytest_cache .ruff_cache dist && find . -name __pycache__ -prune -exec rm -rf {} +
