"""The first pull of a machine that no index answers: the kept files of locks, from the bucket of the setting store.url.

`python3 -m samebook.wheelhouse.first_pull STORE SETTINGS LOCK-OR-DIGEST…`, with any Python from 3.9 on and no package:
what reads buckets later, obstore, is among the files that come. Signed by AWS's own rules:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import datetime
import hashlib
import hmac
import json
import os
import re
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

LINE = re.compile(r"^([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9_.+!-]*)$", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
KEYS = ("url", "endpoint", "region", "access_key", "secret_key")
# The one file of an image, whose archive is checked when it is loaded.
ARCHIVE = "base-image.oci.tar"
# SHA-256 of nothing: a request to read has no content.
EMPTY = hashlib.sha256().hexdigest()
# Seconds without a byte; and files that come at a time.
SILENCE, JOBS = 30, 8


def settings(path: Path) -> "dict[str, str]":
    """The section `store` of a settings file, less what variables override: plain values only, as no YAML is here."""
    text = path.read_text() if path.is_file() else ""
    try:
        found = json.loads(text).get("store", {})
    except ValueError:
        block = re.search(r"^store:[ \t]*(\{[^}]*\}|(?:\n(?:[ \t]+.*|[ \t]*#.*)?)*)", text, re.MULTILINE)
        pairs = re.findall(r"(\w+):[ \t]*['\"]?([^'\",}\s#]+)", block[1]) if block else []
        found = dict(pairs)
    variables = {key: os.environ.get("SAMEBOOK_STORE__" + key.upper()) for key in KEYS}
    return {key: str(variables[key] or found.get(key) or "") for key in KEYS}


def secret(name: str) -> str:
    """A secret by its name: of a variable, or of a file in /run/secrets/."""
    file = Path("/run/secrets") / name
    return os.environ.get(name) or (file.read_text().strip() if name and file.is_file() else "")


class Bucket:
    """A bucket of S3, to read from; its key is that of the settings, or of AWS's own variables."""

    def __init__(self, section: "dict[str, str]") -> None:
        url = urlsplit(section["url"])
        if "@" in url.netloc:
            raise ValueError("store.url: expected a bucket and a prefix, without a user or a password")
        self.region = section["region"] or os.environ.get("AWS_REGION") or "us-east-1"
        if not re.match(r"(https?://|$)", section["endpoint"]):
            raise ValueError("store.endpoint: expected http:// or https://")
        self.endpoint = section["endpoint"].rstrip("/") or f"https://s3.{self.region}.amazonaws.com"
        self.prefix = "/".join(filter(None, (url.netloc, *url.path.split("/"))))
        names = section["access_key"], section["secret_key"]
        own = tuple(map(secret, names)) if all(names) else ("", "")
        self.key, self.text = own if all(names) else (secret("AWS_ACCESS_KEY_ID"), secret("AWS_SECRET_ACCESS_KEY"))
        self.token = "" if all(names) else secret("AWS_SESSION_TOKEN")

    def open(self, name: str):
        """The open answer for an object."""
        path = quote(f"{urlsplit(self.endpoint).path}/{self.prefix}/{name}")
        parts = urlsplit(self.endpoint)
        opener = urllib.request.build_opener()
        opener.addheaders = list(self.headers(parts.netloc, path).items())
        return opener.open(f"{parts.scheme}://{parts.netloc}{path}", timeout=SILENCE)

    def headers(self, host: str, path: str) -> "dict[str, str]":
        """The signed headers of a request; none without a key."""
        if not self.key:
            return {}
        moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")  # noqa: UP017
        signed = {"host": host, "x-amz-content-sha256": EMPTY, "x-amz-date": moment}
        signed.update({"x-amz-security-token": self.token} if self.token else {})
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        canonical = hashlib.sha256(f"GET\n{path}\n\n{lines}\n{names}\n{EMPTY}".encode()).hexdigest()
        key = f"AWS4{self.text}".encode()
        for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{canonical}"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        authorization = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope},SignedHeaders={names},Signature={key.hex()}"
        return {**{name: text for name, text in signed.items() if name != "host"}, "Authorization": authorization}


def place(store: Path, digest: str) -> Path:
    """The path of an object of the store."""
    return store / digest[:2] / digest[2:4] / digest


def bring(bucket: Bucket, store: Path, digest: str) -> None:
    """Bring an object into the store, also for a damaged one; other bytes raise ValueError, and are not taken."""
    path = place(store, digest)
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=f".{digest}.", dir=path.parent, delete=False) as stream:
        try:
            with bucket.open(f"{digest[:2]}/{digest[2:4]}/{digest}") as answer:
                shutil.copyfileobj(answer, stream, 2**20)
            stream.flush()
            if hashlib.sha256(Path(stream.name).read_bytes()).hexdigest() != digest:
                raise ValueError(f"object {digest[:12]}… is damaged there: other bytes than its name")
            Path(stream.name).chmod(0o444)
            Path(stream.name).replace(path)
        finally:
            Path(stream.name).unlink(missing_ok=True)


def problem(bucket: Bucket, store: Path, digest: str) -> str:
    """The problem with an object of the bucket; "" where it is in the store now."""
    try:
        bring(bucket, store, digest)
    except (OSError, ValueError) as error:
        return told(error)
    return ""


def told(error: Exception) -> str:
    """The words for an error. Those of an answer may hold a key: its status alone is told."""
    return f"it answers {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error)


def main(store: Path, file: Path, names: "list[str]") -> None:
    """Bring the files of each lock, or image, that are not here; the list comes last, with what it had here."""
    section = settings(file)
    if not section["url"]:
        raise ValueError("no bucket: store.url is not set")
    bucket = Bucket(section)
    for name in names:
        lock = Path(name).read_bytes() if Path(name).is_file() else None
        digest = name if lock is None else hashlib.sha256(lock).hexdigest()
        if not re.match(r"[0-9a-f]{64}\Z", digest):
            raise ValueError(f"{name!r} is no lock, and no digest of 64 digits")
        path = store / "kept" / digest
        here = path.read_text() if path.is_file() else ""
        try:
            with bucket.open(f"kept/{digest}") as answer:
                listed = LINE.findall(answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            if here and error.code == 404:
                continue
            raise
        wanted = set(HASH.findall(lock.decode())) if lock else set()
        files = [(found, file) for found, file in listed if found in wanted or (lock is None and file == ARCHIVE)]
        sys.stderr.write(f"  {len(files)} files of {Path(name).name[:12]} from {section['url']}\n")
        with ThreadPoolExecutor(JOBS) as pool:
            problems = {found: pool.submit(problem, bucket, store, found) for found, _ in files}
        # A list may name more than there is: one file that nobody needs here is no end of all others.
        lost = [f"{file}: {problems[found].result()}" for found, file in files if problems[found].result()]
        if lost and len(lost) == len(files):
            raise ValueError(lost[0])
        sys.stderr.writelines(f"  {words}\n" for words in lost)
        files = [(found, file) for found, file in files if not problems[found].result()]
        # What leads to an object here stays, whatever a bucket says of the same name.
        had = LINE.findall(here)
        own = {file: found for found, file in had if place(store, found).is_file()}
        joined = {**{file: found for found, file in files}, **own}
        heads = [line for line in here.splitlines() if line.startswith("#") and len(own) == len(had)]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{digest}.{os.getpid()}")
        temporary.write_text("".join(f"{line}\n" for line in (*heads, *(f"{joined[file]}  {file}" for file in joined))))
        temporary.replace(path)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    except (OSError, ValueError) as error:
        sys.exit(f"  nothing is kept in the shared store: {told(error)}")
