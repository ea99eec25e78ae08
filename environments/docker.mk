# The Docker engine: the images, and what runs in them.

# The image is for the checkout's owner when root runs make (sudo make): files must not end up root's.
SAMEBOOK_UID := $(shell id -u | grep -vx 0 || stat -c %u .)
SAMEBOOK_GID := $(shell [ "$$(id -u)" = 0 ] && stat -c %g . || id -g)
export SAMEBOOK_UID SAMEBOOK_GID
# A checkout may belong to another user than make: sudo make.
GIT = git -c safe.directory=$(CURDIR)
TAG = $(call quoted,$(SAMEBOOK_TAG))
# Images and containers are called after the project: several work side by side on a machine.
PROJECT_NAME := $(or $(shell sed -n 's/^name = "\([a-z][a-z0-9_]*\)-environments"$$/\1/p' $(HERE)environments/pyproject.toml),samebook)
# Another architecture than this machine's, which it emulates; its images have names of their own. Docker's variable
# says the same, and PLATFORM from the environment is somebody else's.
override PLATFORM := $(if $(filter PLATFORM,$(GIVEN)),$(value PLATFORM),$(DOCKER_DEFAULT_PLATFORM))
ifneq ($(PLATFORM),)
# As Docker writes it: linux/arm64/v8 and linux/aarch64 are linux/arm64.
ARCHITECTURE := $(patsubst linux/%,%,$(filter linux/amd64 linux/arm64,$(subst x86_64,amd64,$(subst aarch64,arm64,$(PLATFORM:/v8=)))))
$(if $(and $(ARCHITECTURE),$(filter 1,$(words $(PLATFORM)))),,$(error $(if $(filter PLATFORM,$(GIVEN)),,DOCKER_DEFAULT_)PLATFORM=$(PLATFORM); expected linux/amd64 or linux/arm64))
override PLATFORM := linux/$(firstword $(ARCHITECTURE))
override SAMEBOOK_TAG := $(SAMEBOOK_TAG:%-$(ARCHITECTURE)=%)-$(ARCHITECTURE)
export SAMEBOOK_TAG
export DOCKER_DEFAULT_PLATFORM := $(PLATFORM)
endif
# Facts for the receipt: inside the image there is neither git nor Docker. They are what make finds out, or the image
# says, and never what a shell has left over. Services run by the image's id: a tag may be another build's meanwhile.
unexport SAMEBOOK_COMMIT SAMEBOOK_PATCH SAMEBOOK_IMAGE SAMEBOOK_BASE_IMAGE SAMEBOOK_ENGINE
COMMIT = $$($(GIT) rev-parse HEAD 2>/dev/null)
# A file for each make: two at once must not take each other's patch. A make below takes that of the one above.
override SAMEBOOK_PATCH := $(or $(filter .samebook/patches/%.patch,$(SAMEBOOK_PATCH)),.samebook/patches/$(shell echo "$$(date +%s)-$$PPID").patch)
# What ENV's settings name as published is pulled, and not built: for another platform they name nothing.
PUBLISHED = $(if $(filter $(INSIDE) shell,$(GOALS)),$(if $(PLATFORM),,$(eval PUBLISHED := $$(shell $$(HERE)environments/host published $$(call quoted,$$(SETTINGS))))$(PUBLISHED)))
IMAGE     = $(if $(PUBLISHED),$(call quoted,$(PUBLISHED)),$$(docker image inspect --format '{{.Id}}' $(PROJECT_NAME):runtime$(TAG)))
# Settings that variables override go in by name, as secrets and what make was given do; a signing key through stdin,
# for what signs: the runner reads it before a notebook starts, and then it is nowhere in the container.
FACTS     = $(addprefix SAMEBOOK_,UID GID TAG BUILDER COMMIT PATCH IMAGE BASE_IMAGE WORKSPACE ENGINE REQUIRE_DOCKER DOCKER BESIDE)
OVERRIDES = $(filter-out $(FACTS),$(filter SAMEBOOK_%,$(.VARIABLES)))
# The caller's variables that a kernel gets by name. One that make has, too, would get there with the text of make's.
EXTRA  = $(if $(filter VARIABLES,$(GIVEN)),$(VARIABLES)) $(SAMEBOOK_EXTRA_VARIABLES)
FILES  = $(HERE)Makefile $(wildcard $(HERE)environments/*.mk)
HIDDEN = $(if $(strip $(EXTRA)),$(firstword $(filter $(shell sed -nE 's/^(override |export )*([A-Za-z_]+) *:?=.*/\2/p' $(FILES)),$(EXTRA))))
$(if $(HIDDEN),$(error VARIABLES=$(HIDDEN): make has its own variable of that name; expected another name))
# They go into the container, but not by the settings of a commit that is run again,
# which may be a stranger's. samebook refuses some names: until it has, its own program must be found and be the same.
SETTINGS  = environments/$(or $(if $(filter ENV,$(GIVEN)),$(ENV)),$(SAMEBOOK_ENV),dev).yml
LISTED    = $(if $(filter rerun,$@),,$(shell $(HERE)environments/host listed $(call quoted,$(SETTINGS))))
NAMED     = $(filter-out PATH SIGNING_KEY PYTHON% LD_PRELOAD LD_AUDIT GLIBC_%,$(EXTRA) $(LISTED))
HANDED    = $(foreach name,GIVEN_TO_MAKE ENGINE NOTEBOOK $(CHOSEN) $(OVERRIDES) $(SECRETS) $(NAMED),-e $(call quoted,$(name))) \
            $(if $(and $(SIGNING_KEY),$(filter $(INSIDE),$@)),-T -e SIGNING_KEY=- <$(call quoted,$(SIGNING_KEY)))
# Podman's socket in place of the daemon's. Without a daemon of root's the caller is another user inside, if nothing is said.
PODMAN  = $(filter %/podman.sock,$(DOCKER_HOST))
USERNS  = $(if $(PODMAN),$(if $(filter-out 0,$(shell id -u)),SAMEBOOK_USERNS=keep-id))
# Where make works on another tree than its own, as a reproduction does, nothing of that tree says what compose does.
COMPOSE = SAMEBOOK_NAME=$(PROJECT_NAME) $(USERNS) $(if $(PODMAN),$(HERE)environments/host,docker) compose $(if $(filter-out ./,$(HERE)),--project-directory $(call quoted,$(CURDIR)) --env-file $(or $(wildcard $(HERE).env),/dev/null) \
          $(foreach file,$(wildcard $(HERE)docker-compose.yml $(HERE)docker-compose.override.yml),--file $(call quoted,$(file))))
# What comes before a command, or before its arguments.
OF_BUILDER         = SAMEBOOK_BUILDER=$${SAMEBOOK_BUILDER:-urn:samebook:builder:$$(uname -n)} SAMEBOOK_IMAGE=$(IMAGE)
INSIDE_docker      = $(OF_BUILDER) SAMEBOOK_COMMIT=$(COMMIT) SAMEBOOK_PATCH=$(call quoted,$(SAMEBOOK_PATCH)) \
                     $(COMPOSE) --progress quiet run --rm $(HANDED)
PROGRAM_docker     = $(if $(filter watch,$@),--name $(PROJECT_NAME)-watch watch,run)
BESIDE_docker      = env -u PYTHONDONTWRITEBYTECODE BASE_IMAGE=$(call quoted,$(BASE_IMAGE)) PATH=$(call quoted,$(CURDIR)/.samebook/command/bin):"$$PATH" samebook
ENVIRONMENT_docker = $(if $(PUBLISHED),published,images) uncommitted
LIGHT_docker       = .samebook/command/.installed
LOST_docker        = { docker version >/dev/null 2>&1 || { echo "error: the Docker daemon went away in mid-run; the next start lists the run as failed" >&2 && \
                     echo "  -> make … ENGINE=local" >&2; }; }

doctor: export SAMEBOOK_DOCKER = $(shell timeout 10 docker version -f '{{.Server.Version}}' 2>/dev/null | grep . || echo none answers)
doctor: export SAMEBOOK_BESIDE = $(BESIDE)

# The base that is pinned by digest, or the one that `make base` made here; an empty name is none.
BUILT_BASE = samebook-base:trixie$(ARCHITECTURE:%=-%)
ifeq ($(strip $(value BASE_IMAGE)),)
override BASE_IMAGE = $(shell cat .samebook/base-image$(ARCHITECTURE:%=-%) 2>/dev/null || sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)
endif
# Where a proxy inspects TLS, a build has to trust what this machine trusts, and to go the same way.
CA     = $(firstword $(wildcard $(SSL_CERT_FILE) /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem))
WAYS   = $(foreach name,PIP_INDEX_URL UV_DEFAULT_INDEX HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy DEBIAN_MIRROR,$(if $($(name)),--build-arg $(name)))
# The caches of a stranger's commit, in which no other build looks: https://docs.docker.com/reference/dockerfile/
APART  = $(if $(CACHE_NAMESPACE),--build-arg BUILDKIT_CACHE_MOUNT_NS=$(call quoted,$(CACHE_NAMESPACE)))
# Without an attestation, which holds the time of the build: what is built again from the same is the same image.
# The stage that the image starts from: with the Debian packages of a lock, where there is one.
SYSTEM = $(if $(wildcard environments/apt.lock),--build-arg SYSTEM=system)
BUILDER = $(HERE)environments/host $(if $(PODMAN),build,docker_build)
BUILD   = $(BUILDER) --build-arg BASE_IMAGE=$(call quoted,$(BASE_IMAGE)) $(SYSTEM) $(WAYS) $(CA:%=--secret id=ca,src=%) $(APART) $(SHOWN)
SHOWN   = $(if $(call on,V),$(STEPS),--quiet)
STEPS   = $(if $(PODMAN),,--progress plain)
# An engine older than 23 doesn't know linked layers; its images are the same, its builds slower.
LINK    = $(if $(PODMAN),$(BY_PODMAN),$(shell docker version --format '{{.Server.Version}}' 2>/dev/null | awk -F. '$$1 < 23 { print "s/ --link//" }'))
# Podman doesn't know them either, leaves out a stage that is named by a variable, and knows a step that it has made before
# by its words alone: files that are bound to it must be among them.
BOUND     = $(shell cat environments/apt.lock environments/*.txt environments/image/* scripts/samebook/image/* scripts/pyproject.toml 2>/dev/null | sha256sum | cut -c1-64)
BY_PODMAN = s/ --link//; s/^FROM .{SYSTEM}/FROM $(if $(SYSTEM),system,base)/; s/install \(system\|additions\)$$/& \# $(BOUND)/

# The wheels that the store has kept, as an index that is mounted into a build, for where no other answers: no layer of
# an image holds a word of it. UV_OFFLINE=1 asks no other.
STORE   = $(call quoted,$(HERE)store)
LOCKED  = $(foreach lock,build runtime $(filter lab,$(TARGETS)),$(1)/environments/$(lock).txt)
MOUNTED = s,^RUN --mount=type=secret\,id=ca,RUN --mount=type=bind\,from=wheels\,target=/wheels --mount=type=secret\,id=ca,
WHEELS  = --build-context wheels="$$wheels" --build-arg PIP_INDEX_URL=file:///wheels --build-arg UV_DEFAULT_INDEX=file:///wheels
comma   = ,
AS_INDEX = $(HERE)environments/host kept $(STORE) "$$wheels" $(LOCKED)
# Builds from the folder $(1), with the options $(2).
define built
{ { [ -z "$$UV_OFFLINE" ] && { echo "#" && sed '$(LINK)' $(1)/Dockerfile; } | $(BUILD) --file - $(2) $(1); } || \
  { { [ -n "$$wheels" ] || { wheels=$$(mktemp -d) && { $(AS_INDEX) || { $(BROUGHT) $(LOCKED) && $(AS_INDEX); }; }; } || { rm -rf "$$wheels" && wheels= && false; }; } && \
    { echo "#" && sed -e '$(LINK)' -e '$(MOUNTED)' $(1)/Dockerfile; } | $(BUILD) --file - $(WHEELS) $(2) $(1); }; } >/dev/null
endef

# What a machine of another architecture needs.
EMULATED = echo "error: programs of $(PLATFORM) may not run here" >&2 && echo "  -> on Debian: apt-get install qemu-user-static arch-test" >&2

base: ## Build the base image from Debian packages, where no image registry can be reached
	@remembered=.samebook/base-image$(ARCHITECTURE:%=-%) && \
	{ $(HERE)environments/host base $(BUILT_BASE) $(ARCHITECTURE:%=--architectures=%) $(if $(PLATFORM),|| { $(EMULATED) && exit 2; }); } && mkdir -p .samebook && echo $(BUILT_BASE) > "$$remembered" && \
	echo "base: $(BUILT_BASE), used from now on (rm $$remembered: the pinned one again)"

.PHONY: pulled-base published images uv-of-image uncommitted lab-docker
pulled-base:
	@base=$(call quoted,$(BASE_IMAGE)) && { docker image inspect "$$base" >/dev/null 2>&1 || $(HERE)environments/host kept_base $(STORE) "$$base" || docker pull --quiet "$$base" || \
	{ case "$$base" in *@sha256:*) $(BROUGHT) "$${base##*@sha256:}" && $(HERE)environments/host kept_base $(STORE) "$$base" ;; *) false ;; esac; } || { \
	  echo "error: the base image $$base is not here and can't be pulled" >&2 && \
	  echo "  -> make base$(PLATFORM:%= PLATFORM=%), which builds one from Debian packages; with ENGINE=local none is needed" >&2 && exit 2; }; } && \
	$(if $(PLATFORM),docker run --rm --entrypoint /bin/true "$$base" >/dev/null 2>&1 || { \
	  echo "error: Docker can't run programs of $(PLATFORM) here" >&2 && echo "  -> on Debian: apt-get install qemu-user-static" >&2 && exit 2; },:)

published:
	@$(HERE)environments/host pulled $(call quoted,$(PUBLISHED))

# What a stranger's commit builds, Podman could take for a step of a later build of one's own.
.PHONY: apart
apart:
	@$(if $(PODMAN),echo "error: Podman keeps no builds apart; the commit is not in the past of this checkout and may be a stranger's" >&2 && \
	  echo "  -> make reproduce … ENGINE=local" >&2 && exit 2,:)

TAKES_build = V
build: images ## Build the image: runtime, and lab on top (V=1 shows the steps)

# Quick to pack, as such an image stays on this machine; an engine that packs none ignores it.
PACKED = $(if $(PODMAN),,--output type=image$(comma)compression=zstd$(comma)compression-level=1)
# The words of the step that failed are among those of all steps, which nobody else wants to read.
images: SHOWN = $(STEPS)
# After a comment nothing in a Dockerfile names another program to read it, which would choose its caches itself.
images: pulled-base $(if $(CACHE_NAMESPACE),apart)
	@echo image: $(call quoted,$(TARGETS:%=$(PROJECT_NAME):%) on $(BASE_IMAGE)) >&2; log=$$(mktemp) || exit 2; \
	{ sleep 20 </dev/null >/dev/null 2>&1 && echo '  being built, which takes minutes where packages are new; make build V=1 shows the steps' >&2; } & told=$$!; \
	wheels= && trap 'kill $$told 2>/dev/null; rm -rf "$$log" "$$wheels"' EXIT && \
	for target in $(foreach target,$(TARGETS),$(call quoted,$(target))); do \
	  $(call built,.,--target $$target $(PACKED) --tag $(PROJECT_NAME):$$target$(TAG)) $(if $(call on,V),,2>"$$log") || { \
	  tail -n 30 "$$log" >&2; echo "error: the image $(PROJECT_NAME):$$target could not be built; Docker's own words are above (V=1: all of them)" >&2 && \
	  if $(if $(CACHE_NAMESPACE),false,grep -q '  -> ' "$$log"); then grep -oE '(error: |  -> ).*' "$$log" | awk '!seen[$$0]++' >&2; elif grep -Eq '$(OF_NETWORK)' "$$log"; then $(PROXIES); else echo "  -> make build V=1" >&2; fi && exit 2; }; \
	done

uv-of-image: pulled-base
	@wheels= && trap 'rm -rf "$$wheels"' EXIT && $(call built,.,--target uv --output type=local$(comma)dest=$(dir $(UV)))

# A run of another commit's tree, whose samebook knows the option, whatever its make was like.
.PHONY: rerun removed-image
rerun:
	@$(INSIDE_docker) run run --receipt $(call quoted,$(RECEIPT))

# Where the build has failed there is none.
removed-image:
	@docker image rm $(PROJECT_NAME):runtime$(TAG) >/dev/null 2>&1 || :

uncommitted:
	@$(HERE)environments/host uncommitted $(call quoted,$(SAMEBOOK_PATCH))

# From the commit, whatever the checkout holds: the digest is a function of commit and base, for anyone to check.
# Packed by gzip, however a build of this machine has packed a layer before.
# All files have one time, that of 1980, before that of any layer: one of the cache, older than the commit, would keep its own.
TAKES_image = V DIST NO_CACHE REVISION
image: archives ## Build the release image into dist/, the same bytes for the same commit, and print its digests
	@for target in $(foreach target,$(TARGETS),$(call quoted,$(target))); do docker load --quiet --input $(call quoted,$(DIST))/samebook-$$target.oci.tar >/dev/null || exit 2; done

DIST ?= dist
.PHONY: containerd-store
containerd-store:
	@$(if $(PODMAN),echo "error: Podman can't write the archive that is the same for everybody" >&2 && echo "  -> make $(firstword $(MAKECMDGOALS)) ENGINE=docker" >&2 && exit 2,:); \
	store=$$(docker info 2>&1) || { echo "error: no Docker daemon answers" >&2 && echo "  -> sudo systemctl start docker" >&2 && exit 2; }; \
	case "$$store" in *io.containerd.snapshotter*) ;; *) echo "error: Docker's containerd image store is not in use, which makes a release image" >&2 && \
	  echo "  -> "'{"features": {"containerd-snapshotter": true}} into /etc/docker/daemon.json, then sudo systemctl restart docker; images are built again' >&2 && exit 2 ;; esac
# The commit, and the name by which Docker is to know its images: of a registry where they are to be pushed.
REVISION ?= HEAD
RELEASE  ?= $(PROJECT_NAME)
TAKES_archives = V DIST NO_CACHE REVISION RELEASE RELEASE_TAG
archives: COMMIT = $$($(GIT) rev-parse --verify --quiet $(call quoted,$(REVISION)))
archives: SYSTEM = $(if $(shell $(GIT) ls-tree $(call quoted,$(REVISION)) environments/apt.lock 2>/dev/null),--build-arg SYSTEM=system)
# Docker's other store, the default before 29, neither writes nor loads the archive that is the same for everybody.
archives: containerd-store pulled-base
	@mkdir -p $(call quoted,$(DIST)) && wheels= && commit=$$(mktemp -d) && trap 'rm -rf "$$wheels" "$$commit"' EXIT && \
	$(GIT) archive $(call quoted,$(REVISION)) | tar xf - -C "$$commit" && anew=$(if $(call on,NO_CACHE),--no-cache) && \
	for target in $(foreach target,$(TARGETS),$(call quoted,$(target))); do \
	  archive=$(call quoted,$(DIST))/samebook-$$target.oci.tar && \
	  $(call built,"$$commit",$$anew --provenance=false --target $$target --tag $(call quoted,$(RELEASE)):$$target$(call quoted,$(RELEASE_TAG)) \
	    --build-arg GIT_COMMIT=$(COMMIT) --build-arg SOURCE_DATE_EPOCH=315532800 \
	    --output type=oci$(comma)dest="$$archive"$(comma)rewrite-timestamp=true$(comma)compression=gzip$(comma)force-compression=true) && \
	  echo "$(PROJECT_NAME):$$target $$(tar xOf "$$archive" index.json | grep -o 'sha256:[0-9a-f]*' | head -1)" || exit 2; \
	  anew=$${anew:+--no-cache-filter=lab-environment,lab}; \
	done

# Podman leaves health checks to systemd: where there is none, nobody says that Lab has begun.
WAIT = $(if $(PODMAN),$(if $(wildcard /run/systemd/system),--wait),--wait)
lab-docker:
	@token=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n') && export PORT=$(call quoted,$(PORT)) && \
	JUPYTER_TOKEN=$$token $(COMPOSE) up --detach $(WAIT) lab || { \
	  echo "error: Lab did not start" >&2 && echo "  -> port $$PORT taken? make lab PORT=8889; else: docker compose --project-name $(PROJECT_NAME) logs lab" >&2 && exit 2; } && \
	echo "Lab: http://127.0.0.1:$$PORT/lab?token=$$token" && echo "Stop it: make stop"

# For .devcontainer/: the service as this machine starts it, with the variables of a kernel. Its name is that of this
# path, so that the editor of another checkout keeps its container.
OWN += devcontainer
EDITOR = .samebook/editor
devcontainer: TARGETS = lab
devcontainer: images ## What an editor needs to open .devcontainer/, which calls this
	@mkdir -p $(EDITOR) && $(COMPOSE) --progress quiet run --rm --entrypoint samebook editor kernel --show >$(EDITOR)/kernel.env && \
	echo '{services: {editor: {env_file: [$(EDITOR)/kernel.env]}}}' | \
	$(COMPOSE) --project-name "samebook-editor-$$(echo "$(CURDIR)" | cksum | cut -d' ' -f1)" --profile editor \
	  $(foreach file,$(wildcard docker-compose.yml docker-compose.override.yml) -,--file $(file)) config --output $(EDITOR)/docker-compose.yml editor || { \
	  echo "error: the container of an editor could not be prepared; Docker's own words are above" >&2 && exit 2; }

# Nobody but its owner gets into the folder; the container, another user, gets the file alone.
.samebook/warehouse/password:
	@mkdir -p -m 700 $(@D) && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > $@ && chmod 444 $@ && \
	$(COMPOSE) --profile warehouse rm --stop --force warehouse >/dev/null 2>&1

# A base that was made here has no apt inside: it is made once more, with PostgreSQL, whose package makes no cluster.
NO_CLUSTER = 'mkdir -p "$$1/etc/postgresql-common" && echo "create_main_cluster = false" >"$$1/etc/postgresql-common/createcluster.conf"'
WAREHOUSE_PORT ?= 5432
WAREHOUSE_docker = warehouse
WAREHOUSE_local  = 127.0.0.1:$$port
TAKES_warehouse = V WAREHOUSE_PORT
warehouse: ## PostgreSQL as the warehouse, in a container: eval "$(make warehouse)"
	@{ docker version >/dev/null 2>&1 || { echo "error: no Docker daemon answers" >&2 && \
	  echo "  -> any PostgreSQL will do: SAMEBOOK_WAREHOUSE__URL=postgresql://user@host/database" >&2 && exit 2; }; } && \
	$(AGAIN) --silent pulled-base .samebook/warehouse/password >&2 && port=$(call quoted,$(WAREHOUSE_PORT)) && \
	base=$(call quoted,$(BASE_IMAGE)) && { docker run --rm --entrypoint test "$$base" -x /usr/bin/apt-get || { base="$$base-postgresql" && \
	  { docker image inspect "$$base" >/dev/null 2>&1 || environments/host base "$$base" --include=postgresql --essential-hook=$(NO_CLUSTER) >&2; }; }; } && \
	$(BUILDER) --quiet --build-arg BASE_IMAGE="$$base" --tag $(PROJECT_NAME):warehouse$(TAG) --file - environments/warehouse <environments/warehouse/Dockerfile >/dev/null && \
	{ WAREHOUSE_PORT="$$port" $(COMPOSE) --progress quiet --profile warehouse up --detach --wait warehouse >&2 || { \
	  echo "error: the warehouse did not start" >&2 && \
	  echo "  -> port $$port taken? make warehouse WAREHOUSE_PORT=5433; else: docker compose --project-name $(PROJECT_NAME) logs warehouse" >&2 && exit 2; }; } && \
	echo "export WAREHOUSE_PASSWORD=$$(cat .samebook/warehouse/password) SECRETS=\"\$$SECRETS WAREHOUSE_PASSWORD\"" && \
	echo "export SAMEBOOK_WAREHOUSE__PASSWORD=WAREHOUSE_PASSWORD SAMEBOOK_WAREHOUSE__URL=postgresql://samebook@$(WAREHOUSE_$(ENGINE))/samebook"

# A second call changes what differs: the number of workers, their memory, or the image. A worker without a commit: each
# run brings the one that it is for.
OWN += cluster cluster-down
WORKERS        ?= 2
MEMORY         ?= 2g
CPUS           ?= 0
DASHBOARD_PORT ?= 8787
TAKES_cluster = V WORKERS MEMORY CPUS DASHBOARD_PORT
# A variable that is not what a pattern of grep says: its name, the pattern, what is expected.
unlike = echo $(call quoted,$($(1))) | grep -Eqx '$(2)' || { echo error: $(1)=$(call quoted,$($(1)))"; expected $(3)" >&2 && exit 2; }
cluster: ## A cluster of Dask in containers, for ON=dask: WORKERS=4 MEMORY=2g CPUS=1
	@$(call unlike,WORKERS,[1-9][0-9]*,a number above 0) && $(call unlike,MEMORY,[1-9][0-9]*[mg],a size like 2g or 1500m) && \
	$(call unlike,CPUS,[0-9]+(\.[0-9]+)?,a number like 2 or 0.5) && { docker version >/dev/null 2>&1 || { echo "error: no Docker daemon answers" >&2 && \
	  echo "  -> make sweep … without ON runs on this machine; for a Dask cluster of your own: make cluster-certificates" >&2 && exit 2; }; } && \
	$(AGAIN) --silent images ENGINE=docker TARGETS=runtime && \
	export WORKERS=$(call quoted,$(WORKERS)) MEMORY=$(call quoted,$(MEMORY)) CPUS=$(call quoted,$(CPUS)) DASHBOARD_PORT=$(call quoted,$(DASHBOARD_PORT)) && \
	{ { { [ -f .samebook/cluster/key.pem ] && [ -n "$$($(COMPOSE) --profile cluster ps --quiet --status running scheduler)" ]; } || \
	    $(OF_BUILDER) $(COMPOSE) --progress quiet run --rm run cluster certificates >/dev/null; } && \
	  $(OF_BUILDER) $(COMPOSE) --progress quiet --profile cluster up --detach --wait --scale worker="$$WORKERS" scheduler worker >&2 || { \
	  echo "error: the cluster did not start; Docker's own words are above" >&2 && \
	  echo "  -> port $$DASHBOARD_PORT taken? make cluster DASHBOARD_PORT=8788; else: docker compose --project-name $(PROJECT_NAME) logs scheduler worker" >&2 && exit 2; }; } && \
	echo "cluster: $$WORKERS workers with $$MEMORY each; make sweep … ON=dask ENGINE=docker" && \
	echo "Dashboard: http://127.0.0.1:$$DASHBOARD_PORT/info/main/workers.html" && echo "Stop it: make cluster-down"

cluster-down: ## Stop the cluster, and forget its certificates
	@{ docker version >/dev/null 2>&1 || { echo "error: no Docker daemon answers" >&2 && exit 2; }; } && \
	$(COMPOSE) --progress quiet --profile cluster rm --stop --force scheduler worker >&2 && rm -rf .samebook/cluster

# A project has no server of MLflow's: any will do.
-include $(HERE)environments/mlflow.mk

stop: ## Stop what runs in containers: Lab, the warehouse, MLflow, the cluster
	@{ docker version >/dev/null 2>&1 || { echo "error: no Docker daemon answers" >&2 && \
	  echo "  -> Ctrl-C, where Lab runs without Docker" >&2 && exit 2; }; } && \
	$(COMPOSE) --profile '*' down

# What is done with the release image, beside it: by Docker, git and make.
BESIDE += publish verify-image sbom deploy
publish: ## Push the image of HEAD to REGISTRY=registry.example.com/team, and commit its digest to the settings of ENV
verify-image: ## Build IMAGE=name@sha256:… (ENV's) again from its commit, and compare: IDENTICAL, or which file differs; TARGET=lab CACHED=1
sbom: ## What is in IMAGE=name@sha256:… (ENV's), as a bill of materials in CycloneDX; TARGET=lab INTO=file
deploy: ## Write what runs ENV's published image without a checkout: AS=compose, systemd or kubernetes, INTO=folder
