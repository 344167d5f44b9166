"""deploy/: every configuration in it loads, and what surrounds it agrees with it: ports and paths
of probes, time to stop, files, users. The container's commands are run without a container."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from genai_collector.component import NoTelemetry
from genai_collector.components import all_factories
from genai_collector.configfile import load
from genai_collector.configfile.schema import CollectorConfig
from genai_collector.extensions.file_storage import FileStorageConfig
from genai_collector.extensions.health_check import HealthCheckConfig
from genai_collector.pipeline import build
from tests.support.captures import ROOT
from tests.support.running import collector, free_port

DEPLOY = ROOT / "deploy"
CONTAINERFILE = DEPLOY / "Containerfile"
UNIT = DEPLOY / "systemd" / "genai-collector.service"
SECRETS = {
    "OTLP_ENDPOINT": "https://otel-backend.example:4318",
    "OTLP_TOKEN": "token",
    "DESTINATION": "https://otel-backend.example:4318",
    "DESTINATION_TOKEN": "token",
}
POD_IP = "10.0.0.7"


class Instruction(NamedTuple):
    word: str
    rest: str


def _manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def _instructions() -> list[Instruction]:
    text = CONTAINERFILE.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [Instruction(*line.split(None, 1)) for line in lines]


def _one(word: str) -> str:
    """The last instruction of this kind, which is the final image's."""
    return [rest for found, rest in _instructions() if found == word][-1]


def _unit() -> dict[str, list[str]]:
    """All settings of the unit, whatever their section."""
    settings: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            settings.setdefault(key, []).append(value)
    return settings


def _texts() -> Iterator[tuple[str, str]]:
    for path in ("container.yaml", "systemd/config.yaml"):
        yield path, (DEPLOY / path).read_text()
    for name in ("sidecar.yaml", "gateway.yaml"):
        for manifest in _manifests(name):
            if manifest["kind"] == "ConfigMap":
                for key, text in manifest["data"].items():
                    yield f"kubernetes/{name}:{key}", text


TEXTS = dict(_texts())


def _load(name: str) -> tuple[CollectorConfig, list[str]]:
    environ = {**SECRETS, "POD_IP": POD_IP}
    loaded = load([f"yaml:{TEXTS[name]}"], [], all_factories(), environ)
    # The pods' and the service's files are not here.
    warnings = [warning.message for warning in loaded.warnings]
    return loaded.config, [one for one in warnings if not one.endswith("on this machine")]


@pytest.mark.parametrize("name", TEXTS)
def test_every_configuration_loads(name: str) -> None:
    """With the real loader and every component made; doubtful is only that the container's default,
    which has no other way to be reached, is open without authentication."""
    config, warnings = _load(name)
    build(config, NoTelemetry())
    expected = "listens on 0.0.0.0 without authentication"
    assert all(warning.startswith(expected) for warning in warnings)
    assert bool(warnings) == (name == "container.yaml")


def test_all_yaml_is_used() -> None:
    """No file in deploy/ escapes these tests."""
    found = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*") if path.is_file()}
    assert found == {
        "Containerfile",
        "container.yaml",
        "kubernetes/gateway.yaml",
        "kubernetes/sidecar.yaml",
        "systemd/config.yaml",
        "systemd/genai-collector.service",
    }


# ---- Kubernetes ------------------------------------------------------------------------------

WORKLOADS = {
    "sidecar.yaml": ("Deployment", "initContainers", "kubernetes/sidecar.yaml:config.yaml"),
    "gateway.yaml": ("StatefulSet", "containers", "kubernetes/gateway.yaml:config.yaml"),
}


def _workload(name: str) -> tuple[dict[str, Any], dict[str, Any], CollectorConfig]:
    """The pod, its collector container, and its configuration."""
    kind, where, text = WORKLOADS[name]
    (workload,) = [one for one in _manifests(name) if one["kind"] == kind]
    pod = workload["spec"]["template"]["spec"]
    (container,) = [one for one in pod[where] if one["name"] == "collector"]
    return pod, container, _load(text)[0]


@pytest.mark.parametrize("name", WORKLOADS)
def test_probes_ask_the_health_check(name: str) -> None:
    """Port, path and address are those of `health_check`; liveness is patient with a shutdown."""
    _, container, config = _workload(name)
    health = config.extensions["health_check"].config
    assert isinstance(health, HealthCheckConfig)
    host, _, port = health.endpoint.rpartition(":")
    assert host == POD_IP
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": health.path, "port": int(port)}
    assert int(port) in [one["containerPort"] for one in container["ports"]]
    liveness = container["livenessProbe"]
    patience = liveness["periodSeconds"] * liveness["failureThreshold"]
    assert patience > config.shutdown_timeout_s


@pytest.mark.parametrize("name", WORKLOADS)
def test_there_is_time_to_stop(name: str) -> None:
    """The grace period is longer than preStop and the collector's own deadline together."""
    pod, container, config = _workload(name)
    before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command")
    wait = float(before[1]) if before else 0
    assert pod["terminationGracePeriodSeconds"] >= wait + config.shutdown_timeout_s + 5


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_pod_has_what_the_configuration_names(name: str) -> None:
    """Every path is below a mounted volume, the storage below a writable one, the configuration is
    mounted as a folder; volumes exist; environment variables are set."""
    pod, container, config = _workload(name)
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    known = {volume["name"] for volume in pod["volumes"]}
    for manifest in _manifests(name):
        for claim in manifest.get("spec", {}).get("volumeClaimTemplates", []):
            known.add(claim["metadata"]["name"])
    assert {mount["name"] for mount in mounts.values()} <= known
    assert not [mount for mount in mounts.values() if "subPath" in mount]
    text = TEXTS[WORKLOADS[name][2]]
    words = text.replace(",", " ").replace("}", " ").split()
    paths = [word for word in words if word.startswith(("/etc", "/var"))]
    assert paths
    for path in [*paths, container["args"][-1]]:
        assert any(path == mount or path.startswith(f"{mount}/") for mount in mounts), path
    storage = config.extensions["file_storage"].config
    assert isinstance(storage, FileStorageConfig)
    (data,) = [mount for path, mount in mounts.items() if storage.directory.startswith(path)]
    assert not data.get("readOnly")
    given = {variable["name"] for variable in container["env"]}
    used = {part.partition("}")[0] for part in text.split("${env:")[1:]}
    assert used == given


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_container_is_hardened(name: str) -> None:
    """No root, nothing to write but the volume, no capability, bounded memory; and the same user
    as in the container file."""
    _, container, _ = _workload(name)
    security = container["securityContext"]
    assert security["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert f"{security['runAsUser']}:{security['runAsGroup']}" == _one("USER")
    assert "memory" in container["resources"]["limits"]


def test_the_sidecar_is_one() -> None:
    """A native one, so that it outlives the app; loopback for data."""
    pod, container, config = _workload("sidecar.yaml")
    assert container["restartPolicy"] == "Always"
    (app,) = pod["containers"]
    (endpoint,) = [one["value"] for one in app["env"]]
    protocols: Any = config.receivers["otlp"].config
    assert endpoint == f"http://{protocols.protocols.http.endpoint}"


def test_services_reach_the_gateway() -> None:
    """Selectors match the pods' labels and ports exist by name; so does the PersistentVolume have
    room for all queues."""
    manifests = _manifests("gateway.yaml")
    (stateful,) = [one for one in manifests if one["kind"] == "StatefulSet"]
    template = stateful["spec"]["template"]
    (container,) = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    services = {one["metadata"]["name"]: one for one in manifests if one["kind"] == "Service"}
    assert stateful["spec"]["serviceName"] in services
    for service in services.values():
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    config = _workload("gateway.yaml")[2]
    storage: Any = config.extensions["file_storage"].config
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    room = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) << 30
    assert room >= storage.quota * len(config.pipelines) * 1.25


# ---- systemd ---------------------------------------------------------------------------------


def test_the_unit_agrees_with_its_configuration() -> None:
    """It is given more time than it takes, reloads with SIGHUP after a check, and may write only
    where the storage is."""
    unit = _unit()
    config = _load("systemd/config.yaml")[0]
    (stop,) = unit["TimeoutStopSec"]
    assert float(stop.removesuffix("s")) > config.shutdown_timeout_s
    check, hangup = unit["ExecReload"]
    assert "validate" in check.split()
    assert hangup == "/bin/kill -HUP $MAINPID"
    storage: Any = config.extensions["file_storage"].config
    assert storage.directory.startswith(f"/var/lib/{unit['StateDirectory'][0]}/")
    (start,) = unit["ExecStart"]
    assert start.rpartition(" ")[2] == check.rpartition(" ")[2]


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing; the program is replaced by one that is here."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze on this machine")
    copy = tmp_path / UNIT.name
    copy.write_text(
        UNIT.read_text().replace("/opt/genai-collector/bin/genai-collector", sys.executable)
    )
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--generators=no", str(copy)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, ours) == (0, [])


# ---- the container ---------------------------------------------------------------------------


def test_the_container_file_copies_what_is_there() -> None:
    """Every source exists and is let through by .dockerignore; no image has a registry's name; the
    final image is not root and is asked for its health where the configuration answers."""
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    for word, rest in _instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignore
        if word == "FROM":
            assert "/" not in rest.split()[0]
    assert _one("USER").split(":")[0] != "0"
    assert _one("STOPSIGNAL") == "SIGTERM"
    health: Any = _load("container.yaml")[0].extensions["health_check"].config
    assert f"http://127.0.0.1:{health.endpoint.rpartition(':')[2]}{health.path}" in _one(
        "HEALTHCHECK"
    )
    ports = set(_one("EXPOSE").split())
    text = TEXTS["container.yaml"]
    assert ports == {port for port in ports if f"0.0.0.0:{port}" in text}
    assert text.count("0.0.0.0:") == len(ports)


async def test_the_container_s_commands_work(tmp_path: Path) -> None:
    """Without a container engine: the package is installed from what is copied alone, by the same
    pip command (into a folder, without its dependencies, which are here), and the entry point runs
    from there with the image's configuration, answers the image's health check and ends with 0."""
    source = tmp_path / "src"
    source.mkdir()
    copies = [
        rest.split()
        for word, rest in _instructions()
        if word == "COPY" and not rest.startswith("--from")
    ]
    for *sources, target in copies:
        for one in sources if target.startswith("./") else []:
            if (ROOT / one).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so")
                shutil.copytree(ROOT / one, source / one, ignore=ignored)
            else:
                shutil.copy(ROOT / one, source / one)
    (install,) = [
        shlex.split(rest)
        for word, rest in _instructions()
        if word == "RUN" and "pip install" in rest
    ]
    command = [sys.executable, "-m", "pip", *install[1:], "--no-deps"]
    installed = tmp_path / "installed"
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, "--target", str(installed), "--quiet"],
        cwd=source, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    if "No matching distribution found for setuptools" in done.stderr:
        pytest.skip("pip cannot reach a package index to build the package with")
    assert done.returncode == 0, done.stderr
    assert (installed / "genai_collector" / "py.typed").exists()
    ports = {port: free_port() for port in ("4317", "4318", "8888", "13133")}
    config = TEXTS["container.yaml"].replace("/var/lib/genai-collector", str(tmp_path / "data"))
    for port, free in ports.items():
        config = config.replace(f"0.0.0.0:{port}", f"127.0.0.1:{free}")
    check = json.loads(_one("HEALTHCHECK").partition("CMD ")[2])
    check = [sys.executable, *check[1:-1], check[-1].replace("13133", str(ports["13133"]))]
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    where = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", "import genai_collector; print(genai_collector.__file__)"],
        cwd=tmp_path, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert Path(where.stdout.strip()).is_relative_to(installed)
    entry = [*json.loads(_one("ENTRYPOINT")), *json.loads(_one("CMD"))]
    assert [path.name for path in (installed / "bin").iterdir()] == entry[:1]
    assert entry[1:] == ["run", "--config", "/etc/genai-collector/config.yaml"]
    async with collector(config, tmp_path, PYTHONPATH=str(installed)) as running:
        health = await asyncio.create_subprocess_exec(*check)
        assert await health.wait() == 0
        assert await running.stop() == 0
    health = await asyncio.create_subprocess_exec(*check, stderr=asyncio.subprocess.DEVNULL)
    assert await health.wait() != 0
