# The engine: where everything runs. Results are the same, byte for byte.

# A make below is this one too, where it works on another tree than its own.
MAKE += --file $(HERE)Makefile
# In a recipe that does more than call make: one with that name in it is run by `make -n`, too.
AGAIN = $(MAKE)
DRY_MAKE = $(findstring n,$(firstword -$(MAKEFLAGS)))

# docker where a daemon answers and the base image can be had, else local; asked once, and only where it matters.
ENGINE ?= $(eval CHOICE := $$(shell $$(HERE)environments/host engine $$(call quoted,$$(BASE_IMAGE)) $$(if $$(PUBLISHED),n,$$(DRY_MAKE))))$(eval ENGINE := $$(firstword $$(CHOICE)))$(ENGINE)

# Podman is the Docker engine with another daemon, which each make below finds, too, by Docker's own variable.
ifeq ($(value ENGINE),podman)
export DOCKER_HOST := $(shell $(HERE)environments/host address)
override ENGINE := $(if $(DOCKER_HOST),docker,podman)
endif

# The scheduler that `make cluster` starts, which is published nowhere.
IN_CONTAINERS = tls://scheduler:8786

engine:
	@$(if $(filter PLATFORM,$(GIVEN)),[ $(call quoted,$(ENGINE)) = docker ] || { \
	  echo "error: another platform needs containers" >&2 && echo "  -> make … ENGINE=docker PLATFORM=$(PLATFORM)" >&2 && exit 2; } &&) \
	$(if $(and $(filter ON,$(CHOSEN)),$(filter dask,$(ON))),{ [ $(call quoted,$(ENGINE)) != local ] || ! grep -qx $(IN_CONTAINERS) .samebook/cluster/scheduler 2>/dev/null || { \
	  echo "error: the cluster of this checkout runs in containers: nothing else reaches its scheduler" >&2 && \
	  echo "  -> make $(MAKECMDGOALS) … ON=dask ENGINE=docker" >&2 && exit 2; }; } &&) \
	case $(call quoted,$(ENGINE)) in \
	  docker | local) echo engine: $(call quoted,$(or $(CHOICE),$(ENGINE))$(if $(filter docker,$(ENGINE)),$(if $(PODMAN), (Podman)))) >&2 ;; \
	  podman) exit 2 ;; \
	  *) echo "error: ENGINE="$(call quoted,$(ENGINE))"; expected docker, podman or local" >&2 && echo "  -> make … ENGINE=local" >&2 && exit 2 ;; \
	esac

# What runs needs production's image only; Lab and tests also the one on top of it.
TARGETS = runtime lab
$(INSIDE) shell: TARGETS = runtime

environment: engine
	@$(MAKE) --silent $(ENVIRONMENT_$(ENGINE)) ENGINE=$(ENGINE) SAMEBOOK_PATCH=$(call quoted,$(SAMEBOOK_PATCH)) TARGETS=$(call quoted,$(TARGETS)) \
	  $(if $(filter docker,$(ENGINE)),$(if $(PUBLISHED),PUBLISHED=$(call quoted,$(PUBLISHED))))

beside: engine
	@$(MAKE) --silent $(LIGHT_$(ENGINE)) ENGINE=$(ENGINE)

# A kernel lives in the container of its zygote, and each run has a container of its own.
FORKABLE_local  = :
FORKABLE_docker = echo "error: a run in a container has no kernel from another" >&2 && \
                  echo "  -> make warm NOTEBOOK=$$NOTEBOOK ENGINE=local" >&2 && exit 2
forkable: engine
	@$(FORKABLE_$(ENGINE))

# What each download error says last: for that of $(1), a file with the tool's own words, where these are of a network.
OF_NETWORK = Failed to fetch|error sending request|[Cc]onnection|timed out|dns error|resolve host|certificate|[Nn]etwork|Unable to fetch|Could not connect
blamed     = { ! grep -Eq '$(OF_NETWORK)' $(1) || { $(PROXIES); }; }
PROXIES = echo "  -> behind a proxy: HTTPS_PROXY names it, SSL_CERT_FILE its certificate;" \
               "an index of your own: PIP_INDEX_URL and UV_DEFAULT_INDEX" >&2

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
LIGHT_local       = $(if $(filter new update,$(GOALS)),$(LOCAL),$(RUNTIME))
LOST_local        = :

# Downloads trust what this machine trusts; a project has samebook as a wheel in scripts/. Under pyenv any other Python hides where PYENV_VERSION names one.
UV_WAYS = UV_SYSTEM_CERTS=1 UV_FIND_LINKS=$(call quoted,$(CURDIR)/scripts)"$${UV_FIND_LINKS:+,$$UV_FIND_LINKS}"
UV_RUN = env -u PYENV_VERSION $(UV_WAYS) $(UV)

# The wheels that the store has kept, for where no index answers: the command after -- runs with these alone. A
# reproduction works on another tree than the one with the store, and says where that is.
KEPT = $(HERE)environments/host from_kept $(call quoted,$(or $(SAMEBOOK_KEPT),$(HERE)store))

# And the same from the bucket that machines share, for a machine that has nothing yet.
BROUGHT = $(HERE)environments/host brought $(call quoted,$(or $(SAMEBOOK_KEPT),$(HERE)store)) $(call quoted,$(HERE)$(SETTINGS)) \
          $(call quoted,$(abspath $(firstword $(wildcard $(HERE)scripts/*.whl) $(HERE)scripts)))

# uv comes by hash from the lock into a folder of its own: nothing on the machine needs to have it, or hide it. pip is
# called in the wheel that Python has of it, which takes half as long as to install it for one use. An image that is
# here has uv already; and where there is no Python to begin with, Docker and make are enough.
PIP_OF_PYTHON = import ensurepip, glob, os, sysconfig; folder = sysconfig.get_config_var("WHEEL_PKG_DIR"); \
                print(glob.glob(os.path.join(glob.escape(folder or os.path.dirname(ensurepip.__file__) + "/_bundled"), "pip-*.whl"))[0])
UV_OF_IMAGE   = [ "$$(uname)" = Linux ] && $(AGAIN) --silent uv-of-image && { $(UV) --version >/dev/null || { rm -f $(UV) && false; }; }
$(UV): environments/build.txt
	@echo "uv: into .samebook/uv" >&2 && rm -rf .samebook/uv && \
	if $(if $(PLATFORM)$(filter-out docker,$(ENGINE)),false,docker image inspect $(PROJECT_NAME):runtime$(TAG) >/dev/null 2>&1 && { $(UV_OF_IMAGE); } 2>/dev/null); then :; \
	elif for python in python3 /usr/bin/python3; do \
	  pip=$$($$python -c '$(PIP_OF_PYTHON)' 2>/dev/null) && $$python -m venv --without-pip .samebook/uv && break; done; then \
	  { export PIP_CERT="$${PIP_CERT:-$(filter-out /etc/ssl/cert.pem,$(CA))}" && [ -n "$$PIP_CERT" ] || unset PIP_CERT; } && \
	  set -- .samebook/uv/bin/python "$$pip/pip" install --quiet --no-compile --disable-pip-version-check --require-hashes -r environments/build.txt && \
	  $(KEPT) environments/build.txt -- "$$@" || { [ -z "$$UV_OFFLINE" ] && "$$@"; } || { $(BROUGHT) environments/build.txt && $(KEPT) environments/build.txt -- "$$@"; } || { \
	    echo "error: uv could not be downloaded" >&2 && $(PROXIES) && exit 2; }; \
	else \
	  rm -rf .samebook/uv && { $(if $(filter docker,$(ENGINE)),{ $(UV_OF_IMAGE); },false) || { \
	    echo "error: python3 can't make a virtual environment, or there is none" >&2 && \
	    echo "  -> on Debian: sudo apt-get install python3-venv" >&2 && exit 2; }; }; \
	fi && touch $@

# An environment from a lock: made once on a machine, in the user's cache, and shown by each checkout through links. What
# a reproduction has to make stands in its own checkout, and is compiled by the caller.
SHARED = PYTHONPATH=$(call quoted,$(abspath $(firstword $(wildcard scripts/*.whl) scripts))) $(@D)/bin/python -P -B -m samebook.wheelhouse.shared
define install
@echo "environment: $< into $(@D), $$(grep -c == $<) packages" >&2 && \
{ $(UV_RUN) venv --quiet --clear --python "$(PYTHON_VERSION)" $(@D) || { \
  echo "error: Python $(PYTHON_VERSION) was neither found nor fetched" >&2 && \
  echo "  -> install it: apt-get install python$(PYTHON_VERSION), pyenv install $(PYTHON_VERSION), …" >&2 && $(PROXIES) && exit 5; }; } && \
{ new=$$($(SHARED) link $(@D) $(UV) $< environments/build.txt) || { [ $$? = 3 ] && \
  $(UV_RUN) venv --quiet --relocatable --python $(@D)/bin/python "$$new" && export VIRTUAL_ENV="$$new" && \
  sync="pip sync --quiet --require-hashes --build-constraints environments/build.txt $<" && \
  { UV_OFFLINE=1 $(UV_RUN) $$sync 2>/dev/null || $(KEPT) environments/build.txt $< -- $(UV_RUN) $$sync || $(UV_RUN) $$sync || \
    { $(BROUGHT) environments/build.txt $< && $(KEPT) environments/build.txt $< -- $(UV_RUN) $$sync; } || { \
    rm -rf "$$new"; echo "error: the packages of $< could not be installed" >&2 && $(PROXIES) && exit 2; }; } && \
  { $(SHARED) keep $(@D) "$$new" || { rm -rf "$$new" && exit 2; }; }; }; } && \
export VIRTUAL_ENV="$(CURDIR)/$(@D)" && $(UV_RUN) pip install --quiet --no-deps --no-index --editable scripts && \
$(HERE)environments/image/install no_pip && touch $@
endef

$(LOCAL): environments/lab.txt environments/build.txt $(CODE_OF_SCRIPTS) .python-version | $(UV)
	$(install)

.venv/.runtime: environments/runtime.txt environments/build.txt $(CODE_OF_SCRIPTS) .python-version | $(UV)
	$(install)

.samebook/command/.installed: environments/command.txt environments/build.txt $(CODE_OF_SCRIPTS) .python-version | $(UV)
	$(install)

TAKES_lab   = PORT V
TAKES_shell = V
lab: environment ## Develop in JupyterLab, in the same environment
	@$(MAKE) lab-$(ENGINE)

shell: environment ## A shell in the environment
	@$(if $(filter docker,$(ENGINE)),$(INSIDE_docker) --entrypoint bash run,$(INSIDE_local) $(FOR_PEOPLE) bash)

OWN += kernel
TAKES_kernel = NAME SHOW
kernel: $(LOCAL) ## The kernel "samebook (NAME)" for VS Code, PyCharm and other Jupyters of this machine
	@$(INSIDE_local) $(PROGRAM_local) make $@ -- $(foreach name,$(CHOSEN),$(call quoted,$(name)))

.PHONY: lab-local
lab-local:
	@set -a && . environments/variables.env && set +a && \
	token=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n') && export JUPYTER_TOKEN=$$token && ulimit -c 0 && port=$(call quoted,$(PORT)) && \
	echo "Lab: http://127.0.0.1:$$port/lab?token=$$token" && echo "Stop it: Ctrl-C" && \
	$(INSIDE_local) $(FOR_PEOPLE) SAMEBOOK_WORKSPACE="$(CURDIR)" JUPYTER_DEFAULT_PROVISIONER_NAME=samebook \
	  jupyter lab --no-browser --ip 127.0.0.1 --port "$$port" --ServerApp.port_retries=0 --notebook-dir . --log-level WARN \
	  $$([ "$$(id -u)" != 0 ] || echo --allow-root) || { \
	  echo "error: Lab did not start, or ended" >&2 && echo "  -> port $$port taken? make lab PORT=8889" >&2 && exit 2; }

clean: ## Remove environments and caches; runs, store and data stay
	@rm -rf .venv .samebook .pytest_cache .ruff_cache dist && find . -name __pycache__ -prune -exec rm -rf {} +
