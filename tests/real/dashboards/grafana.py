"""As much of Grafana as its dashboards need to be asked for their data: variables, intervals, queries, transformations.

Nothing of it draws. What Grafana would leave as it stands, such as a variable that nobody has defined, is an `Unknown` here.
"""

import json
import math
import re
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

# "${name}", "${name.field}", "${name:format}" and "$name"; what "$__" begins is Grafana's own.
VARIABLE = re.compile(r"\$\{(\w+)((?:\.[\w.]+)?)(?::([\w:]+))?\}|\$(\w+)")
LEGEND = re.compile(r"\{\{\s*(\w+)\s*\}\}")


class Unknown(Exception):
    """A dashboard asks for something that is not there."""


@dataclass
class Variable:
    """One variable of a dashboard, and what is chosen of it."""

    name: str
    values: list[str]
    is_list: bool = False

    def in_query(self):
        """As the Prometheus data source writes it into an expression."""
        def escaped(value):
            return re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\"))
        if not self.is_list:
            return self.values[0].replace("\\", "\\\\").replace('"', '\\"') if self.values else ""
        found = [escaped(value) for value in self.values]
        return found[0] if len(found) == 1 else f"({'|'.join(found)})"

    def in_link(self, form):
        """As a link has it."""
        if len(self.values) > 1:
            raise Unknown(f"${{{self.name}}} has many values and stands in a link")
        value = self.values[0] if self.values else ""
        if form == "percentencode":
            return urllib.parse.quote(value, safe="")
        if form == "raw":
            return value
        raise Unknown(f"${{{self.name}:{form}}} in a link: say percentencode or raw")


@dataclass
class Frame:
    """What one query gives: series with points, or rows of a table."""

    target: dict
    # Of a range query: labels and [[seconds, value], ...]; of an instant query one point each.
    series: list = field(default_factory=list)

    def name(self, labels):
        """The name of a series in the legend."""
        legend = self.target.get("legendFormat", "")
        return LEGEND.sub(lambda found: labels.get(found[1], ""), legend) if legend else json.dumps(labels)


def seconds_of(duration):
    """`5s` or `1m` as seconds."""
    number, unit = re.fullmatch(r"(\d+)([smhd])", duration).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


class Grafana:
    """Asks a Prometheus what a dashboard shows of a range of time."""

    def __init__(self, prometheus, start, end, scrape_interval):
        self.prometheus, self.start, self.end, self.scrape_interval = prometheus, start, end, scrape_interval

    def step(self, panel):
        """Seconds between two points of a panel."""
        # A panel is a bit less than 1,600 pixels wide where it takes all 24 columns.
        most = panel.get("maxDataPoints") or panel["gridPos"]["w"] * 65
        least = seconds_of(panel.get("interval") or f"{self.scrape_interval}s")
        return max(least, math.ceil((self.end - self.start) / most))

    def own(self, panel):
        """What `$__…` stands for in expressions of a panel."""
        step, scrape = self.step(panel), self.scrape_interval
        return {"__interval": f"{step}s", "__rate_interval": f"{max(step + scrape, 4 * scrape)}s",
                "__range": f"{round(self.end - self.start)}s", "__range_s": str(round(self.end - self.start))}

    def fill(self, expression, variables, panel):
        """The expression as it is sent."""
        own = self.own(panel)
        def value(found):
            name = found[1] or found[4]
            if name in own:
                return own[name]
            if name not in variables:
                raise Unknown(f"${name} is no variable: {expression}")
            return variables[name].in_query()
        return VARIABLE.sub(value, expression)

    def variables(self, dashboard, chosen=None):
        """All variables, each with all its values or those of `chosen`, in the order in which they are defined."""
        known = {}
        for one in dashboard["templating"]["list"]:
            name, kind = one["name"], one["type"]
            if kind == "datasource":
                known[name] = Variable(name, ["prometheus"])
            elif kind == "textbox":
                known[name] = Variable(name, [one["query"]])
            elif kind == "query":
                many = bool(one.get("multi"))
                values = self.values(one, known)
                if not many:
                    values = values[:1]
                known[name] = Variable(name, (chosen or {}).get(name, values), many)
            else:
                raise Unknown(f"variable {name}: the kind {kind} is not known here")
        return known

    def values(self, variable, known):
        """What a query of a variable finds."""
        query = self.fill(variable["query"]["query"], known, {"gridPos": {"w": 24}})
        if found := re.fullmatch(r"label_values\((.+), (\w+)\)", query):
            asked = {"match[]": found[1], "start": self.start, "end": self.end}
            values = self.prometheus.api(f"label/{found[2]}/values", **asked)
        elif found := re.fullmatch(r"query_result\((.+)\)", query):
            values = []
            for one in self.prometheus.api("query", query=found[1], time=self.end)["result"]:
                labels = ",".join(f"{name}={json.dumps(value)}" for name, value in one["metric"].items())
                values.append(f"{{{labels}}} {one['value'][1]} {one['value'][0]}")
        else:
            raise Unknown(f"variable {variable['name']}: {query}")
        if expression := variable.get("regex"):
            matches = [re.search(expression.strip("/"), value) for value in values]
            values = [match[1] for match in matches if match]
        return list(dict.fromkeys(values))

    def frames(self, panel, variables):
        """The answers to a panel's queries."""
        return [Frame(target, self.ask(target["expr"], bool(target.get("instant")), panel, variables))
                for target in panel.get("targets", [])]

    def ask(self, expression, instant, panel, variables):
        """The series of one expression: their labels and points."""
        query = self.fill(expression, variables, panel)
        if instant:
            result = self.prometheus.api("query", query=query, time=self.end)["result"]
            return [(one["metric"], [[one["value"][0], float(one["value"][1])]]) for one in result]
        step = self.step(panel)
        # Grafana begins at whole steps.
        start, end = self.start // step * step, self.end // step * step
        result = self.prometheus.api("query_range", query=query, start=start, end=end, step=step)["result"]
        return [(one["metric"], [[at, float(value)] for at, value in one["values"]]) for one in result]

    def link(self, url, variables, labels=None, row=None):
        """The address of a link at a series with these labels, or in this row of a table."""
        def value(found):
            name, path, form = found[1] or found[4], (found[2] or "")[1:], found[3]
            if name in ("__from", "__to") and form == "date:seconds":
                return str(int(self.start if name == "__from" else self.end))
            if name in ("__field", "__data"):
                where, _, key = path.partition(".")
                of = {"labels": labels, "fields": row}[where]
                if of is None or key not in of:
                    raise Unknown(f"{found[0]}: there is no {key} in {sorted(of or {})}")
                return Variable(key, [str(of[key])]).in_link(form)
            if name not in variables:
                raise Unknown(f"{found[0]} is no variable: {url}")
            return variables[name].in_link(form)
        return VARIABLE.sub(value, url)


def rows(panel, frames):
    """The rows of a table, as its transformations leave them: mappings of shown names to values, in order and sorted."""
    many = len(frames) > 1
    merged = {}
    for frame in frames:
        value = f"Value #{frame.target['refId']}" if many else "Value"
        for labels, points in frame.series:
            # Rows that are alike in the labels are one; Time is the same in all of them.
            key = tuple(sorted(labels.items()))
            merged.setdefault(key, {"Time": points[0][0], **labels})[value] = points[0][1]
    found = list(merged.values())
    columns = set().union(*found) if found else set()
    for one in panel.get("transformations", []):
        if one["id"] == "merge":
            continue
        if one["id"] != "organize":
            raise Unknown(f"{panel['title']}: the transformation {one['id']} is not known here")
        options = one["options"]
        hidden = {name for name, is_hidden in options["excludeByName"].items() if is_hidden}
        named = {*hidden, *options["indexByName"], *options["renameByName"]}
        if found and named - columns:
            raise Unknown(f"{panel['title']}: there is no column {sorted(named - columns)}, but {sorted(columns)}")
        order = sorted((name for name in columns if name not in hidden),
                       key=lambda name: (options["indexByName"].get(name, 1000), name))
        shown = options["renameByName"]
        found = [{shown.get(name, name): row.get(name) for name in order} for row in found]
    for sort in panel["options"].get("sortBy", []):
        name = sort["displayName"]
        if found and name not in found[0]:
            raise Unknown(f"{panel['title']}: it is sorted by {name}, but has {sorted(found[0])}")
        numeric = any(isinstance(row[name], float) for row in found)
        found.sort(key=lambda row: (row[name] or 0) if numeric else str(row[name]), reverse=bool(sort.get("desc")))
    return found


def panels(dashboard):
    """All panels but the headings of rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def links_of(panel):
    """(column or None, address) of each link at a panel's data."""
    for link in panel["fieldConfig"]["defaults"].get("links", []):
        yield None, link["url"]
    for override in panel["fieldConfig"]["overrides"]:
        for one in override["properties"]:
            if one["id"] == "links":
                for link in one["value"]:
                    yield override["matcher"]["options"], link["url"]


def load(folder):
    """The dashboards of a folder, by the names of their files."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(Path(folder).glob("*.json"))}
