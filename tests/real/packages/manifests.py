#!/usr/bin/env python3
"""Makes what is made of something else: the chart's copies of rules and dashboards, as a chart cannot read outside its
folder, and the plain manifests of deploy/kubernetes, which are the chart's.

`--write` writes them; the test says which files are not as they would be made now.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import yaml  # noqa: E402

from harness import ROOT, check  # noqa: E402
from packages.engine import run_program, tool  # noqa: E402

CHART = ROOT / "deploy/helm/tencent-live-exporter"
PLAIN = ROOT / "deploy/kubernetes"
NAMESPACE = "tencent-live"
MADE = "# Made of the chart by tests/real/packages/manifests.py --write.\n"
# With the Prometheus operator only.
MONITORING = {"ServiceMonitor", "PrometheusRule"}
# Whether a dashboard is one of Grafana's or the folder holds something else is for the test of the dashboards.
COPIES = {"rules": ("deploy/prometheus", "*.yaml"), "dashboards": ("deploy/grafana/dashboards", "*.json")}


def helm(*arguments):
    """What helm printed."""
    return run_program([tool("python", "bin", "helm"), *arguments])


def copies():
    """The chart's copies, by path."""
    made = {}
    for name, (folder, pattern) in COPIES.items():
        sources = sorted((ROOT / folder).glob(pattern))
        check(sources, f"nothing in {folder}/{pattern}")
        made |= {CHART / "files" / name / source.name: source.read_text() for source in sources}
    return made


class Plain(yaml.SafeDumper):
    """Text of many lines as blocks."""


def text(dumper, value):
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Plain.add_representer(str, text)


def dump(document):
    """YAML as people write it."""
    return yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True, width=118)


def manifests():
    """The plain manifests, by path; needs the chart's copies to be there."""
    rendered = helm("template", "tencent-live-exporter", CHART, "--namespace", NAMESPACE, "--values", PLAIN / "values.yaml")
    made, listed = {}, {"": ["namespace.yaml"], "monitoring": []}
    for document in filter(None, yaml.safe_load_all(rendered)):
        folder = "monitoring" if document["kind"] in MONITORING else ""
        name = f"{document['kind'].lower()}.yaml"
        # Nothing of this is helm's any more.
        document["metadata"]["labels"].pop("app.kubernetes.io/managed-by")
        if "template" in document.get("spec", {}):
            template = document["spec"]["template"]["metadata"]
            template["labels"].pop("app.kubernetes.io/managed-by")
            template.pop("annotations")
        document["metadata"].get("annotations", {}).pop("helm.sh/resource-policy", None)
        if not document["metadata"].get("annotations", {"": ""}):
            del document["metadata"]["annotations"]
        check(PLAIN / folder / name not in made, f"two of {name}")
        made[PLAIN / folder / name] = MADE + dump(document)
        listed[folder].append(name)
    made[PLAIN / "namespace.yaml"] = MADE + dump({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    for folder, names in listed.items():
        kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
        made[PLAIN / folder / "kustomization.yaml"] = MADE + dump(kind | {"namespace": NAMESPACE, "resources": names})
    return made


def write(made):
    """Writes the files."""
    for path, content in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def differing(made):
    """The files that are not as they would be made now, and those that would not be made at all."""
    wrong = [path for path, content in made.items() if not path.exists() or path.read_text() != content]
    beside = {one for folder in {path.parent for path in made} for one in folder.iterdir() if one.is_file()}
    return [str(path.relative_to(ROOT)) for path in [*wrong, *(beside - set(made) - {PLAIN / "values.yaml"})]]


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    write(copies())
    write(manifests())
