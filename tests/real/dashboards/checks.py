"""What is wrong with a dashboard, as a list of sentences; empty if nothing is.

`World` is what the exporters and Prometheus really have: metrics from the exporters' pages, labels and their values from
what Prometheus has stored. Nothing is held against a list of names written down here.
"""

import copy
import itertools
import json
import math
import re
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter

import jsonschema_rs
import promql_parser

from dashboards.grafana import LEGEND, VARIABLE, Unknown, links_of, load, panels, rows
from harness import ROOT, FORMATS, check, get, program

CLASSES_OF = "tencent_live_disconnect_reason_info"
# Of Prometheus itself, on no page.
OWN_METRICS = ("up", "ALERTS")
# Which kinds of panels have a field config of their own.
KINDS = {"timeseries": True, "table": True, "heatmap": True, "stat": False, "bargauge": False}
# The grounds of Grafana's panels, dark and light.
GROUNDS = ("#181b1f", "#ffffff")
PARAMETERS = {"domain", "app", "stream", "reason", "class", "start", "end"}


# ------------------------------------------------------------------------------------------------------------ schema


def schemas():
    """Grafana's own types as JSON Schemas, by what they are for."""
    modules = ROOT / ".tools/npm/node_modules"
    check((modules / "@grafana/schema").is_dir(), "@grafana/schema is missing: tests/run installs it")
    names = {"dashboard": "dashboard:Dashboard"}
    for kind, has_custom in KINDS.items():
        names[f"{kind} options"] = f"composable/{kind}/panelcfg:Options"
        if has_custom:
            names[f"{kind} custom"] = f"composable/{kind}/panelcfg:FieldConfig"
    made = subprocess.run([program("NODE", "node"), ROOT / "tests/real/dashboards/schema.mjs", modules, *names.values()],
                          capture_output=True, text=True, check=False)
    check(made.returncode == 0, f"no schema can be made: {made.stderr[:2000]}")
    found = json.loads(made.stdout)
    # The type of an annotation's query is that of Grafana's own annotations; these are Prometheus'.
    definitions = found[names["dashboard"]]["definitions"]
    text = {"type": "string"}
    definitions["AnnotationTarget"] = {
        "type": "object", "additionalProperties": False, "required": ["expr", "refId"],
        "properties": {"expr": text, "refId": text}}
    definitions["AnnotationQuery"]["properties"] |= dict.fromkeys(("expr", "titleFormat", "textFormat", "tagKeys"), text)
    # Said of each panel by itself: of a list of panels or rows the error would be that it is neither.
    whole = found[names["dashboard"]]
    found |= {kind: {"$ref": f"#/definitions/{kind}", "definitions": whole["definitions"]} for kind in ("Panel", "RowPanel")}
    names |= {"panel": "Panel", "row": "RowPanel"}
    # Options that are left out have their defaults.
    return {what: without_required(found[name]) if " " in what else found[name] for what, name in names.items()}


def without_required(schema):
    """The schema with everything optional."""
    if isinstance(schema, dict):
        # `required` may be the name of a property too.
        return {key: without_required(value) for key, value in schema.items()
                if key != "required" or not isinstance(value, list)}
    return [without_required(one) for one in schema] if isinstance(schema, list) else schema


def schema_problems(dashboard, known):
    """What Grafana's types do not allow, of the dashboard and of each kind of panel."""
    def against(what, value, where):
        for error in jsonschema_rs.validator_for(known[what]).iter_errors(value):
            path = "/".join(map(str, error.instance_path))
            yield f"{where}: not as {what} is: {path}: {error.message[:300]}"

    yield from against("dashboard", dashboard | {"panels": []}, "the dashboard")
    for row in dashboard["panels"]:
        if row["type"] == "row":
            yield from against("row", row, row["title"])
    for panel in panels(dashboard):
        kind, where = panel["type"], panel["title"]
        yield from against("panel", panel, where)
        if kind not in KINDS:
            yield f"{where}: the kind {kind} is not known here"
            continue
        yield from against(f"{kind} options", panel["options"], where)
        custom = dict(panel["fieldConfig"]["defaults"].get("custom", {}))
        for override in panel["fieldConfig"]["overrides"]:
            for one in override["properties"]:
                if one["id"].startswith("custom."):
                    part = {one["id"].removeprefix("custom."): one["value"]}
                    yield from custom_problems(kind, known, part, where, against)
                elif one["id"] not in known["dashboard"]["definitions"]["FieldConfig"]["properties"]:
                    yield f"{where}: an override sets {one['id']}, which no field has"
        yield from custom_problems(kind, known, custom, where, against)


def custom_problems(kind, known, custom, where, against):
    """What is wrong with the part of the field config that depends on the kind of panel."""
    if f"{kind} custom" in known:
        yield from against(f"{kind} custom", custom, where)
    elif custom:
        yield f"{where}: {kind} has no field config of its own, but {sorted(custom)} is set"


# ------------------------------------------------------------------------------------------------------------ layout


def layout_problems(dashboard):
    """Ids, titles, places, data sources."""
    everything = [*dashboard["panels"], *(one for panel in dashboard["panels"] for one in panel.get("panels", []))]
    for what, of in (("id", everything), ("title", list(panels(dashboard)))):
        for value, times in Counter(panel[what] for panel in of).items():
            if times > 1:
                yield f"{times} panels have the {what} {value}"
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels(dashboard):
        where = panel["title"]
        for part in ("description", "datasource", "targets"):
            if not panel.get(part):
                yield f"{where}: no {part}"
        for one in (panel, *panel["targets"]):
            if one.get("datasource") != source:
                yield f"{where}: its data source is {one.get('datasource')}"
        if "unit" not in panel["fieldConfig"]["defaults"]:
            yield f"{where}: no unit"
        references = [target["refId"] for target in panel["targets"]]
        if len(set(references)) < len(references):
            yield f"{where}: queries share a refId"
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            yield f"{panel['title']}: wider than the dashboard"
    for one, other in itertools.combinations(dashboard["panels"], 2):
        a, b = one["gridPos"], other["gridPos"]
        if (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]):
            yield f"{one['title']} and {other['title']} overlap"
    for one in [*dashboard["templating"]["list"], *dashboard["annotations"]["list"]]:
        if one["type" if "type" in one else "name"] in ("datasource", "textbox", "dashboard"):
            continue
        if one.get("datasource") != source:
            yield f"{one['name']}: its data source is {one.get('datasource')}"


def luminance(colour):
    """How light a colour is, as WCAG has it."""
    parts = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """The contrast of two colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def class_colours(dashboards, classes):
    """Each colour that any dashboard gives to each class."""
    found = {one: set() for one in classes}
    for dashboard in dashboards:
        for panel in panels(dashboard):
            for override in panel["fieldConfig"]["overrides"]:
                for one in override["properties"]:
                    if one["id"] == "color" and override["matcher"]["options"] in found:
                        found[override["matcher"]["options"]].add(one["value"]["fixedColor"])
                    if one["id"] == "mappings":
                        for mapping in one["value"]:
                            for value, shown in mapping["options"].items():
                                if value in found:
                                    found[value].add(shown["color"])
    return found


def colour_problems(dashboards, classes):
    """One colour for each class, the same everywhere, another one than others have, to be seen on dark and light."""
    colours = class_colours(dashboards, classes)
    for name, found in colours.items():
        if name != "client" and len(found) != 1 or len(found) > 1:
            yield f"class {name}: its colours are {sorted(found)}"
    single = {name: next(iter(found)) for name, found in colours.items() if len(found) == 1}
    for colour, times in Counter(single.values()).items():
        if times > 1:
            yield f"{times} classes have the colour {colour}"
    for name, colour in single.items():
        if (seen := min(contrast(colour, ground) for ground in GROUNDS)) < 3:
            yield f"class {name}: the contrast of {colour} to a ground is {seen:.1f}"


# ----------------------------------------------------------------------------------------------------------- queries


class World:
    """Metrics that exporters expose, and the labels that Prometheus has of them."""

    def __init__(self, prometheus, pages, start, end):
        names = set(OWN_METRICS)
        for page in pages:
            for family in page:
                names |= {sample.name for sample in family.samples}
        self.labels = {}
        for name in names:
            found = {}
            for series in prometheus.api("series", **{"match[]": name, "start": start, "end": end}):
                for label, value in series.items():
                    found.setdefault(label, set()).add(value)
            if found:
                found.pop("__name__")
                self.labels[name] = found

    def classes(self):
        """All classes of disconnects."""
        return self.labels[CLASSES_OF]["class"]


def page_over_tls(exporter, certificate):
    """The families of the page of an exporter that serves TLS."""
    context = ssl.create_default_context(cafile=certificate)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    _, _, parse = FORMATS["text"]
    return list(parse(opener.open(f"https://{exporter.address}/metrics", timeout=10).read().decode()))


def load_all():
    """Both dashboards."""
    found = load(ROOT / "deploy/grafana/dashboards")
    check(set(found) == {"disconnects", "exporter"}, f"the dashboards are {sorted(found)}")
    return found


def nodes(expression):
    """All parts of an expression that was parsed."""
    yield expression
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        part = getattr(expression, name, None)
        if part is not None and not isinstance(part, (str, float, int)):
            yield from nodes(part)
    for part in getattr(expression, "args", None) or []:
        yield from nodes(part)


def selectors(expression):
    """The selectors in an expression that was parsed."""
    return [one for one in nodes(expression) if isinstance(one, promql_parser.VectorSelector)]


def is_literal(value):
    """Whether a matcher's value has no variable in it; those have what Prometheus itself has told."""
    return ".+" != value


def expression_problems(expression, world):
    """Metrics, labels and values that there are not; variables stand for anything."""
    try:
        text = VARIABLE.sub(lambda found: "5m" if (found[1] or found[4]).startswith("__") else ".+", expression)
        parsed = promql_parser.parse(text)
    except ValueError as error:
        return [f"{expression}: {error}"]
    problems = []
    for one in selectors(parsed):
        if one.name not in world.labels:
            problems.append(f"the metric {one.name} is not exposed: {expression}")
            continue
        known = world.labels[one.name]
        for matcher in one.matchers.matchers:
            if matcher.name not in known:
                problems.append(f"{one.name} has no label {matcher.name}: {expression}")
            elif is_literal(matcher.value):
                # Each of several values has to be there: class=~"arrears|service".
                is_pattern = "Re" in str(matcher.op)
                for value in matcher.value.split("|") if is_pattern else [matcher.value]:
                    pattern = re.compile(value if is_pattern else re.escape(value))
                    if not any(map(pattern.fullmatch, known[matcher.name])):
                        problems.append(f"no {one.name} has {matcher.name}={value}: {expression}")
    for one in nodes(parsed):
        named = []
        if isinstance(one, promql_parser.AggregateExpr) and one.modifier:
            named = one.modifier.labels
        if isinstance(one, promql_parser.BinaryExpr) and one.modifier:
            named = [*(one.modifier.matching.labels if one.modifier.matching else []), *(one.modifier.group_labels or [])]
        there = set().union(*(world.labels.get(selector.name, {}) for selector in selectors(one)))
        problems += [f"there is no label {label} to go by: {expression}" for label in named if label not in there]
    return problems


def data_problems(dashboard, grafana, world, may_be_empty=()):
    """Every query of every panel, variable and annotation, against what Prometheus has."""
    problems = []
    try:
        variables = grafana.variables(dashboard)
    except Unknown as unknown:
        return [str(unknown)]
    for one in dashboard["templating"]["list"]:
        if one["type"] != "query":
            continue
        query = one["query"]["query"]
        inner = re.fullmatch(r"label_values\((.+), (\w+)\)|query_result\((.+)\)", query)
        if not inner:
            problems.append(f"variable {one['name']}: {query}")
            continue
        problems += [f"variable {one['name']}: {problem}" for problem in expression_problems(inner[1] or inner[3], world)]
        if not variables[one["name"]].values and not one["hide"]:
            problems.append(f"variable {one['name']} has no value")
    for one in dashboard["annotations"]["list"]:
        if "builtIn" in one:
            continue
        if one["expr"] != one["target"]["expr"]:
            problems.append(f"annotation {one['name']}: expr and target are different")
        problems += [f"annotation {one['name']}: {problem}" for problem in expression_problems(one["expr"], world)]
        found = [] if problems else grafana.ask(one["expr"], False, {"gridPos": {"w": 24}}, variables)
        labels = set().union(*(series for series, _ in found))
        if not found:
            problems.append(f"annotation {one['name']} finds nothing")
        asked = [*LEGEND.findall(one["titleFormat"] + one["textFormat"]), *one["tagKeys"].split(",")]
        problems += [f"annotation {one['name']}: no alert has {label}" for label in asked if found and label not in labels]
    for panel in panels(dashboard):
        found = panel_problems(panel, grafana, world, variables, may_be_empty)
        problems += [f"{panel['title']}: {problem}" for problem in found]
    return problems


def panel_problems(panel, grafana, world, variables, may_be_empty):
    """Every query of one panel, and whether its legend, its columns and its overrides are about what comes back."""
    problems = [problem for target in panel["targets"] for problem in expression_problems(target["expr"], world)]
    if problems:
        return problems
    try:
        frames = grafana.frames(panel, variables)
    except Unknown as unknown:
        return [str(unknown)]
    names = set()
    for frame in frames:
        reference, legend = frame.target["refId"], frame.target.get("legendFormat", "")
        finite = [value for _, points in frame.series for _, value in points if math.isfinite(value)]
        if not finite and panel["title"] not in may_be_empty:
            problems.append(f"query {reference} finds nothing: {frame.target['expr']}")
        if panel["type"] != "table" and not legend:
            problems.append(f"query {reference} has no legend")
        for label in LEGEND.findall(legend):
            if without := [series for series, _ in frame.series if label not in series]:
                problems.append(f"the legend {legend} asks for {label}, which {without[0]} has not")
        names |= {frame.name(series) for series, _ in frame.series}
        if panel["type"] == "timeseries" and len({frame.name(series) for series, _ in frame.series}) < len(frame.series):
            problems.append(f"the legend {legend} is the same for different series")
    if panel["type"] == "table":
        try:
            shown = rows(panel, frames)
        except Unknown as unknown:
            return [*problems, str(unknown)]
        names = set(shown[0]) if shown else set()
    for override in panel["fieldConfig"]["overrides"]:
        kind, name = override["matcher"]["id"], override["matcher"]["options"]
        if kind == "byFrameRefID" and name in [target["refId"] for target in panel["targets"]]:
            continue
        if kind != "byName":
            problems.append(f"an override by {kind} {name}, which is not known here or finds no query")
        if names and name not in names | world.classes():
            problems.append(f"an override is for {name}, but there are {sorted(names)}")
    return problems


# ------------------------------------------------------------------------------------------------------------- links


def link_problems(dashboard, grafana, exporter, uids, chosen):
    """Every link, followed, with `chosen` of the variables; returns what is wrong and how many were right."""
    problems, right = [], 0
    dashboard = copy.deepcopy(dashboard)
    for one in dashboard["templating"]["list"]:
        if one["type"] == "textbox":
            one["query"] = exporter
    try:
        variables = grafana.variables(dashboard, chosen)
    except Unknown as unknown:
        return [str(unknown)], 0
    for link in dashboard["links"]:
        if link["url"].startswith("/d/"):
            if link["url"].removeprefix("/d/") not in uids:
                problems.append(f"{link['title']}: there is no dashboard {link['url']}")
            right += 1
            continue
        found = followed(link["url"], grafana, variables, exporter)
        problems += [f"{link['title']}: {problem}" for problem in found]
        right += not found
    for panel in panels(dashboard):
        links = list(links_of(panel))
        if not links:
            continue
        frames = grafana.frames(panel, variables)
        if panel["type"] == "table":
            places = [(None, row) for row in rows(panel, frames)[:4]]
        else:
            places = [(series, None) for frame in frames for series, _ in frame.series][:4]
        for _, url in links:
            for labels, row in places:
                found = followed(url, grafana, variables, exporter, labels, row)
                problems += [f"{panel['title']}: {problem}" for problem in found]
                right += not found
    return problems, right


# Seconds from the end of a session to where the simulator's last ones are listed.
LATENESS = 300


def followed(url, grafana, variables, exporter, labels=None, row=None):
    """What is wrong with one link to the disconnect records."""
    try:
        address = grafana.link(url, variables, labels, row)
    except Unknown as unknown:
        return [str(unknown)]
    parts = urllib.parse.urlsplit(address)
    asked = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
    if not address.startswith(f"{exporter}/disconnects?"):
        return [f"{address} is not the exporter's page"]
    if set(asked) - PARAMETERS or not {"start", "end"} <= set(asked):
        return [f"{address}: the page does not know {sorted(set(asked) - PARAMETERS)}, or it names no time"]
    try:
        get(address)
        # A disconnect is counted later than it happened, so what a panel counts may have ended before the panel's time.
        earlier = asked | {"start": str(int(asked["start"]) - LATENESS)}
        query = urllib.parse.urlencode({name: value for name, value in earlier.items() if value})
        records = json.loads(get(f"{exporter}/api/v1/disconnects?{query}&limit=1")[0])["data"]["disconnects"]
    except urllib.error.HTTPError as error:
        return [f"{address}: {error}"]
    named = {name: value for name, value in asked.items() if value and name not in ("start", "end")}
    if not records:
        return [f"{address} leads to no record"]
    wrong = {name for name, value in named.items() if records[0].get(name) != value}
    return [f"{address} leads to another {sorted(wrong)}: {records[0]}"] if wrong else []
