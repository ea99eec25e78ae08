"""The commands for the release image: push it to a registry, and hold it against its commit."""

import click

from samebook.cli.options import SECONDS, say, show

ENV = click.option("--env", required=True, help="Environment whose settings name the image: environments/<env>.yml.")


@click.command()
@ENV
@click.option("--registry", required=True, help="Registry, and a place in it: registry.example.com/team.")
@click.option("--timeout", type=SECONDS, default=3600, help="Seconds that the registry may take for an image.")
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
