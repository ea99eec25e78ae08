# The engine: where everything runs. Results are the same, byte for byte.

# A make below is this one too, where it works on another tree than its own.
MAKE += --file $(HERE)Makefile
# In a recipe that does more than call make: one with that name in it is run by `make -n`, too.
AGAIN = $(MAKE)
DRY_MAKE = $(findstring n,$(firstword -$(MAKEFLAGS)))

# docker where a daemon answers and the base image can be had, else local; asked once, and only where it matters.
ENGINE ?= $(eval CHOICE := $(shell $(HERE)environments/engine $(call quoted,$(BASE_IMAGE)) $(DRY_MAKE)))$(eval ENGINE := $(firstword $(CHOICE)))$(ENGINE)

# Podman is the Docker engine with another daemon, which each make below finds, too, by Docker's own variable.
ifeq ($(value ENGINE),podman)
export DOCKER_HOST := $(shell $(HERE)environments/podman)
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
	@$(MAKE) --silent $(ENVIRONMENT_$(ENGINE)) ENGINE=$(ENGINE) SAMEBOOK_PATCH=$(call quoted,$(SAMEBOOK_PATCH)) TARGETS=$(call quoted,$(TARGETS))

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
