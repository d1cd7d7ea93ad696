"""The files in `cluster/`: what Kubernetes, KubeRay, Ray's launcher and our own commands would refuse."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cluster_files_kit as kit
import pytest
import yaml
from cluster_files_kit import CLUSTER, ROOT

from pixaris.cli import parser_of

OVERLAYS = ("local", "gke", "gke-job")
needs_kubectl = pytest.mark.skipif(not kit.has_kubectl(), reason="needs kubectl 1.21 or newer")


def of_kind(documents: Sequence[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    return [one for one in documents if one["kind"] in kinds]


@pytest.fixture(scope="module", params=OVERLAYS)
def documents(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return kit.rendered(request.param)


@needs_kubectl
def test_ray_s_resources_are_what_kuberay_knows(documents: list[dict[str, Any]]) -> None:
    (one,) = of_kind(documents, "RayCluster", "RayJob")
    assert kit.problems(one, kit.schema(one["kind"])) == []
    assert kit.operator_problems(kit.cluster_spec(one)) == []


@needs_kubectl
def test_the_schemas_refuse_a_typo_and_the_operator_s_rules_what_they_let_through() -> None:
    (one,) = of_kind(kit.rendered("gke"), "RayCluster")
    typo = copy.deepcopy(one)
    typo["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["imag"] = "x"
    assert any("imag" in problem for problem in kit.problems(typo, kit.schema("RayCluster")))
    wrong = copy.deepcopy(one["spec"])
    wrong["workerGroupSpecs"][0].update(minReplicas=9, groupName="gpu")
    assert len(kit.operator_problems(wrong)) == 2


@needs_kubectl
def test_comfyui_s_pods_are_right_and_only_ray_s_reach_them(documents: list[dict[str, Any]]) -> None:
    (deployment,) = of_kind(documents, "Deployment")
    template = deployment["spec"]["template"]
    assert kit.problems(template, kit.pod_schema()) == []
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    (service,) = of_kind(documents, "Service")
    assert (service["spec"]["selector"], service["spec"]["clusterIP"]) == (labels, "None")
    (policy,) = of_kind(documents, "NetworkPolicy")
    assert policy["spec"]["podSelector"]["matchLabels"] == labels
    (let_in,) = policy["spec"]["ingress"]
    (ray,) = of_kind(documents, "RayCluster", "RayJob")
    spec = kit.cluster_spec(ray)
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        assert group["template"]["metadata"]["labels"] == let_in["from"][0]["podSelector"]["matchLabels"]
    volumes = {one["persistentVolumeClaim"]["claimName"] for one in template["spec"]["volumes"]}
    claims = {one["metadata"]["name"] for one in of_kind(documents, "PersistentVolumeClaim")}
    assert volumes < claims


@needs_kubectl
def test_everything_lies_in_one_namespace_and_an_image_has_a_tag(documents: list[dict[str, Any]]) -> None:
    for one in documents:
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "pixaris"
    text = yaml.safe_dump_all(documents)
    if "PROJECT" in text:
        assert not [image for image in re.findall(r"image: (\S+)", text) if not re.search(r":[\w.]+$", image)]


def locked(file: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / file).read_text(), re.MULTILINE))


def test_ray_is_the_same_everywhere() -> None:
    everything = locked("requirements.lock")
    image = locked("cluster/requirements.lock")
    assert {name: pin for name, pin in image.items() if everything.get(name) != pin} == {}
    for file in ("ray/raycluster.yaml", "job/rayjob.yaml"):
        text = (CLUSTER / "kubernetes" / file).read_text()
        assert re.findall(r'rayVersion: "(.*)"', text) == [image["ray"]]


def test_the_image_is_pinned_has_no_root_and_copies_what_there_is() -> None:
    text = (CLUSTER / "Dockerfile").read_text()
    assert all(re.search(r":\d+\.\d+\.\d+", line) for line in re.findall(r"^FROM (.*)", text, re.M))
    assert "\nUSER 1000\n" in text
    assert "\nHEALTHCHECK " in text
    ignored = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored


def test_the_image_s_build_has_all_that_the_package_is_made_of(tmp_path: Path) -> None:
    """What the first stage copies, and no more, becomes a wheel."""
    stage = (CLUSTER / "Dockerfile").read_text().split("\nFROM ")[1]
    for line in re.findall(r"^COPY (.+)$", stage, flags=re.M):
        *sources, target = line.split()
        for source in sources:
            place = tmp_path / target
            if target.endswith((".", "/")):
                place = place / Path(source).name
            put = shutil.copytree if (ROOT / source).is_dir() else shutil.copyfile
            put(ROOT / source, place)
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out", "."]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "out").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "pixaris/search_spaces/restore.yaml" in names
    assert "pixaris/cli/search.py" in names


def test_ray_s_launcher_takes_its_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    given = yaml.safe_load((CLUSTER / "gcp-cluster.yaml").read_text())
    validate_config(prepare_config(copy.deepcopy(given)))
    given["available_node_types"]["gpu"]["max_worker"] = 1
    with pytest.raises(Exception, match="max_worker"):
        validate_config(prepare_config(given))


def texts() -> dict[str, str]:
    """What has commands in it, with YAML's folded lines as one."""
    compose = yaml.safe_load((CLUSTER / "compose.yaml").read_text())
    found = {}
    for name, service in compose["services"].items():
        given = service["command"]
        found[f"compose {name}"] = given if isinstance(given, str) else given[-1]
    job = yaml.safe_load((CLUSTER / "kubernetes" / "job" / "rayjob.yaml").read_text())
    found["the RayJob"] = job["spec"]["entrypoint"].removeprefix('sh -c "').removesuffix('"')
    blocks = re.findall(r"^```(?:bash)?\n(.*?)^```", (CLUSTER / "README.md").read_text(), re.M | re.S)
    found["README"] = "\n".join(blocks)
    launcher = yaml.safe_load((CLUSTER / "gcp-cluster.yaml").read_text())
    found["launcher"] = "\n".join(launcher["head_start_ray_commands"] + launcher["worker_start_ray_commands"])
    return found


@pytest.mark.parametrize("name", [*texts()])
def test_every_command_has_the_options_that_are_given(name: str) -> None:
    called = list(kit.commands(texts()[name]))
    assert called, name
    for words in called:
        if words[0] == "pixaris":
            parser_of(words[1:]).parse_args(words[1:])
        else:
            assert unknown_to_ray(words[1:]) == [], words


def unknown_to_ray(words: list[str]) -> list[str]:
    """Options that a command of Ray's does not have."""
    from ray.scripts.scripts import cli

    group = cli
    while words and words[0] in getattr(group, "commands", {}):
        group, words = group.commands[words[0]], words[1:]
    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [option for option in given if option not in known]


def test_what_mounts_and_images_the_compose_file_names_fits_together() -> None:
    compose = yaml.safe_load((CLUSTER / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services["search"]["depends_on"]) == set(services) - {"search"}
    assert services["ray"]["volumes"] == services["search"]["volumes"]
    for service in services.values():
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert (CLUSTER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    for port in services["ray"]["ports"]:
        assert port.startswith("127.0.0.1:"), "Ray runs what whoever reaches it asks for"
