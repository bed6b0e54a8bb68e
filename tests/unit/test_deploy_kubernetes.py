"""deploy/kubernetes against Kubernetes' own schemas, in their strict form, and what no schema can say."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import deployment
from tests.support.deployment import DEPLOY, MANIFESTS

FOLDER = DEPLOY / "kubernetes"
OLDEST, NEWEST = "1.33", "1.37"
"""The first in which native sidecars are for everybody, and the newest of which there are schemas here."""


def validate(version: str, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [deployment.tool("kubernetes-validate"), "--strict", "-k", version, *map(str, files)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_manifest_fits_the_schema(version: str) -> None:
    done = validate(version, *MANIFESTS)
    assert (done.returncode, done.stdout.count("passed")) == (0, len(deployment.manifests())), done.stdout


def test_a_mistake_is_found_by_the_schema(tmp_path: Path) -> None:
    wrong = tmp_path / "relay.yaml"
    wrong.write_text((FOLDER / "relay.yaml").read_text().replace("readOnlyRootFilesystem", "readOnlyRootFileSystem"))
    assert validate(NEWEST, wrong).returncode != 0


def test_every_container_is_confined() -> None:
    for name, pod, container in deployment.containers():
        own, whole = container["securityContext"], pod["securityContext"]
        assert own["readOnlyRootFilesystem"] is True, name
        assert own["allowPrivilegeEscalation"] is False, name
        assert own["capabilities"] == {"drop": ["ALL"]}, name
        assert "privileged" not in own, name
        assert whole["runAsNonRoot"] is True, name
        assert own.get("runAsUser", whole.get("runAsUser", 0)) >= 10001, name
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod.keys() & {"hostNetwork", "hostPID", "hostIPC"} == set(), name
        assert all("hostPath" not in volume for volume in pod["volumes"]), name
        assert {"requests", "limits"} == container["resources"].keys(), name
        assert {"cpu", "memory"} == container["resources"]["limits"].keys(), name
        probed = name != "migrate/migrate"
        assert ({"startupProbe", "livenessProbe"} <= container.keys()) == probed, name


def test_accounts_have_no_rights_and_no_token() -> None:
    found = deployment.manifests()
    accounts = [one for one in found if one["kind"] == "ServiceAccount"]
    assert {one["automountServiceAccountToken"] for one in accounts} == {False}
    assert {pod["spec"]["serviceAccountName"] for _, pod in deployment.pods()} == {
        one["metadata"]["name"] for one in accounts
    }
    assert not [one["kind"] for one in found if "Role" in one["kind"]]


def test_a_bot_has_a_native_sidecar_reads_its_memory_and_holds_no_secret() -> None:
    for name, pod in deployment.pods():
        if not name.startswith("bot-"):
            continue
        [sidecar], [bot] = pod["spec"]["initContainers"], pod["spec"]["containers"]
        assert sidecar["restartPolicy"] == "Always"
        assert "startupProbe" in sidecar
        volumes = {one["name"]: one for one in pod["spec"]["volumes"]}
        mounted = {one["name"]: one for one in bot["volumeMounts"]}
        assert volumes["shared"]["emptyDir"]["medium"] == "Memory"
        assert mounted["shared"]["readOnly"] is True
        assert mounted.keys() == {"shared", "tmp"}
        assert "env" not in bot
        assert set(deployment.variables_of(sidecar)) == {"TRIMTAB_DATABASE_URL_FILE", "TRIMTAB_REDIS_URL_FILE"}
        user = sidecar["securityContext"]["runAsUser"]
        assert bot["securityContext"]["runAsUser"] != user
        flags, its = deployment.flags_of(bot["args"]), deployment.flags_of(sidecar["args"])
        assert (flags["--owner"], flags["--shared"]) == ([str(user)], its["--shared"])
        assert flags["--require"] == [f"mode={name.removeprefix('bot-')}"]


def test_secrets_are_named_never_contained_and_the_guide_says_how_to_make_each() -> None:
    guide = (DEPLOY / "README.md").read_text()
    assert not {one["kind"] for one in deployment.manifests()} & {"Secret", "ConfigMap"}
    for _, pod in deployment.pods():
        for volume in pod["spec"]["volumes"]:
            if "secret" in volume:
                assert f"create secret generic {volume['secret']['secretName']}" in guide
                assert volume["secret"]["defaultMode"] == 0o440
            if "configMap" in volume:
                assert f"create configmap {volume['configMap']['name']}" in guide


def test_the_kustomization_names_every_file_and_a_version_of_every_image() -> None:
    [kustomization] = deployment.documents(FOLDER / "kustomization.yaml")
    assert {FOLDER / name for name in kustomization["resources"]} == set(MANIFESTS)
    images = {one["name"]: one["newTag"] for one in kustomization["images"]}
    assert {container["image"] for _, _, container in deployment.containers()} == images.keys()
    assert "latest" not in images.values()


def test_everything_is_in_one_namespace_that_enforces_the_restricted_standard() -> None:
    [space] = [one for one in deployment.manifests() if one["kind"] == "Namespace"]
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = [one for one in deployment.manifests() if one is not space and one["kind"] != "Namespace"]
    assert {one["metadata"]["namespace"] for one in others} == {space["metadata"]["name"]}


def test_budgets_and_policies_select_pods_that_are_there() -> None:
    labels = [pod["metadata"]["labels"] for _, pod in deployment.pods()]
    for one in deployment.manifests():
        if one["kind"] not in {"PodDisruptionBudget", "NetworkPolicy"}:
            continue
        selector: dict[str, Any] = one["spec"].get("selector", one["spec"].get("podSelector"))
        wanted: dict[str, str] = selector.get("matchLabels", {})
        assert [found for found in labels if wanted.items() <= found.items()], one["metadata"]["name"]
    policies = {
        one["metadata"]["name"]: one["spec"] for one in deployment.manifests() if one["kind"] == "NetworkPolicy"
    }
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert all("ingress" not in policy for policy in policies.values())
    assert all("trimtab/reaches" in found for found in labels)


def test_the_two_bots_differ_in_their_mode_alone() -> None:
    paper, live = ((FOLDER / f"bot-{mode}.yaml").read_text().splitlines() for mode in ("paper", "live"))
    differing = [(one, two) for one, two in zip(paper, live, strict=True) if one.replace("paper", "live") != two]
    assert [one.strip().partition(" ")[0] for one, _ in differing] == ["#", "maxUnavailable:"]
