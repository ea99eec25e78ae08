"""A schedule for Airflow 3: a file for its folder of DAGs, whose tasks run the image, by Docker or on Kubernetes.

https://airflow.apache.org/docs/apache-airflow-providers-docker, …/apache-airflow-providers-cncf-kubernetes. No secret
goes through Airflow: Docker mounts the files of the machine that runs it, Kubernetes its own.
"""

import pprint
from collections.abc import Mapping

from samebook.cluster import kubernetes, repository
from samebook.cluster.frame import VOLUMES, Frame
from samebook.pipelines.manifests import pod
from samebook.pipelines.timers import Jobs

HEAD = '''\
"""Jobs of samebook in env {env}: a file for Airflow's folder of DAGs. Times are UTC.

It needs Airflow 3 with {provider}, and before it:
{needs}"""

import datetime

{imports}

JOBS = {jobs}
{values}

for job, line in JOBS.items():
    with DAG(
        f"{name}-{{job}}",
        schedule=line,
        start_date=datetime.datetime(2013, 1, 1, tzinfo=datetime.timezone.utc),
        # A pipeline makes up for what it missed itself, and a second one of its own would wait for the first.
        catchup=False,
        max_active_runs=1,
        tags=["samebook"],
    ):
'''
DOCKER = """\
        DockerOperator(
            task_id=job,
            image=IMAGE,
            command=["pipeline", job, "--env", {env!r}],
            environment={{"SAMEBOOK_IMAGE": IMAGE}},
            mounts=MOUNTS,
            user="1000:1000",
            mount_tmp_dir=False,
            auto_remove="force",
            retries=0,
        )
"""
POD = """\
        KubernetesPodOperator(
            task_id=job,
            name=PODS[job]["metadata"]["name"],
            pod_template_dict=PODS[job],
            base_container_name=PODS[job]["spec"]["containers"][0]["name"],
            get_logs=True,
            on_finish_action="delete_pod",
            retries=0,
        )
"""


def docker(jobs: Jobs, frame: Frame) -> dict[str, str]:
    """A DAG for each job, as one file, whose task is a container. The volumes are Docker's own, by name."""
    # Where the machine of the Docker daemon has the secrets, for user 1000 alone.
    files = {name: f"/etc/{jobs.project}/{jobs.env}/{name}" for name in jobs.secrets}
    mounts = [f"Mount({f'/workspace/{volume}'!r}, {frame.name(volume)!r}, type='volume')" for volume in VOLUMES]
    mounts += [f"Mount({f'/run/secrets/{n}'!r}, {p!r}, type='bind', read_only=True)" for n, p in files.items()]
    lines = "".join(f"    {mount},\n" for mount in mounts)
    imports = (
        "from airflow.providers.docker.operators.docker import DockerOperator",
        "from airflow.sdk import DAG",
        "from docker.types import Mount",
    )
    needs = [f"the volume {frame.name(volume)}" for volume in VOLUMES] + [f"the file {path}" for path in files.values()]
    values = f"IMAGE = {frame.image!r}\nMOUNTS = [\n{lines}]"
    head = _head(jobs, "apache-airflow-providers-docker", needs, imports, values)
    return {f"{jobs.name}.py": head + DOCKER.format(env=jobs.env)}


def pods(jobs: Jobs, frames: Mapping[str, Frame]) -> dict[str, str]:
    """A DAG for each job, as one file, whose task is the pod that a CronJob would start."""
    manifests = {job: _pod(jobs, job, frames[job]) for job in jobs.when}
    imports = (
        "from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator",
        "from airflow.sdk import DAG",
    )
    needs = list(dict.fromkeys(need for frame in frames.values() for need in frame.needs))
    if cloning := next((frame for frame in frames.values() if frame.repository), None):
        needs.append(f"the ConfigMap {repository.name(cloning.of_env, repository.SCRIPTS)}, as AS=kubernetes writes it")
    values = f"PODS = {_literal(manifests)}"
    head = _head(jobs, "apache-airflow-providers-cncf-kubernetes", needs, imports, values)
    return {f"{jobs.name}.py": head + POD}


def _pod(jobs: Jobs, job: str, frame: Frame) -> kubernetes.Manifest:
    metadata = {"name": kubernetes.name(frame.project, jobs.env, job)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod(jobs, job, frame)}


def _head(jobs: Jobs, provider: str, needs: list[str], imports: tuple[str, ...], values: str) -> str:
    return HEAD.format(
        env=jobs.env,
        name=jobs.name,
        provider=provider,
        needs="".join(f"- {need}\n" for need in needs),
        imports="\n".join(imports),
        jobs=_literal({job: str(line) for job, line in jobs.when.items()}),
        values=values,
    )


def _literal(value: object) -> str:
    """A value as Python's own text."""
    return pprint.pformat(value, width=110, sort_dicts=False)
