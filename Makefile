# Every command that a person types; `make` alone prints them.
# Recipes are joined by &&, so that no failure is swallowed.

NOTEBOOK ?= train
PARAMS   ?=
ENV      ?= dev
PORT     ?= 8888
TIMEOUT  ?=
# make itself has a variable of this name, the assembler.
AS        =

# docker when a daemon answers, else local; asked once, and only by the targets that need to know.
ENGINE ?= $(eval ENGINE := $(shell timeout 10 docker version >/dev/null 2>&1 && echo docker || echo local))$(ENGINE)

# The image is for the checkout's owner when root runs make (sudo make): files must not end up root's.
SAMEBOOK_UID := $(shell id -u | grep -vx 0 || stat -c %u .)
SAMEBOOK_GID := $(shell [ "$$(id -u)" = 0 ] && stat -c %g . || id -g)
export SAMEBOOK_UID SAMEBOOK_GID PORT

# What a person gives reaches a command through the environment, quoted: no $(…) in it is done, by make or by a shell.
GIVEN = PARAMS RUN MODEL TO REOPEN A B ENV NOTEBOOK RECEIPT TIMES TOLERANCE TIMEOUT DAY LEVEL NAME FROM JOBS AS INTO DAYS GRID DRAWS SEED SETS METRIC REPEATS ONLY SUBJECTS PICTURE
# None of it is for a notebook, but what the caller's own environment holds.
FLAGS = ENGINE PORT V DRY FORCE WHY ONCE MINIMIZE MARKDOWN SLOW LIST DIST UPGRADE JSON
GIVEN_TO_MAKE := $(sort BASE_IMAGE TARGETS $(if $(filter-out 0,$(MAKELEVEL)),$(GIVEN_TO_MAKE)) $(foreach name,$(GIVEN) $(FLAGS),$(if $(filter-out undefined environment,$(firstword $(origin $(name)))),$(name))))
export GIVEN_TO_MAKE
$(foreach name,$(GIVEN),$(if $(filter-out undefined,$(origin $(name))),$(eval override export $(name) := $$(value $(name)))))

UV    := .samebook/uv/bin/uv
LOCAL := .venv/.installed
ENVIRONMENT_docker = build uncommitted
ENVIRONMENT_local  = $(LOCAL)
# A checkout may belong to another user than make: sudo make.
GIT = git -c safe.directory=$(CURDIR)
# Facts for the receipt: inside the image there is neither git nor Docker.
COMMIT        = $$($(GIT) rev-parse HEAD 2>/dev/null)
IMAGE         = $$(docker image inspect --format '{{.Id}}' samebook:runtime$(SAMEBOOK_TAG))
INSIDE_docker = SAMEBOOK_BUILDER=$${SAMEBOOK_BUILDER:-urn:samebook:builder:$$(uname -n)} SAMEBOOK_COMMIT=$(COMMIT) SAMEBOOK_IMAGE=$(IMAGE) docker compose --progress quiet run --rm $(HANDED)
# Settings that variables override go in by name, as secrets do; a signing key as a file that only the runner reads.
OVERRIDES     = $(filter-out SAMEBOOK_UID SAMEBOOK_GID SAMEBOOK_TAG SAMEBOOK_BUILDER SAMEBOOK_COMMIT SAMEBOOK_IMAGE SAMEBOOK_WORKSPACE SAMEBOOK_ENGINE SAMEBOOK_REQUIRE_DOCKER,$(filter SAMEBOOK_%,$(.VARIABLES)))
HANDED        = $(addprefix -e ,$(OVERRIDES) $(SECRETS)) $(if $(SIGNING_KEY),-v $(abspath $(SIGNING_KEY)):/run/secrets/signing-key:ro -e SIGNING_KEY=/run/secrets/signing-key)
INSIDE_local  = env -u PYTHONDONTWRITEBYTECODE PATH="$(CURDIR)/.venv/bin:$$PATH"
# Where people run things themselves, nothing is there that was only meant for make.
FOR_PEOPLE    = env $(addprefix -u ,GIVEN_TO_MAKE $(GIVEN_TO_MAKE))
# What comes before a command, in the environment of the chosen engine.
SAMEBOOK = $(INSIDE_$(ENGINE)) $(if $(filter docker,$(ENGINE)),run,samebook)
LOST_local  = :
LOST_docker = { docker version >/dev/null 2>&1 || { echo "error: the Docker daemon went away in mid-run; the next start lists the run as failed" >&2 && \
                echo "  -> start Docker again, or do without: make … ENGINE=local" >&2; }; }
TESTS    = $(INSIDE_$(ENGINE)) $(if $(filter docker,$(ENGINE)),test)

.DEFAULT_GOAL := help
.PHONY: sweep warm warm-local warm-docker bench test-faults season log gc schedule pipeline backfill watch watch-local watch-docker uncommitted promote rollback models diff hooks reproduce check-lock lab-local test-local help lab run runs settings push pull data test check format build image base lock shell doctor clean engine environment warehouse stop
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

help: ## This list
	@echo "samebook: the same notebook, on every machine." && echo && \
	sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}' && \
	echo && echo 'Variables: NOTEBOOK=train  PARAMS="max_depth=4 as_of=2013-06-30"  ENV=dev  ENGINE=docker|local  PORT=8888'

engine:
	@case "$(ENGINE)" in \
	  docker) echo "engine: docker" >&2 ;; \
	  local) echo "engine: local$$(timeout 10 docker version >/dev/null 2>&1 || echo ' (no Docker daemon answers)')" >&2 ;; \
	  *) echo "error: ENGINE=$(ENGINE); expected docker or local" >&2 && exit 2 ;; \
	esac

# What runs needs production's image only; Lab and tests also the one on top of it.
TARGETS = runtime lab
run sweep runs log watch settings push pull data shell doctor: TARGETS = runtime

environment: engine
	@$(MAKE) --silent $(ENVIRONMENT_$(ENGINE)) ENGINE=$(ENGINE) TARGETS="$(TARGETS)"

run: environment ## Run NOTEBOOK headless, with PARAMS="name=value …"
	@$(SAMEBOOK) run $(if $(PARAMS),--params "$$PARAMS") --env "$$ENV" $(if $(TIMEOUT),--timeout "$$TIMEOUT") $(if $(V),--verbose) $(if $(JSON),--json) \
	  $(if $(RECEIPT),--receipt "$$RECEIPT",-- "$$NOTEBOOK") || \
	{ code=$$? && $(LOST_$(ENGINE)) && exit $$code; }

sweep: environment ## Run NOTEBOOK for many sets: GRID="max_depth=3,5 rate=0.01:0.3:log" DRAWS=20 or SETS=sets.csv; JOBS=2
	@$(SAMEBOOK) sweep $(if $(GRID),--grid "$$GRID") $(if $(DRAWS),--draws "$$DRAWS") $(if $(SEED),--seed "$$SEED") $(if $(SETS),--sets "$$SETS") \
	  $(if $(PARAMS),--params "$$PARAMS") --env "$$ENV" $(if $(JOBS),--jobs "$$JOBS") $(if $(METRIC),--metric "$$METRIC") $(if $(MINIMIZE),--minimize) \
	  $(if $(TIMEOUT),--timeout "$$TIMEOUT") $(if $(DRY),--dry-run) -- "$$NOTEBOOK" || { code=$$? && $(LOST_$(ENGINE)) && exit $$code; }

warm: engine ## Keep what NOTEBOOK imports in memory until Ctrl-C: its runs start at once (ENGINE=local)
	@$(MAKE) --silent warm-$(ENGINE)

warm-local: $(LOCAL)
	@$(INSIDE_local) samebook warm --env "$$ENV" -- "$$NOTEBOOK"

# A kernel lives in the container of its zygote, and each run has a container of its own.
warm-docker:
	@echo "error: a run in a container has no kernel from another" >&2 && \
	echo "  -> make warm ENGINE=local; or, inside one container, make shell: samebook warm $$NOTEBOOK &" >&2 && exit 2

runs: environment ## List what ran
	@$(SAMEBOOK) runs

log: environment ## A day's story: what ran, what went wrong; DAY=2013-07-01 LEVEL=warning
	@$(SAMEBOOK) log $(if $(DAY),--day "$$DAY") $(if $(LEVEL),--level "$$LEVEL")

reproduce: $(if $(TIMES),environment,$(LOCAL)) ## Run RUN=<id, receipt or notebook> again at its commit: a verdict by hash; TIMES=3: here
	@$(if $(TIMES),$(SAMEBOOK),BASE_IMAGE="$(BASE_IMAGE)" $(INSIDE_local) samebook) reproduce $(if $(TIMES),--times "$$TIMES",--engine $(ENGINE) $(if $(TOLERANCE),--tolerance "$$TOLERANCE")) \
	  $(if $(RUN),-- "$$RUN",$(error expected RUN=<id, receipt or notebook>))

# What writes to git, or builds environments, works beside the image, which has neither.
OF_MODEL = $(if $(MODEL),"$$MODEL",$(error expected MODEL=<name>, like delay))
promote: $(LOCAL) ## Promote RUN=<run> as MODEL=<name> under ENV's policy: one commit; WHY="…" DRY=1
	@$(INSIDE_local) samebook promote --env "$$ENV" $(if $(WHY),--why "$$WHY") $(if $(DRY),--dry-run) -- $(if $(RUN),"$$RUN",$(error expected RUN=<id or notebook>)) $(OF_MODEL)

rollback: $(LOCAL) ## Roll MODEL=<name> back: one commit; TO=<branch or commit> REOPEN=<branch> WHY="…" DRY=1
	@$(INSIDE_local) samebook rollback $(if $(TO),--to "$$TO") $(if $(REOPEN),--reopen "$$REOPEN") $(if $(WHY),--why "$$WHY") $(if $(DRY),--dry-run) -- $(OF_MODEL)

models: $(LOCAL) ## Put promoted models under models/.files/; MODEL=delay@prod: one, of a branch
	@set -f && BASE_IMAGE="$(BASE_IMAGE)" $(INSIDE_local) samebook models --env "$$ENV" --engine $(ENGINE) -- $$MODEL

# Beside the image, in which nobody knows where the checkout is.
schedule: $(LOCAL) ## When jobs are due; AS=cron, systemd or github writes it for these, INTO=folder
	@$(INSIDE_local) samebook schedule --env "$$ENV" $(if $(AS),--as "$$AS") $(if $(INTO),--into "$$INTO")

gc: $(LOCAL) ## Remove old runs that nobody needs, and free the store; DRY=1 only looks
	@$(INSIDE_local) samebook gc --env "$$ENV" $(if $(DRY),--dry-run)

diff: $(LOCAL) ## Compare the models of A=<branch or commit> and B=<other>; by default: here
	@$(INSIDE_local) samebook bundle diff $(if $(MARKDOWN),--markdown) -- $(if $(A),"$$A",$(error expected A=<branch or commit>)) $(if $(B),"$$B")

hooks: ## Have git run `make models` after a checkout and a merge
	@folder=$$(git rev-parse --git-path hooks) && own=$$(cd "$$(git rev-parse --git-common-dir)" && pwd -P) && \
	if git config core.hooksPath >/dev/null; then case "$$(cd "$$folder" 2>/dev/null && pwd -P)/" in "$$own"/*) ;; *) \
	  echo "error: core.hooksPath is $$folder, which other repositories or people may share" >&2 && \
	  echo "  -> add to post-checkout and post-merge there: make --silent models" >&2 && exit 2 ;; esac; fi && \
	mkdir -p "$$folder" && for hook in post-checkout post-merge; do \
	  if [ -e "$$folder/$$hook" ] && ! cmp -s scripts/git-hook "$$folder/$$hook"; then \
	    echo "error: $$folder/$$hook is there already" >&2 && echo "  -> add to it: make --silent models" >&2 && exit 2; fi && \
	  install -m 755 scripts/git-hook "$$folder/$$hook" && echo "$$folder/$$hook" || exit 2; done

# Steps that write to git, or build environments, work beside the image: the pipeline does, and starts runs in it.
PIPELINE = $(if $(PARAMS),--params "$$PARAMS") --env "$$ENV" --engine $(ENGINE) $(if $(FORCE),--force) $(if $(JOBS),--jobs "$$JOBS")
pipeline: $(LOCAL) ## Run the steps of NAME=daily, with PARAMS="day=2013-07-01"; DRY=1 prints the plan, FORCE=1 runs all
	@BASE_IMAGE="$(BASE_IMAGE)" $(INSIDE_local) samebook pipeline $(PIPELINE) $(if $(DRY),--dry-run) -- $(if $(NAME),"$$NAME",$(error expected NAME=<pipeline>, like daily))

backfill: $(LOCAL) ## Run NAME=daily for each day FROM=2013-06-01 TO=2013-06-30; JOBS=2 at a time
	@BASE_IMAGE="$(BASE_IMAGE)" $(INSIDE_local) samebook backfill $(PIPELINE) $(if $(FROM),--from "$$FROM",$(error expected FROM=<day>)) $(if $(TO),--to "$$TO",$(error expected TO=<day>)) -- $(if $(NAME),"$$NAME",$(error expected NAME=<pipeline>, like daily))

watch: environment ## Run pipelines when data comes in: files in data/inbox/, new days in the warehouse
	@$(MAKE) --silent watch-$(ENGINE)

season: $(LOCAL) ## Replay DAYS=120 of real flights through the inbox, with faults planted; draws docs/season.png
	@rm -rf .samebook/season && $(INSIDE_local) python tests/season.py $(if $(DAYS),--days "$$DAYS") --folder .samebook/season --picture docs/season.png

bench: $(LOCAL) ## Time us and the peers side by side: REPEATS=5 ONLY=trivial,cells PICTURE=docs/bench.png SLOW=1 LIST=1
	@$(INSIDE_local) python tests/benchmarks/bench.py $(if $(REPEATS),--repeats "$$REPEATS") $(if $(ONLY),--only "$$ONLY") \
	  $(if $(SUBJECTS),--subjects "$$SUBJECTS") $(if $(PICTURE),--picture "$$PICTURE") $(if $(SLOW),--slow) $(if $(LIST),--list)

data: environment ## Load the sample warehouse (a first run does it by itself)
	@$(SAMEBOOK) data --env "$$ENV"

push: environment ## Send what models and runs need to the shared store
	@$(SAMEBOOK) store push --env "$$ENV"

pull: environment ## Bring what models and runs need from the shared store
	@$(SAMEBOOK) store pull --env "$$ENV"

settings: environment ## The settings in force in ENV, and what says so: file, variable or default
	@$(SAMEBOOK) settings --env "$$ENV"

lab: environment ## Develop in JupyterLab, in the same environment
	@$(MAKE) lab-$(ENGINE)

test: environment ## Run the tests; container tests where a Docker daemon answers
	@$(MAKE) test-$(ENGINE)

shell: environment ## A shell in the environment
	@$(if $(filter docker,$(ENGINE)),$(INSIDE_docker) --entrypoint bash run,$(INSIDE_local) $(FOR_PEOPLE) bash)

doctor: environment ## Compare what is pinned with what is here
	@SAMEBOOK_DOCKER="$$(timeout 10 docker version -f '{{.Server.Version}}' 2>/dev/null | grep . || echo none answers)" $(SAMEBOOK) doctor

clean: ## Remove environments and caches; runs, store and data stay
	@rm -rf .venv .samebook .pytest_cache .ruff_cache dist && find . -name __pycache__ -prune -exec rm -rf {} +

# --- The local engine ---------------------------------------------------------------------------------------

# uv comes by hash from the lock into a folder of its own: nothing on the machine needs to have it, or hide it.
$(UV): environments/build.txt
	@echo "uv: into .samebook/uv" >&2 && rm -rf .samebook/uv && \
	{ python3 -m venv .samebook/uv || { echo "error: python3 can't make a virtual environment" >&2 && \
	  echo "  -> on Debian: sudo apt-get install python3-venv" >&2 && exit 2; }; } && \
	.samebook/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r environments/build.txt && touch $@

# Bytecode is compiled now, or each run would pay for it where PYTHONDONTWRITEBYTECODE is set.
$(LOCAL): environments/lab.txt environments/build.txt scripts/pyproject.toml | $(UV)
	@echo "environment: environments/lab.txt into .venv" >&2 && rm -f $@ && \
	{ $(UV) venv --quiet --allow-existing --python "$$(cat .python-version)" .venv || { \
	  echo "error: Python $$(cat .python-version) was neither found nor fetched" >&2 && \
	  echo "  -> install it (apt-get install python3.13, pyenv install 3.13, …), or use Docker: make … ENGINE=docker" >&2 && exit 5; }; } && \
	export VIRTUAL_ENV="$(CURDIR)/.venv" && \
	$(UV) pip sync --quiet --compile-bytecode --require-hashes --build-constraints environments/build.txt environments/lab.txt && \
	$(UV) pip install --quiet --no-deps --no-index --editable scripts && touch $@

watch-local:
	@$(INSIDE_local) samebook watch --env "$$ENV" $(if $(ONCE),--once)

lab-local:
	@set -a && . environments/variables.env && set +a && \
	token=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n') && \
	echo "Lab: http://127.0.0.1:$(PORT)/lab?token=$$token" && echo "Stop it: Ctrl-C" && \
	$(INSIDE_local) $(FOR_PEOPLE) JUPYTER_TOKEN=$$token SAMEBOOK_WORKSPACE="$(CURDIR)" MATPLOTLIBRC="$(CURDIR)/environments/matplotlibrc" \
	  jupyter lab --no-browser --ip 127.0.0.1 --port $(PORT) --ServerApp.port_retries=0 --notebook-dir . --log-level WARN \
	  $$([ "$$(id -u)" != 0 ] || echo --allow-root) || { \
	  echo "error: Lab did not start, or ended" >&2 && echo "  -> port $(PORT) taken? make lab PORT=8889" >&2 && exit 2; }

# Container tests share the images' names, so they run one after the other.
PYTEST = --numprocesses auto --dist loadfile --ignore tests/container tests
# What needs git or a mount, which the image has not, is tested beside it.
HOST   = --numprocesses auto --dist loadfile --ignore tests/container -m host tests
test-faults: $(LOCAL) ## Let each fault strike TIMES=50 times: kills, full disks, servers away; prints what was lost
	@FAULTS=$(or $(TIMES),50) FAULTS_TABLE=.samebook/faults.txt $(INSIDE_local) pytest -q tests/test_faults.py tests/test_warm_faults.py tests/test_sweep.py; code=$$?; cat .samebook/faults.txt; exit $$code

test-local:
	@$(INSIDE_local) pytest $(PYTEST) && $(INSIDE_local) pytest tests/container

# --- Checks and locks ---------------------------------------------------------------------------------------

COMPILE = ../$(UV) pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-header --no-annotate --no-emit-index-url
# Each lock is made from the one before it: lab can't disagree with runtime.
define compile_into
cd environments && $(COMPILE) pyproject.toml $(2) -o $(1)/runtime.txt && \
$(COMPILE) pyproject.toml $(2) --group lab -c $(1)/runtime.txt -o $(1)/lab.txt && \
$(COMPILE) --group build $(2) -o $(1)/build.txt && cd ..
endef

lock: $(UV) ## Lock what environments/pyproject.toml asks for; UPGRADE=1 takes the newest versions
	@$(call compile_into,.,$(if $(UPGRADE),--upgrade))

check: $(LOCAL) check-lock ## Lock, style, types, notebooks, Dockerfile: what CI checks before tests
	@$(INSIDE_local) sh -c 'ruff check --quiet . && ruff format --quiet --check . && pyrefly check --summary=none && \
	  nbstripout --keep-id --verify notebooks/*.ipynb && { [ "$$(uname)" != Linux ] || hadolint Dockerfile; }' && \
	{ ! $(INSIDE_local) pyrefly check tests/canary.py >/dev/null 2>&1 || { \
	  echo "error: the type checker passes tests/canary.py, which is wrong: it checks nothing" >&2 && exit 1; }; } && \
	echo "check: all well"

check-lock: $(UV)
	@new=$$(mktemp -d) && trap 'rm -rf "$$new"' EXIT && cp environments/runtime.txt environments/lab.txt environments/build.txt "$$new" && \
	$(call compile_into,"$$new",) && for lock in runtime lab build; do \
	  diff -u environments/$$lock.txt "$$new/$$lock.txt" || { \
	  echo "error: environments/$$lock.txt is not what environments/pyproject.toml asks for" >&2 && echo "  -> make lock" >&2 && exit 5; }; done

format: $(LOCAL) ## Format code, strip outputs from notebooks
	@$(INSIDE_local) sh -c 'ruff format . && ruff check --fix . && nbstripout --keep-id notebooks/*.ipynb && \
	  mkdir -p environments/schemas && samebook settings --schema > environments/schemas/settings.json && samebook bundle schema > environments/schemas/bundle.json && samebook pipelines --schema > environments/schemas/pipeline.json'

# --- Docker -------------------------------------------------------------------------------------------------

# The base that is pinned by digest, or the one that `make base` made here.
BASE_IMAGE ?= $(shell cat .samebook/base-image 2>/dev/null || sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)
# Where a proxy inspects TLS, a build has to trust what this machine trusts.
CA     = $(firstword $(wildcard $(SSL_CERT_FILE) /etc/ssl/certs/ca-certificates.crt /etc/ssl/cert.pem))
BUILD  = docker buildx build --build-arg BASE_IMAGE=$(BASE_IMAGE) $(CA:%=--secret id=ca,src=%) $(if $(V),--progress plain,--quiet)
# An engine older than 23 doesn't know linked layers; its images are the same, its builds slower.
LINK   = $(shell docker version --format '{{.Server.Version}}' 2>/dev/null | awk -F. '$$1 < 23 { print "s/ --link//" }')

base: ## Build the base image from Debian packages, where no image registry can be reached
	@environments/base/build samebook-base:trixie && mkdir -p .samebook && echo samebook-base:trixie > .samebook/base-image && \
	echo "base: samebook-base:trixie, used from now on (rm .samebook/base-image: the pinned one again)"

pulled-base:
	@docker image inspect $(BASE_IMAGE) >/dev/null 2>&1 || docker pull --quiet $(BASE_IMAGE) || { \
	  echo "error: the base image $(BASE_IMAGE) is not here and can't be pulled" >&2 && \
	  echo "  -> build one from Debian packages: make base" >&2 && \
	  echo "  -> or do without Docker: make … ENGINE=local" >&2 && exit 2; }

build: pulled-base ## Build the image: runtime, and lab on top (V=1 shows the steps)
	@echo "image: $(TARGETS:%=samebook:%) on $(BASE_IMAGE)" >&2 && \
	for target in $(TARGETS); do \
	  sed '$(LINK)' Dockerfile | $(BUILD) --file - --target $$target --tag samebook:$$target$(SAMEBOOK_TAG) . >/dev/null || exit 2; \
	done

PLAIN = --binary --full-index --no-ext-diff --no-textconv --no-color --no-renames --src-prefix=a/ --dst-prefix=b/
# As a patch, under an index of its own, so that what is staged stays as it is.
uncommitted:
	@mkdir -p .samebook && rm -f .samebook/uncommitted.patch && { ! $(GIT) rev-parse --quiet --verify HEAD >/dev/null 2>&1 || { \
	  export GIT_INDEX_FILE=$(CURDIR)/.samebook/index && $(GIT) read-tree HEAD && $(GIT) add --all && \
	  $(GIT) diff --cached $(PLAIN) HEAD > .samebook/uncommitted.patch && rm -f "$$GIT_INDEX_FILE"; }; }

# From the commit, whatever the checkout holds: the digest is a function of commit and base, for anyone to check.
image: archives ## Build the release image into dist/, the same bytes for the same commit, and print its digests
	@for target in runtime lab; do docker load --quiet --input dist/samebook-$$target.oci.tar >/dev/null || exit 2; done

DIST ?= dist
archives: pulled-base
	@mkdir -p $(DIST) && for target in runtime lab; do \
	  archive=$(DIST)/samebook-$$target.oci.tar && \
	  $(GIT) archive HEAD | $(BUILD) $(NO_CACHE) --provenance=false --target $$target --tag samebook:$$target \
	    --build-arg GIT_COMMIT=$(COMMIT) --build-arg SOURCE_DATE_EPOCH=$$($(GIT) log -1 --format=%ct) \
	    --output type=oci,dest=$$archive,rewrite-timestamp=true - >/dev/null && \
	  echo "samebook:$$target $$(tar xOf $$archive index.json | grep -o 'sha256:[0-9a-f]*' | head -1)" || exit 2; \
	done

lab-docker:
	@token=$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n') && \
	JUPYTER_TOKEN=$$token docker compose up --detach --wait lab || { \
	  echo "error: Lab did not start" >&2 && echo "  -> port $(PORT) taken? make lab PORT=8889; else: docker compose logs lab" >&2 && exit 2; } && \
	echo "Lab: http://127.0.0.1:$(PORT)/lab?token=$$token" && echo "Stop it: make stop"

watch-docker:
	@$(INSIDE_docker) --name samebook-watch watch watch --env "$$ENV" $(if $(ONCE),--once)

# Nobody but its owner gets into the folder; the container, another user, gets the file alone.
.samebook/warehouse/password:
	@mkdir -p -m 700 $(@D) && od -An -N16 -tx1 /dev/urandom | tr -d ' \n' > $@ && chmod 444 $@ && \
	docker compose --profile warehouse rm --stop --force warehouse >/dev/null 2>&1

WAREHOUSE_PORT ?= 5432
WAREHOUSE_docker = warehouse
WAREHOUSE_local  = 127.0.0.1:$(WAREHOUSE_PORT)
warehouse: ## PostgreSQL as the warehouse, in a container: eval "$(make warehouse)"
	@{ docker version >/dev/null 2>&1 || { echo "error: no Docker daemon answers" >&2 && \
	  echo "  -> any PostgreSQL will do: SAMEBOOK_WAREHOUSE__URL=postgresql://user@host/database" >&2 && exit 2; }; } && \
	$(MAKE) --silent pulled-base .samebook/warehouse/password >&2 && \
	environments/warehouse/build $(BASE_IMAGE) samebook:warehouse$(SAMEBOOK_TAG) >/dev/null && \
	{ WAREHOUSE_PORT=$(WAREHOUSE_PORT) docker compose --progress quiet --profile warehouse up --detach --wait warehouse >&2 || { \
	  echo "error: the warehouse did not start" >&2 && \
	  echo "  -> port $(WAREHOUSE_PORT) taken? make warehouse WAREHOUSE_PORT=5433; else: docker compose logs warehouse" >&2 && exit 2; }; } && \
	echo "export WAREHOUSE_PASSWORD=$$(cat .samebook/warehouse/password) SECRETS=\"\$$SECRETS WAREHOUSE_PASSWORD\"" && \
	echo "export SAMEBOOK_WAREHOUSE__PASSWORD=WAREHOUSE_PASSWORD SAMEBOOK_WAREHOUSE__URL=postgresql://samebook@$(WAREHOUSE_$(ENGINE))/samebook"

stop: ## Stop what runs in containers: Lab, the warehouse
	@{ docker version >/dev/null 2>&1 || { echo "error: no Docker daemon answers; a Lab without Docker ends with Ctrl-C" >&2 && exit 2; }; } && \
	docker compose --profile '*' down

# Container tests drive the engine from outside, so they need an environment of the machine's own.
test-docker: $(LOCAL)
	@$(TESTS) -m "not host" $(PYTEST) && $(INSIDE_local) pytest $(HOST) && BASE_IMAGE=$(BASE_IMAGE) $(INSIDE_local) pytest tests/container
