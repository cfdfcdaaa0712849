"""The chart renders only what Kubernetes accepts, and the plain manifests are the chart's.

For several sets of values: helm lints strictly, the schemas of several versions of Kubernetes are met to the letter, the pod
is what PodSecurity calls restricted, the config is one that the exporter takes, and Service, NetworkPolicy and ServiceMonitor
select the pod. More than one replica is refused with the reason, by the schema and by the template. Rules and dashboards
come out as they went in, with what Prometheus is to fill in.
"""

import copy
import json
import re
import subprocess

import yaml

from harness import ROOT, check, run
from packages import manifests
from packages.engine import run_program, tool
from packages.manifests import CHART, COPIES, MONITORING, PLAIN, helm

VALUES = sorted((CHART / "ci").glob("*.yaml"))
# The oldest that the chart admits, and newer ones up to the last that the schemas know.
KUBERNETES = ["1.25", "1.28", "1.31", "1.34"]


class Strict(yaml.SafeLoader):
    """A key that comes twice is an error, as it is to Kubernetes' strict decoding."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        check(len(keys) == len(set(keys)), f"a key comes twice in {sorted(keys)}")
        return super().construct_mapping(node, deep)


def render(*options):
    """The documents of the chart."""
    return [one for one in yaml.load_all(helm("template", "live", CHART, "--namespace", "ns", *options), Strict) if one]


def refused(words, *options):
    """Whether helm refuses these values with these words."""
    done = subprocess.run([tool("python", "bin", "helm"), "template", "live", CHART, *options], capture_output=True, text=True)
    check(done.returncode != 0 and all(word in done.stderr for word in words),
          f"{options}: {done.returncode}, and not {words} in {done.stderr}")


def of(documents, kind):
    """The documents of a kind."""
    return [one for one in documents if one["kind"] == kind]


def check_schemas(stage, documents, name):
    """Kubernetes' own schemas, for several versions; custom resources have none."""
    file = stage.folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump_all(one for one in documents if one["kind"] not in MONITORING))
    for version in KUBERNETES:
        run_program([tool("python", "bin", "kubernetes-validate"), "--strict", "--kubernetes-version", version, file])


def restricted(pod):
    """What PodSecurity's level "restricted" finds wrong with a pod's spec, and what this chart promises beyond it."""
    wrong = []
    def want(holds, what):
        if not holds:
            wrong.append(what)
    context = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        want(not pod.get(field), field)
    want(context.get("runAsNonRoot") is True and context.get("runAsUser", 0) > 0, "runAsNonRoot")
    want(context.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"), "seccompProfile")
    want(not context.get("sysctls"), "sysctls")
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in pod.get("volumes", []):
        want(set(volume) - {"name"} <= allowed, f"volume {volume['name']}")
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        own = container.get("securityContext", {})
        want(own.get("allowPrivilegeEscalation") is False, "allowPrivilegeEscalation")
        want(own.get("privileged", False) is False, "privileged")
        want("ALL" in own.get("capabilities", {}).get("drop", []), "capabilities.drop")
        want(set(own.get("capabilities", {}).get("add", [])) <= {"NET_BIND_SERVICE"}, "capabilities.add")
        want(own.get("procMount", "Default") == "Default", "procMount")
        want(own.get("runAsUser", 1) > 0 and own.get("runAsNonRoot", True), "runAsUser of the container")
        want(not any(port.get("hostPort") for port in container.get("ports", [])), "hostPort")
        want(own.get("readOnlyRootFilesystem") is True, "readOnlyRootFilesystem")
    want(pod.get("automountServiceAccountToken") is False, "automountServiceAccountToken")
    return wrong


def check_pod(stage, documents):
    """The Deployment and what belongs to it."""
    deployment, = of(documents, "Deployment")
    spec, template = deployment["spec"], deployment["spec"]["template"]
    check(spec["replicas"] <= 1 and spec["strategy"] == {"type": "Recreate"}, f"{spec['replicas']} {spec['strategy']}")
    pod, labels = template["spec"], template["metadata"]["labels"].items()
    check(not (wrong := restricted(pod)), f"not restricted: {wrong}")
    container, = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for name, path in {"livenessProbe": "/-/healthy", "startupProbe": "/-/healthy", "readinessProbe": "/-/ready"}.items():
        probe = container[name]["httpGet"]
        check(probe["path"] == path and ports[probe["port"]] == 19267, f"{name}: {probe}")
    mounts, volumes = {one["name"] for one in container["volumeMounts"]}, {one["name"] for one in pod["volumes"]}
    check(mounts == volumes, f"volumes {volumes}, mounts {mounts}")
    for selector in [spec["selector"]["matchLabels"], *(one["spec"]["selector"] for one in of(documents, "Service")),
                     *(one["spec"]["podSelector"]["matchLabels"] for one in of(documents, "NetworkPolicy"))]:
        check(selector.items() <= labels, f"{selector} selects no pod")
    service, = of(documents, "Service")
    check(ports[service["spec"]["ports"][0]["targetPort"]] == 19267, "the Service's port leads nowhere")
    for monitor in of(documents, "ServiceMonitor"):
        check(monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items(), "no Service")
        check(monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"], "no such port")
    claims = {one["persistentVolumeClaim"]["claimName"] for one in pod["volumes"] if "persistentVolumeClaim" in one}
    made = {one["metadata"]["name"] for one in of(documents, "PersistentVolumeClaim")}
    check(made <= claims, f"claims {made}, used {claims}")
    configs = {one["metadata"]["name"]: one["data"] for one in of(documents, "ConfigMap")}
    named, = [one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one]
    accounts = {one["metadata"]["name"] for one in of(documents, "ServiceAccount")}
    check(not accounts or {pod["serviceAccountName"]} == accounts, f"{pod['serviceAccountName']} of {accounts}")
    check_config(stage, container, configs[named]["exporter.yaml"])


def check_config(stage, container, config):
    """The exporter takes flags, variables and config file as they are; only paths of the pod are paths of here."""
    home = stage.folder / "pod"
    for folder in ("config", "keys", "web"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    for key in ("main", "overseas"):
        (home / "keys" / key).write_text("secret")
    # Whether its certificates are good is not the chart's.
    (home / "web" / "web.yaml").write_text("{}")
    (home / "config" / "exporter.yaml").write_text(config.replace("/etc/tencent-live-exporter", str(home)))
    flags = [flag.replace("/etc/tencent-live-exporter", str(home)) for flag in container["args"]]
    variables = {one["name"]: one.get("value", "from-a-secret") for one in container.get("env", [])}
    said = run_program([stage.exporter_binary(), *flags, "--config.check"], env=variables)
    check("configuration is good" in said, said)


def check_copies(documents):
    """Rules and dashboards are those of the source, templates of theirs included."""
    rules = [group for path in sorted((ROOT / COPIES["rules"][0]).glob("*.yaml"))
             for group in yaml.safe_load(path.read_text())["groups"]]
    rule, = of(documents, "PrometheusRule")
    check(rule["spec"]["groups"] == rules, "the rules are not those of deploy/prometheus")
    check("{{" in json.dumps(rules), "no rule has a template: nothing was tried")
    found = {name: json.loads(content) for one in of(documents, "ConfigMap") for name, content in one["data"].items()
             if name.endswith(".json")}
    sources = {path.name: json.loads(path.read_text()) for path in (ROOT / COPIES["dashboards"][0]).glob("*.json")}
    check(found == sources, f"the dashboards are not those of deploy/grafana: {sorted(found)} of {sorted(sources)}")
    return sum(len(group["rules"]) for group in rules), len(found)


def check_refusals():
    """What must not be."""
    keys = ["--set", "credentials.existingSecret=keys"]
    refused(["replicas", "less than or equal to 1"], *keys, "--set", "replicas=2")
    refused(["count every disconnect again", "sums over both are double"], *keys, "--set", "replicas=2",
            "--skip-schema-validation")
    refused(["has no credentials", "existingSecret"])
    refused(["credentials.as is file"], "--set", "credentials.as=file")
    refused(["web.tls is true"], *keys, "--set", "web.tls=true")
    refused(["config.state.path is set by the chart"], *keys, "--set", "config.state.path=/elsewhere")
    refused(["replica"], *keys, "--set", "replica=1")
    refused(["secret_key"], *keys, "--set", "config.accounts[0].credentials.secret_key=plain")


def check_planted(documents):
    """The check of PodSecurity sees what is taken away."""
    pod = of(documents, "Deployment")[0]["spec"]["template"]["spec"]
    for path in (["securityContext", "runAsNonRoot"], ["securityContext", "seccompProfile"],
                 *(["containers", 0, "securityContext", one]
                   for one in ("allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"))):
        changed = copy.deepcopy(pod)
        at = changed
        for step in path[:-1]:
            at = at[step]
        del at[path[-1]]
        check(restricted(changed), f"{path} is missing and nobody saw it")


def check_plain(stage):
    """The plain manifests are current, valid, complete for kustomize, and mean what the chart means."""
    stale = manifests.differing(manifests.copies()) or manifests.differing(manifests.manifests())
    check(not stale, f"not current: {', '.join(stale)}; run tests/real/packages/manifests.py --write")
    documents = []
    for folder in (PLAIN, PLAIN / "monitoring"):
        kustomization = yaml.load((folder / "kustomization.yaml").read_text(), Strict)
        listed = kustomization["resources"]
        there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml", "values.yaml"}
        check(set(listed) == there and len(listed) == len(there), f"{folder.name}: lists {listed}, has {there}")
        read = [yaml.load((folder / name).read_text(), Strict) for name in listed]
        built = run_program([tool("packages", "programs", "usr/bin/kustomize"), "build", folder])
        def order(one):
            return one["kind"]
        check(sorted(yaml.load_all(built, Strict), key=order) == sorted(read, key=order), f"kustomize changes {folder.name}")
        documents += read
    check_schemas(stage, documents, "plain")
    check_pod(stage, documents)
    namespace, = of(documents, "Namespace")
    check(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted", "not enforced")
    other = {one["metadata"].get("namespace") for one in documents if one["kind"] != "Namespace"}
    check(other == {namespace["metadata"]["name"]}, f"namespaces: {other}")
    return len(documents)


def test(stage):
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    check(chart["version"] == chart["appVersion"] == version, f"chart {chart['version']}, {chart['appVersion']} of {version}")
    check(len(VALUES) > 3, f"values: {VALUES}")
    documents = {}
    for values in VALUES:
        said = helm("lint", "--strict", CHART, "--values", values)
        check("[ERROR]" not in said and "[WARNING]" not in said, said)
        documents[values.stem] = render("--values", values)
        check_schemas(stage, documents[values.stem], values.stem)
        check_pod(stage, documents[values.stem])
    kinds = {one["kind"] for one in documents["all"]}
    check(kinds >= {"Deployment", "Service", "ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "NetworkPolicy",
                    *MONITORING}, f"kinds: {kinds}")
    check(not of(documents["throwaway"], "PersistentVolumeClaim"), "a claim that was not wanted")
    keys = {one["name"] for one in of(documents["throwaway"], "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["env"]}
    check(keys == {"TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"}, f"variables: {keys}")
    check(not of(sum(documents.values(), []), "Secret"), "a Secret")
    rules, dashboards = check_copies(documents["all"])
    check_refusals()
    check_planted(documents["least"])
    plain = check_plain(stage)
    run_program([tool("python", "bin", "helm"), "package", CHART, "--destination", stage.folder])
    print(f"{len(VALUES)} sets of values for Kubernetes {', '.join(KUBERNETES)}; {rules} rules and {dashboards} dashboards as "
          f"they are; {plain} plain manifests are the chart's")


if __name__ == "__main__":
    run(test)
