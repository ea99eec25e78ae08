# The front: every command that a person types; `make` alone prints them. What is behind them stands in files of its
# own, environments/*.mk. Recipes are joined by &&, so that no failure is swallowed.
HERE := $(dir $(lastword $(MAKEFILE_LIST)))
ifneq ($(words [$(CURDIR)])$(strip $(foreach character,: ; ' " \ ( ) `,$(findstring $(character),$(CURDIR)))),1)
$(error the path of this checkout has a blank or one of : ; ' " \ ( ) `, which make, sh or Docker can't handle: $(CURDIR): move it)
endif

# The variables on make's own command line, exported as they were typed: nothing in a value is run.
GIVEN := $(strip $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name))))
$(foreach name,$(GIVEN),$(eval override export $(name) := $$(value $(name))))
# A flag that is on; text as one word of a shell.
on     = $(filter-out 0 no false,$($(1)))
quoted = '$(subst ','\'',$(1))'

export NOTEBOOK ?= train
PORT            ?= 8888

# What make itself understands, for any target, and what belongs to the environment of whatever runs.
EVERYWHERE = ENGINE PLATFORM BASE_IMAGE TARGETS SECRETS SIGNING_KEY
AMBIENT    = $(SECRETS) $(filter-out VARIABLES ENV PARAMS,$(VARIABLES)) SAMEBOOK_% PYTHON% OMP_% OPENBLAS_% UV_% PIP_% SSL_CERT_% %_PROXY %_proxy DOCKER_% COMPOSE_% \
             PATH HOME SHELL TMPDIR TZ LANG LC_%
# What each of make's own targets takes beside that is said beside the target. A command of samebook takes what its
# options are called.
OWN = help lab test shell build image archives base lock add remove check format clean warehouse stop

# For whom a variable is meant: its target. None of it is for a notebook.
CHOSEN        := $(filter-out $(EVERYWHERE) $(AMBIENT),$(GIVEN))
GIVEN_TO_MAKE := $(sort ENGINE BASE_IMAGE TARGETS NOTEBOOK $(CHOSEN) $(if $(filter-out 0,$(MAKELEVEL)),$(GIVEN_TO_MAKE)))
export GIVEN_TO_MAKE
# Where people run things themselves, nothing is there that was only meant for make.
FOR_PEOPLE = env $(foreach name,GIVEN_TO_MAKE $(GIVEN_TO_MAKE),-u $(call quoted,$(name)))

# All commands run in the image but these, which write to git, build environments or start containers: beside it. What
# does none of that, TIMES=3 of a notebook as it is now, pipeline DRY=1 and ON=dask, runs in the image too.
AS_NOW = $(filter %.ipynb,$(wildcard notebooks/$(value RUN).ipynb notebooks/$(value RUN) $(value RUN)))
MOVED  = $(if $(filter TIMES,$(CHOSEN)),$(if $(AS_NOW),reproduce)) $(if $(filter ON,$(CHOSEN)),$(if $(filter dask,$(ON)),backfill)) $(foreach name,$(filter DRY DRY_RUN,$(CHOSEN)),$(if $(call on,$(name)),pipeline))
BESIDE = $(filter-out $(MOVED),adopt keep reproduce why promote rollback models schedule ci gc hooks diff review lint pipeline backfill new update ack)
INSIDE = $(MOVED) run sweep warm runs report log settings data fetch push pull watch doctor lineage verify compare drift pipelines \
         export mlflow-sync store-verify store-gc bundle-schema cluster-certificates kubernetes-render kubernetes-results
VERBS  = $(INSIDE) $(BESIDE)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

include $(HERE)environments/engine.mk $(HERE)environments/docker.mk $(HERE)environments/lock.mk
# Targets of a project's own, which are added to OWN.
-include $(HERE)scripts/package.mk $(HERE)tests/tests.mk
.PHONY: $(OWN) $(VERBS) engine environment beside forkable

# Make's own targets refuse a variable that none of them takes, and a flag that is neither on nor off.
GOALS = $(or $(MAKECMDGOALS),help)
TAKEN = $(foreach goal,$(GOALS),$(TAKES_$(goal)))
STRAY = $(if $(filter $(OWN),$(GOALS)),$(if $(filter $(VERBS),$(GOALS)),,$(firstword $(filter-out $(TAKEN),$(CHOSEN)))))
FLAGS = V NO_CACHE UPGRADE SLOW LIST SURE
UNKNOWN = $(if $(filter $(OWN) $(VERBS),$(GOALS)),$(firstword $(filter-out $(OWN) $(VERBS) environment engine beside,$(GOALS))))
$(if $(UNKNOWN),$(error make $(firstword $(GOALS)) takes no $(UNKNOWN); expected a variable, as NOTEBOOK=$(UNKNOWN)))
$(if $(STRAY),$(error make $(firstword $(GOALS)) takes no $(STRAY)$(shell $(HERE)environments/host nearest $(call quoted,$(STRAY)) $(TAKEN) $(EVERYWHERE))))
$(foreach name,$(filter $(FLAGS),$(CHOSEN)),$(if $(filter-out 1 true yes,$(call on,$(name))),$(error $(name)=$($(name)); expected 1 or 0)))

adopt: ## Bring NOTEBOOK=<file or address> in, with DATA="file …" and its packages: a plan, two runs; MEND=1 DRY=1 YES=1
run: ## Run NOTEBOOK headless, with PARAMS="name=value …"
sweep: ## Run NOTEBOOK for many sets: GRID="max_depth=3,5 rate=0.01:0.3:log" DRAWS=20 or SETS=sets.csv; JOBS=2
warm: forkable ## Keep what NOTEBOOK imports in memory until Ctrl-C: its runs start at once (ENGINE=local)
runs: ## List what ran; LAST=20 only the newest
report: ## Pages over runs, models, drift and sweeps, to open in a browser: runs/.report/index.html; INTO=folder
log: ## A day's story: what ran, what went wrong; DAY=2013-07-01 LEVEL=warning
compare: ## Compare the results OLD=<run> and NEW=<run> by hash, or two files of results
lineage: ## Where a result comes from: RUN=<id, receipt or notebook>
export: ## RUN=<run, or promoted model> with its lineage as an RO-Crate, to archive and cite: a zip; INTO=file
verify: ## Check the signature of RUN=<run>, and its hash of each file
reproduce: ## Run RUN=<id, receipt or notebook> again at its commit: a verdict by hash; TIMES=3: here; RANGE=main..HEAD: its models
why: ## Why B=<run> is another result than A=<run>: the change that makes the difference; METRIC=auc RUNS=30 DRY=1
promote: ## Promote RUN=<run> as MODEL=<name> under ENV's policy: one commit; WHY="…" DRY=1
rollback: ## Roll MODEL=<name> back: one commit; TO=<branch or commit> REOPEN=<branch> WHY="…" DRY=1
models: ## Put promoted models under models/.files/; MODEL=delay@prod: one, of a branch
hooks: ## Have git say, after a checkout and a merge, which models' folders are not this branch's
diff: ## Compare the models, or NOTEBOOK's cells, of A=<branch or commit> (HEAD) and B=<other>; by default: here
review: ## What a branch changes, and what the policy says of it: RANGE=main..HEAD INTO=folder
bundle-schema: ## The JSON Schema of a promoted model's file
new: ## Make a project of your own: PROJECT=../churn EXAMPLE=none NAME=churn REGISTRY=…
update: ## Bring a later samebook into this project: WHEEL=<its wheel> DRY=1 REPRODUCE=1; from a checkout of it: PROJECT=../churn
pipelines: ## List the pipelines: what each may be given, and its steps
pipeline: ## Run the steps of NAME=daily, with PARAMS="day=2013-07-01"; DRY=1 prints the plan, FORCE=1 runs all
backfill: ## Run NAME=daily for each day FROM=2013-06-01 TO=2013-06-30; JOBS=2 at a time
watch: ## Run pipelines when data comes in: files in data/inbox/, new days in the warehouse
ack: ## Acknowledge WHAT=carrier in the report of RUN=monitor, with WHY="…": quiet until it changes; WINDOW=1, WITHDRAW=1
drift: ## Compare DAY=2013-07-01 with what MODEL=<name> was made on; DAYS=21 up to it
kubernetes-render: ## Manifests for IMAGE=name@sha256:…: of NOTEBOOK (GRID, SETS), of NAME FROM TO, or of ENV's schedule
kubernetes-results: ## Bring the runs that pods have sent to the shared store of ENV
schedule: ## When jobs are due; AS=cron, systemd, airflow, github or gitlab writes it for these, INTO=folder
ci: ## The jobs of a forge: AS=github or gitlab, INTO=. writes them; ENVS="preprod prod" OWNERS="@ada @team/models"
gc: ## Remove old runs that nobody needs, and free the store; DRY=1 only looks
data: ## Load the sample warehouse (a first run does it by itself)
fetch: ## Bring the input files of environments/inputs.yml: all, or NAME=customers.csv; PIN=1 DRY=1
keep: ## Keep the packages of the locks in the store, by hash, and the base image: for the day without an index; COMMIT=prod
push: ## Send what models and runs need to the shared store
pull: ## Bring what models and runs need from the shared store
mlflow-sync: ## Send runs and promoted models that the MLflow of ENV's settings lacks
store-verify: ## Read every object of the store: what is damaged, missing or needed by nobody
store-gc: ## Remove objects of the store that are damaged or that nobody needs; DRY=1 only looks
cluster-certificates: ## Certificates for a cluster of your own: SCHEDULER=tls://10.0.0.1:8786; make cluster has its own
settings: ## The settings in force in ENV, and what says so: file, variable or default
doctor: ## Compare what is pinned with what is here

# Each command, by its name alone: samebook takes the variables by their names, and refuses what it has no option for.
NAMES = $(CHOSEN) ENGINE $(if $(filter run sweep warm,$@),$(if $(filter NOTEBOOK RECEIPT,$(CHOSEN)),,NOTEBOOK))
$(INSIDE): environment
$(BESIDE): beside
$(VERBS):
	@ENGINE=$(ENGINE) $(if $(filter $@,$(BESIDE)),$(BESIDE_$(ENGINE)),$(INSIDE_$(ENGINE)) $(PROGRAM_$(ENGINE))) make $@ -- \
	  $(foreach name,$(NAMES),$(call quoted,$(name))) || { code=$$? && $(LOST_$(ENGINE)) && exit $$code; }

# The targets in groups, each with the first of its own.
HEADS = adopt:Notebooks,_and_what_they_gave promote:Models,_in_git new:A_project_of_your_own pipelines:Every_day,_unattended gc:Data_and_store settings:Lab_and_the_environment publish:The_release_image lock:The_lock test:Tests_and_checks wheel:The_package
help: ## This list
	@echo "samebook: the same notebook, on every machine." && sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' -v heads="$(HEADS)" ' \
	  BEGIN { n = split(heads, all, " "); for (i = 1; i <= n; i++) { split(all[i], part, ":"); gsub("_", " ", part[2]); head[part[1]] = part[2] } } \
	  $$1 in head { print "\n" head[$$1] } { printf "  make %-20s %s\n", $$1, $$2 }' && \
	echo && echo 'Variables: NOTEBOOK=train  PARAMS="max_depth=4 as_of=2013-06-30"  ENV=dev  ENGINE=docker|podman|local  PORT=8888'
