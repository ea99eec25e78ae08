# The package of samebook.

OWN += wheel

# From the commit, whatever the checkout holds; the wheel's version has the commit's time, so that versions have an
# order, and names it. With it go the files that projects share, and those of each example in place of their list.
ENTRIES  = scripts/samebook/projects/entries
EXAMPLES = samebook/projects/examples
TAKES_wheel = DIST
wheel: $(UV) ## Build samebook as a wheel into dist/, the same bytes for the same commit
	@commit=$(COMMIT) && source=$$(mktemp -d) && trap 'rm -rf "$$source"' EXIT && umask 022 && mkdir "$$source/files" && \
	{ $(GIT) archive HEAD:./scripts | tar xf - -C "$$source" && $(GIT) archive HEAD LICENSE | tar xf - -C "$$source" && \
	  $(GIT) archive HEAD $$($(GIT) show HEAD:./$(ENTRIES)) | tar xf - -C "$$source/files"; } && \
	mv "$$source/files" "$$source/samebook/projects/files" && \
	for example in "$$source/$(EXAMPLES)"/*; do \
	  list=$$(cat "$$example") && rm "$$example" && mkdir "$$example" && $(GIT) archive HEAD $$list | tar xf - -C "$$example" || exit 2; done && \
	$(GIT) show HEAD:./scripts/pyproject.toml | sed "s/^\(version = \"[^\"]*\)/\1+$$(TZ=UTC $(GIT) show -s --format=%cd --date=format-local:%Y%m%d%H%M%S).g$$(echo "$$commit" | cut -c1-12)/" >"$$source/pyproject.toml" && \
	$(UV_RUN) build --quiet --wheel --no-create-gitignore --out-dir $(call quoted,$(DIST)) "$$source" && \
	wheel=$$(ls -t $(call quoted,$(DIST))/samebook-*.whl | head -1) && \
	$(UV_RUN) run --quiet --no-project --python $(PYTHON_VERSION) "$$source/samebook/projects/wheel_file.py" "$$wheel" && \
	echo "$$wheel sha256:$$({ sha256sum "$$wheel" 2>/dev/null || shasum -a 256 "$$wheel"; } | cut -c1-64)"

# For `samebook new`, which makes a project's locks of these without an index: what of them each example has not, by its
# own wish. The sha256 in its first line holds the list to these very locks.
PROJECTS = scripts/samebook/projects
OF_LOCKS = cat $(LOCKS:%=environments/%.txt) $(PROJECTS)/template/project/environments/pyproject.toml.jinja | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-64
define left_out
work=$$(mktemp -d) && wish=$(PROJECTS)/template/project/environments/pyproject.toml.jinja && \
names() { sed -nE 's/^([a-z0-9-]+)(==|\[).*/\1/p' "$$1" | LC_ALL=C sort -u; } && names environments/lab.txt >"$$work/all" && \
for example in none $(notdir $(wildcard $(PROJECTS)/examples/*)); do \
  mkdir "$$work/$$example" && cp environments/lab.txt "$$work/$$example" && \
  { awk -v example="'$$example'" '/^{%- if/ { left_out = !index($$0, example); next } /^{%-/ { left_out = 0; next } !left_out' "$$wish" | \
    sed 's/=={{ version }}//; s/{{ name }}/project/' && printf '[tool.uv.sources]\nsamebook = { path = "%s/scripts" }\n' "$$PWD"; } >"$$work/$$example/pyproject.toml" && \
  $(COMPILE:../%=%) "$$work/$$example/pyproject.toml" --group "$$work/$$example/pyproject.toml:lab" -o "$$work/$$example/lab.txt" && \
  names "$$work/$$example/lab.txt" >"$$work/$$example/names" || exit 2; done && \
{ $(OF_LOCKS) && \
  LC_ALL=C comm -23 "$$work/all" "$$work/none/names" | while read -r package; do \
    echo $$package $$(cd "$$work" && grep -lx "$$package" */names | cut -d/ -f1); done; } >"$$work/list" && \
mv "$$work/list" $(PROJECTS)/left_out && rm -rf "$$work"
endef

.PHONY: check-left-out
check: check-left-out
check-left-out:
	@[ "$$($(OF_LOCKS))" = "$$(head -1 $(PROJECTS)/left_out)" ] || { \
	  echo "error: $(PROJECTS)/left_out is of other locks than these: samebook new would ask the package index" >&2 && echo "  -> make lock" >&2 && exit 5; }
