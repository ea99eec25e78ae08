"""The commands for the release image: push it to a registry, hold it against its commit, and run it in production."""

import sys
from pathlib import Path

import click

from samebook.cli.options import ENV, SECONDS, say, show
from samebook.core import errors, workspace

OF_ENV = click.option("--env", required=True, help="Environment whose settings name the image: environments/<env>.yml.")
IMAGE = click.option("--image", default="", help="Image by its digest, NAME@sha256:…; by default the one of ENV.")
TARGET = click.option(
    "--target", type=click.Choice(["runtime", "lab"]), default="runtime", help="Production's image, or Lab's."
)
TIMEOUT = click.option("--timeout", type=SECONDS, default=3600, help="Seconds that the registry may take for an image.")


@click.command()
@OF_ENV
@click.option(
    "--registry",
    default="",
    help="Registry, and a place in it: registry.example.com/team; by default the project's own.",
)
@TIMEOUT
@click.option("--runtime-only", is_flag=True, help="Push production's image alone, without Lab's.")
def publish(env: str, registry: str, timeout: int, runtime_only: bool) -> None:
    """Push the image of HEAD to REGISTRY, and commit its digest to the settings of ENV: from then on runs take it.

    Example: samebook publish --env prod --registry registry.example.com/team

    Docker pushes, with the credentials of `docker login`. Where nothing was committed since but digests, it is the
    image that is published already: prod gets the one of preprod. A registry that refuses, is too slow, or does not
    give back what it has taken leaves the settings as they are.
    """
    from samebook.verbs import publish as verb

    show(verb.table(verb.publish(verb.PublishRequest(env, registry, timeout, not runtime_only), say)))


@click.command(name="verify-image")
@IMAGE
@ENV
@TARGET
@click.option("--cached", is_flag=True, help="Take layers of earlier builds of this machine: quick, and proves less.")
@TIMEOUT
def verify_image(image: str, env: str, target: str, cached: bool, timeout: int) -> None:
    """Build an image again from the commit that it names, and compare the digests: IDENTICAL, or where they differ.

    Example: samebook verify-image --image registry.example.com/team/churn@sha256:…

    Exit code 3 where they differ. The commit must be in this branch, and is all that is taken from the image.
    """
    from samebook.verbs import verify_image as verb

    verdict = verb.verify_image(verb.VerifyImageRequest(image, env, target, timeout, cached), say)
    show(verb.table(verdict))
    if not verdict.is_identical:
        sys.exit(errors.NotReproduced.exit_code)


@click.command()
@IMAGE
@ENV
@TARGET
@TIMEOUT
@click.option(
    "--into", type=click.Path(path_type=Path, dir_okay=False), help="Write into this file, and print nothing."
)
def sbom(image: str, env: str, target: str, timeout: int, into: Path | None) -> None:
    """Print what is in an image, as a bill of materials in CycloneDX: the packages of Python and of Debian.

    Example: samebook sbom --env prod --into prod.cdx.json
    """
    from samebook.verbs import sbom as verb

    content = verb.sbom(verb.SbomRequest(image, env, target, timeout))
    if into:
        workspace.write_whole(into, content)
    else:
        show(content.decode(), nl=False)


@click.command()
@OF_ENV
@click.option(
    "--as", "form", type=click.Choice(["compose", "systemd", "kubernetes"]), required=True, help="What shall run it."
)
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), required=True, help="Write into this folder.")
@click.option("--at", "folder", default="", help="Folder of the files on their machine; by default that of INTO.")
@click.option("--memory", default="", help="Memory of a pod on Kubernetes, like 2Gi.")
@click.option("--cores", default="", help="Cores of a pod on Kubernetes, like 2.")
def deploy(env: str, form: str, into: Path, folder: str, memory: str, cores: str) -> None:
    """Write what runs ENV's published image on a machine without a checkout: its schedule, its watcher, jobs by hand.

    Example: samebook deploy --env prod --as compose --into deploy

    Volumes and secrets are named, and no text of a secret is written. The models are a volume of their own: another
    one needs no other image. Files of the deployment before that this one lacks, as those of a withdrawn model, are
    removed, and named.
    """
    from samebook.verbs import deploy as verb

    request = verb.DeployRequest(env, form, into, folder, memory, cores)
    show(verb.table(verb.deploy(request), request))
