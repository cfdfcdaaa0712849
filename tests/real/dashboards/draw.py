"""Draws a dashboard from what its queries found, with echarts in a real browser, at the places of its panels.

It is no Grafana, which cannot be had as a package; queries, places, names, units, colours and thresholds are the
dashboard's, the look is this file's and that of draw.js.
"""

import datetime
import json
import math

from dashboards.grafana import panels, rows
from harness import ROOT, check, wait_until

WIDTH, MARGIN, ROW, GAP, HEAD = 1600, 14, 38, 8, 74
PALETTE = ["#3b82f6", "#d97706", "#059669", "#8b5cf6", "#db2777", "#0891b2", "#a0622d", "#6b8e23", "#ef4444", "#7c8798",
           "#2563eb", "#b45309"]


def overrides_of(panel, name, query):
    """What the overrides set for a series or a column."""
    wanted = {"byName": name, "byFrameRefID": query}
    return {one["id"]: one["value"] for override in panel["fieldConfig"]["overrides"]
            if wanted[override["matcher"]["id"]] == override["matcher"]["options"] for one in override["properties"]}


def settings_of(panel, name, query=None):
    """Defaults and overrides of a series or a column."""
    defaults = panel["fieldConfig"]["defaults"]
    flat = {key: value for key, value in defaults.items() if key != "custom"}
    flat |= {f"custom.{key}": value for key, value in defaults.get("custom", {}).items()}
    return flat | overrides_of(panel, name, query)


def threshold_colour(settings, value):
    """The colour of the highest step that a value reaches."""
    found = None
    for step in settings.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            found = step["color"]
    return found


def mapped(settings, value):
    """The text and the colour that a mapping gives to a value."""
    key = f"{value:g}" if isinstance(value, float) else str(value)
    for mapping in settings.get("mappings", []):
        if key in mapping["options"]:
            shown = mapping["options"][key]
            return shown.get("text"), shown.get("color")
    return None, None


def values_of(panel, frames):
    """What a stat or a bar gauge shows: the last value of each series."""
    found = []
    for frame in frames:
        for labels, points in frame.series:
            name, value = frame.name(labels), points[-1][1]
            settings = settings_of(panel, name, frame.target["refId"])
            text, colour = mapped(settings, value)
            found.append({"name": name, "value": value, "text": text, "unit": settings["unit"],
                          "decimals": settings.get("decimals"), "colour": colour or threshold_colour(settings, value)})
    return found


def reduced(calc, values):
    """One of the numbers that a legend shows."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"mean": sum(values) / len(values), "max": max(values), "min": min(values), "lastNotNull": values[-1]}[calc]


def stat(panel, frames, _):
    return {"items": values_of(panel, frames), "mode": panel["options"]["textMode"],
            "stacked": panel["options"]["orientation"] == "horizontal"}


def bargauge(panel, frames, _):
    return {"items": values_of(panel, frames)}


def timeseries(panel, frames, grafana):
    legend = panel["options"]["legend"]
    step = grafana.step(panel)
    first, last = int(grafana.start // step * step), int(grafana.end // step * step)
    found = []
    for frame in frames:
        for labels, points in frame.series:
            name = frame.name(labels)
            settings = settings_of(panel, name, frame.target["refId"])
            known = {at: value if math.isfinite(value) else None for at, value in points}
            # Where there is no value there is a gap, as in Grafana.
            whole = [[at, known.get(at)] for at in range(first, last + 1, step)]
            numbers = {calc: reduced(calc, list(known.values())) for calc in legend["calcs"]}
            found.append({"name": name, "points": whole, "colour": settings.get("color", {}).get("fixedColor"),
                          "dash": "custom.lineStyle" in settings, "fill": settings.get("custom.fillOpacity", 0) / 100,
                          "joined": bool(settings.get("custom.spanNulls")), "calcs": numbers})
    if sort := {"Mean": "mean", "Max": "max"}.get(legend.get("sortBy")):
        found.sort(key=lambda one: one["calcs"][sort] or 0, reverse=True)
    palette = (colour for colour in PALETTE * 10)
    for one in found:
        one["colour"] = one["colour"] or next(palette)
    custom = panel["fieldConfig"]["defaults"]["custom"]
    defaults = panel["fieldConfig"]["defaults"]
    return {"series": found, "calcs": legend["calcs"], "placement": legend["placement"], "unit": defaults["unit"],
            "decimals": defaults.get("decimals"), "stack": custom["stacking"]["mode"] == "normal",
            "bars": custom["drawStyle"] == "bars", "least": defaults.get("min"), "step": step,
            "soft": [custom.get("axisSoftMin"), custom.get("axisSoftMax")],
            "symlog": "symlog" == custom.get("scaleDistribution", {}).get("type")}


def table(panel, frames, _):
    shown = rows(panel, frames)
    columns = []
    for name in shown[0] if shown else []:
        settings = settings_of(panel, name)
        cell = settings.get("custom.cellOptions", {}).get("type", "auto")
        wraps = bool(settings.get("custom.wrapText"))
        columns.append({"name": name, "width": settings.get("custom.width"), "unit": settings["unit"],
                        "decimals": settings.get("decimals"), "cell": cell, "wraps": wraps,
                        "links": bool(settings.get("links")),
                        "colour": settings.get("color", {}).get("fixedColor"),
                        "most": max((row[name] or 0 for row in shown), default=0) if cell == "gauge" else None})
    cells = [[{"value": row[name], "text": mapped(settings_of(panel, name), row[name])[0],
               "colour": mapped(settings_of(panel, name), row[name])[1]} for name in row] for row in shown]
    return {"columns": columns, "rows": cells}


def heatmap(panel, frames, _):
    (frame,) = frames
    bounds = {float(labels["le"]): dict(points) for labels, points in frame.series}
    order = sorted(bounds)
    times = sorted({at for points in bounds.values() for at in points})
    cells = []
    for column, at in enumerate(times):
        below = 0.0
        for row, bound in enumerate(order):
            # Buckets hold what is in those below them too.
            upto = bounds[bound].get(at, below)
            if upto - below > panel["options"]["filterValues"]["le"]:
                cells.append([column, row, upto - below])
            below = upto
    return {"times": times, "bounds": [None if math.isinf(bound) else bound for bound in order], "cells": cells,
            "scheme": panel["options"]["color"]["scheme"], "unit": panel["options"]["yAxis"]["unit"]}


KINDS = {"stat": stat, "bargauge": bargauge, "timeseries": timeseries, "table": table, "heatmap": heatmap}


def alerts_of(dashboard, grafana, variables):
    """When the alerts of the annotations fired: [name, from, to]."""
    found = []
    for one in dashboard["annotations"]["list"]:
        if "builtIn" in one:
            continue
        for labels, points in grafana.ask(one["expr"], False, {"gridPos": {"w": 24}}, variables):
            times = [at for at, _ in points]
            begins = [at for at, before in zip(times, [None, *times]) if before is None or at - before > 60]
            for begin, after in zip(begins, [*begins[1:], math.inf]):
                found.append([labels["alertname"], begin, max(at for at in times if begin <= at < after)])
    return sorted(found, key=lambda one: one[1])


def chosen(dashboard, variables):
    """What the bar at the top says: label and value of each variable that is shown."""
    for one in dashboard["templating"]["list"]:
        if not one["hide"]:
            values = variables[one["name"]].values
            text = "All" if one.get("includeAll") else ", ".join(values)
            yield [one["label"], "Prometheus" if one["type"] == "datasource" else text]


def model(dashboard, grafana, dark):
    """Everything that draw.js needs."""
    variables = grafana.variables(dashboard)
    found = []
    for panel in dashboard["panels"]:
        one = {"kind": panel["type"], "title": panel["title"], "grid": panel["gridPos"]}
        if panel["type"] != "row":
            one |= KINDS[panel["type"]](panel, grafana.frames(panel, variables), grafana)
            one["nothing"] = panel["fieldConfig"]["defaults"].get("noValue", "No data")
        found.append(one)
    def clock(at):
        return datetime.datetime.fromtimestamp(at, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {"title": dashboard["title"], "dark": dark, "width": WIDTH, "margin": MARGIN, "row": ROW, "gap": GAP,
            "head": HEAD, "panels": found, "start": grafana.start, "end": grafana.end,
            "alerts": alerts_of(dashboard, grafana, variables),
            "chosen": list(chosen(dashboard, variables)), "range": f"{clock(grafana.start)} to {clock(grafana.end)} UTC",
            "links": [link["title"] for link in dashboard["links"]]}


def height(dashboard):
    """How high the picture gets."""
    return HEAD + max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in panels(dashboard)) * ROW + MARGIN + 18


def draw(dashboard, grafana, browser, folder, file, dark):
    """Draws `dashboard` into `file` and returns what can be told about the picture."""
    echarts = ROOT / ".tools/npm/node_modules/echarts/dist/echarts.min.js"
    check(echarts.is_file(), "echarts is missing: tests/run installs it")
    data = json.dumps(model(dashboard, grafana, dark), ensure_ascii=False).replace("<", "\\u003c")
    page, own = folder / f"{dashboard['uid']}.html", ROOT / "tests/real/dashboards"
    page.write_text(
        f"<!doctype html><meta charset=utf-8><title>drawn</title><style>{(own / 'draw.css').read_text()}</style>"
        f"<body><script>{echarts.read_text()}</script><script>const BOARD = {data};</script>"
        f"<script>{(own / 'draw.js').read_text()}</script>")
    browser.look(WIDTH, height(dashboard), dark=dark, zone="UTC")
    browser.driver.get(page.as_uri())
    wait_until("the dashboard is drawn", lambda: browser.run("return window.drawn === BOARD.panels.length"), 60)
    seen = browser.run("return look()")
    browser.picture(file)
    return seen
