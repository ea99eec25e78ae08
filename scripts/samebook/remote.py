def of(_: object) -> None:
    return None
