"""The parts of notebooks and receipts that Jupyter and samebook have written themselves: no secret is looked for there.

The names of a format's keys stay too; a secret's text may be one of them. All else is redacted.
"""

from samebook.redaction.redactor import Own


def _keys(names: str, **own: Own) -> dict[str, Own]:
    """An object with keys of the format, whose values may hold a secret, but for what is `own` of them."""
    return {**dict.fromkeys(names.split(), False), **own}


_STATE = _keys(
    "default_parameters environment_variables parameters input_path output_path version duration"
    " start_time end_time exception status"
)
_OUTPUT = _keys("name text data metadata execution_count ename evalue traceback", output_type=True)
CELL = _keys(
    "source execution_count attachments",
    cell_type=True,
    id=True,
    metadata=_keys("tags execution", papermill=_STATE),
    outputs=[_OUTPUT],
)
_METADATA = _keys(
    "", papermill=_STATE, kernelspec=_keys("name display_name language"), language_info=_keys("name version")
)
NOTEBOOK = _keys("nbformat nbformat_minor", metadata=_METADATA, cells=[CELL])
# A cell of the canonical form of one.
CANONICAL = _keys(
    "source tags attachments", type=True, printed=_keys("stdout stderr"), displayed=[_keys("error value")]
)

# What a notebook tells its run, a line of its events.
EVENT = _keys("name value sha256 run built version text", kind=True, bytes=True)

# Names of inputs are redacted before; those of outputs hold no secret, or the run has failed.
_ANNOTATIONS = _keys(
    "builtFrom unpatched",
    **dict.fromkeys(("dirty", "patch", "packages", "python", "input", "undeclared", "files", "bytes"), True),
)
_RESOURCE = _keys("", name=True, uri=True, digest=True, annotations=_ANNOTATIONS)
_DEFINITION = _keys(
    "",
    buildType=True,
    externalParameters=_keys("parameters", notebook=True, env=True),
    internalParameters=_keys(
        "logged run leftOut",
        **dict.fromkeys(("engine", "platform", "papermill", "variables", "drift"), True),
        **dict.fromkeys(("numerics", "threads", "processor", "callerVariables"), True),
    ),
    resolvedDependencies=[_RESOURCE],
)
_DETAILS = _keys("", builder=True, metadata=True, byproducts=[_RESOURCE])
RECEIPT = _keys(
    "",
    _type=True,
    subject=[_RESOURCE],
    predicateType=True,
    predicate=_keys("", buildDefinition=_DEFINITION, runDetails=_DETAILS),
)
