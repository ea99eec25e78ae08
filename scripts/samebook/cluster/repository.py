"""The git repository of a pod: cloned by commit before its program starts, and given its promotions on a branch.

Each part is a container of its own, so that no notebook is where a deploy key is. What a notebook may have changed, the
configuration of the clone as well, is never read where the key is: a promotion comes there as a bundle of git's.
"""

import re
from dataclasses import dataclass
from typing import Any

from samebook.core.errors import UsageError

type Manifest = dict[str, Any]

# An address whose host proves its key, or has a certificate; none has a password, which the manifest would show.
SSH = re.compile(r"ssh://([\w.-]+@)?[\w.-]+(:\d+)?/[\w./~-]+|[\w.-]+@[\w.-]+:[\w./~-]+")
HTTPS = re.compile(r"https://[\w.-]+(:\d+)?/[\w./~-]+")
# The names of volumes and containers.
CHECKOUT, HANDED, CLONE, PUSH = "checkout", "handed", "clone", "push"
KEY, WRITING_KEY = "git-key", "git-writing-key"
# The folders of the scripts and of a key, in each container that has them.
SCRIPT_FOLDER, KEY_FOLDER = "/etc/samebook-git", "/etc/samebook-key"
SCRIPTS, BUNDLE = "git-script", "promotion.bundle"
# The folders of the clone with what runs, and with what decides how.
SOURCE = ("environments", "notebooks", "scripts")
# A clone's uncommitted changes: there are none, which a run says by it.
PATCH = ".samebook/clone.patch"
# OpenSSH asks who runs it, and most images know no user of this number.
USERS = "samebook:x:1000:1000::/tmp:/bin/sh\n"
SCRIPT = """\
# The parts of a pod that have a deploy key: clone and push.
set -eu

# What is wrong, the command that mends it, and the exit code: one above 6 is tried again.
fail() {
  printf 'error: %s\\n  -> %s\\n' "$1" "$2" >&2
  exit "${3:-2}"
}

need() {
  command -v "$1" >/dev/null || fail "this image has no $1" 'make add APT="git openssh-client"'
}

# Git, with a server: its own words, and then ours.
ask() {
  if git "$@" 2>/tmp/git-error; then
    return
  fi
  cat /tmp/git-error >&2
  if grep -q 'Host key verification failed' /tmp/git-error; then
    fail "$REPOSITORY is on a host whose key is not in known_hosts of the secret $SECRET" "kubectl edit secret $SECRET"
  fi
  if grep -q -e 'Permission denied' -e 'marked as read only' -e 'not allowed to push' /tmp/git-error; then
    fail "$REPOSITORY does not take the key in the secret $SECRET" "kubectl edit secret $SECRET"
  fi
  fail "$REPOSITORY does not answer git $1" "git ls-remote $REPOSITORY" 75
}

# All branches, so that history is whole; nothing of them is run.
fetch() {
  export LC_ALL=C GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
  export GIT_SSH_COMMAND="ssh -F none -i $KEY/ssh-privatekey -o IdentitiesOnly=yes -o BatchMode=yes \\
    -o StrictHostKeyChecking=yes -o UserKnownHostsFile=$KEY/known_hosts -o GlobalKnownHostsFile=/dev/null \\
    -o ConnectTimeout=30"
  need git
  case $REPOSITORY in https:*) ;; *) need ssh ;; esac
  git init --quiet --template= "$@"
  for folder; do :; done
  cd "$folder"
  ask fetch --quiet --tags "$REPOSITORY" '+refs/heads/*:refs/remotes/origin/*'
  git cat-file -e "$COMMIT^{commit}" 2>/dev/null || fail "$REPOSITORY has no commit $COMMIT" "git push origin HEAD"
}

case $1 in
clone)
  rm -rf /checkout/workspace
  fetch /checkout/workspace
  git checkout --quiet -B samebook "$COMMIT"
  mkdir -p .samebook runs store data
  : >.samebook/clone.patch
  ;;
push)
  if [ ! -f /handed/promotion.bundle ]; then
    echo 'nothing was promoted'
    exit
  fi
  fetch --bare /tmp/repository
  # No other file than a bundle: git would follow it, even to a repository with a configuration of the job's.
  cp /handed/promotion.bundle /tmp/promotion.bundle
  git bundle verify --quiet /tmp/promotion.bundle 2>/tmp/git-error &&
    git -c fetch.fsckObjects=true fetch --quiet --no-tags /tmp/promotion.bundle HEAD:refs/heads/promotion ||
    fail 'the promotion is not a commit that git can read' 'make promote'
  # Its hash: a name may be a tag's too.
  promotion=$(git rev-parse --verify refs/heads/promotion)
  git merge-base --is-ancestor "$COMMIT" "$promotion" || fail "the promotion is not made on $COMMIT" 'make promote'
  # Regular files alone: a link would be read on the machine of whoever merges it.
  others=$(git log -m --no-renames --format= --raw "$COMMIT..$promotion" |
    grep -v -x -E -e '' -e ':[0-7]+ 100644 [0-9a-f. ]+ [AM][[:space:]]models/[a-z][a-z0-9_-]*[.]json' |
    head -n 1 | cut -f 2) || :
  [ -z "$others" ] ||
    fail "the job has committed $others; only files of models/ may change, so nothing is pushed" 'make promote'
  ask push --quiet "$REPOSITORY" "$promotion:refs/heads/$BRANCH"
  echo "promoted on branch $BRANCH, to be reviewed and merged"
  ;;
esac
"""


@dataclass(frozen=True)
class Repository:
    """The repository that pods clone, and the commit. `image` has git, and ssh where the address is one of SSH's; ""
    for samebook's own. With `is_written`, what a pod promotes is pushed on a branch of its own.
    """

    address: str
    commit: str
    image: str = ""
    is_written: bool = False

    def __post_init__(self) -> None:
        if not (SSH.fullmatch(self.address) or HTTPS.fullmatch(self.address)):
            raise UsageError(
                f"--repository {self.address!r} is no address that a pod may clone; expected one of SSH or HTTPS, "
                "without a password",
                mend="again, with REPOSITORY=ssh://git@host/path.git",
            )
        if self.is_written and not self.is_by_ssh:
            raise UsageError(
                f"a promotion is pushed by a deploy key, and {self.address} is not an address of SSH",
                mend="again, with REPOSITORY=ssh://git@host/path.git",
            )

    @property
    def is_by_ssh(self) -> bool:
        """Whether a deploy key is needed."""
        return SSH.fullmatch(self.address) is not None

    def secrets(self, of_env: str) -> list[str]:
        """The names of the Secrets with a key, each with ssh-privatekey and known_hosts."""
        names = [name(of_env, KEY)] if self.is_by_ssh else []
        return [*names, *([name(of_env, WRITING_KEY)] if self.is_written else [])]

    def script(self, of_env: str) -> Manifest:
        """The ConfigMap with the script of all its containers."""
        metadata = {"name": name(of_env, SCRIPTS)}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": _FILES}

    def volumes(self, of_env: str) -> list[Manifest]:
        """The volumes of a pod: the clone, the script, the keys and, where it promotes, what is handed to the push."""
        # Only its group, which is the pod's, may read a key.
        keys: list[Manifest] = [
            {"name": secret.removeprefix(name(of_env, "")), "secret": {"secretName": secret, "defaultMode": 0o440}}
            for secret in self.secrets(of_env)
        ]
        empty = [CHECKOUT, *([HANDED] if self.is_written else [])]
        return [
            *({"name": each, "emptyDir": {}} for each in empty),
            {"name": SCRIPTS, "configMap": {"name": name(of_env, SCRIPTS)}},
            *keys,
        ]

    def container(self, of_env: str, part: str) -> Manifest:
        """The name, the program, the variables and the mounts of the container that clones, or of the one that pushes,
        which alone have a key.
        """
        key = WRITING_KEY if part == PUSH else KEY
        folder = HANDED if part == PUSH else CHECKOUT
        mounts: list[Manifest] = [
            {"name": folder, "mountPath": f"/{folder}", **({"readOnly": True} if part == PUSH else {})},
            {"name": SCRIPTS, "mountPath": SCRIPT_FOLDER, "readOnly": True},
            {"name": SCRIPTS, "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
            *([{"name": key, "mountPath": KEY_FOLDER, "readOnly": True}] if self.is_by_ssh else []),
        ]
        variables = {"REPOSITORY": self.address, "COMMIT": self.commit, "SECRET": name(of_env, key), "KEY": KEY_FOLDER}
        return {
            "name": part,
            "command": ["sh", f"{SCRIPT_FOLDER}/repository.sh", part],
            "env": [
                *({"name": variable, "value": text} for variable, text in variables.items()),
                *([_field("BRANCH", "metadata.name")] if part == PUSH else []),
            ],
            "volumeMounts": mounts,
        }

    def program(self, program: Manifest) -> Manifest:
        """The program of samebook's container: where it promotes, it hands its commits over at its end."""
        handed = ["--promotions", f"/{HANDED}/{BUNDLE}"]
        return {**program, "args": [*program["args"], *handed]} if self.is_written else program

    @property
    def variables(self) -> list[Manifest]:
        """The variables of samebook's container."""
        texts = {"SAMEBOOK_PATCH": PATCH}
        if self.is_written:
            who = {f"GIT_{role}_{fact}": text for role in ("AUTHOR", "COMMITTER") for fact, text in _AUTHOR.items()}
            texts |= who
        return [{"name": variable, "value": text} for variable, text in texts.items()]

    @property
    def mounts(self) -> list[Manifest]:
        """The mounts of samebook's container: the clone, over the image's copy of the commit, and no key.

        A notebook can't change what runs after it, perhaps with a signing key, as it can't in an image.
        """
        return [
            {"name": CHECKOUT, "mountPath": "/workspace", "subPath": "workspace"},
            *(
                {"name": CHECKOUT, "mountPath": f"/workspace/{each}", "subPath": f"workspace/{each}", "readOnly": True}
                for each in SOURCE
            ),
            *([{"name": HANDED, "mountPath": f"/{HANDED}"}] if self.is_written else []),
        ]


def name(of_env: str, part: str) -> str:
    """The name of an object of an environment's repository, from that of the environment's Secret."""
    return f"{of_env}-{part}"


def _field(variable: str, path: str) -> Manifest:
    return {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}}


_FILES = {"repository.sh": SCRIPT, "passwd": USERS}
_AUTHOR = {"NAME": "samebook", "EMAIL": "samebook@localhost"}
