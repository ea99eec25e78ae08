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
