// Draws BOARD, see draw.py. Numbers are written as Grafana writes them, more or less.
"use strict";

const dark = BOARD.dark;
document.body.className = dark ? "dark" : "light";
const style = getComputedStyle(document.body);
const colour = name => style.getPropertyValue(`--${name}`).trim();
const FONT = '"Noto Sans CJK SC", sans-serif';
const HEAT = { Oranges: ["#fdba74", "#ea580c", "#7c2d12"], Blues: ["#93c5fd", "#2563eb", "#1e3a8a"] };
window.drawn = 0;

function element(parent, tag, classes, text) {
  const made = parent.appendChild(document.createElement(tag));
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

const scaled = (value, units, decimals) => {
  let [factor, unit] = units[0];
  for (const one of units) if (Math.abs(value) >= one[0]) [factor, unit] = one;
  const number = value / factor;
  const places = decimals ?? (Math.abs(number) >= 100 || number === Math.round(number) ? 0 : Math.abs(number) >= 10 ? 1 : 2);
  return `${number.toFixed(places)}${unit}`;
};

function written(value, unit, decimals) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value === "string") return value;
  if (unit === "s") {
    if (value === 0) return "0 s";
    const big = Math.abs(value) >= 60;
    return scaled(value, [[1e-6, " µs"], [1e-3, " ms"], [1, " s"], [60, " min"], [3600, " h"], [86400, " d"]],
      big ? (decimals ?? 1) : Math.abs(value) < 1 ? undefined : decimals);
  }
  if (unit === "bytes") return scaled(value, [[1, " B"], [1024, " KiB"], [1048576, " MiB"], [1073741824, " GiB"]], 1);
  if (unit === "percentunit") return `${(value * 100).toFixed(decimals ?? (value && Math.abs(value) < 0.01 ? 2 : 1))}%`;
  if (unit === "dateTimeFromNow") {
    const ago = BOARD.end - value / 1000;
    return ago < 60 ? `${Math.max(0, Math.round(ago))} s ago` : ago < 7200 ? `${Math.round(ago / 60)} min ago` : `${Math.round(ago / 3600)} h ago`;
  }
  const text = scaled(value, [[1, ""], [1e3, " K"], [1e6, " Mil"]], Math.abs(value) >= 1000 ? undefined : decimals);
  return unit.startsWith("suffix:") ? text + unit.slice(7) : text;
}

const nothing = (body, panel) => element(body, "div", "nothing", panel.nothing);

function stat(body, panel) {
  if (!panel.items.length) return nothing(body, panel);
  const many = element(body, "div", panel.stacked ? "stats stacked" : "stats");
  for (const item of panel.items) {
    const one = element(many, "div");
    const text = panel.mode === "name" ? item.name : item.text ?? written(item.value, item.unit, item.decimals);
    if (panel.mode === "value_and_name") element(one, "span", "name", item.name);
    if (panel.mode === "value_and_name" && !panel.stacked) element(one, "br");
    const size = panel.mode === "name" || panel.stacked ? " small" : panel.mode === "value_and_name" ? " middle" : "";
    const value = element(one, "span", `value${size}`, text);
    value.style.color = item.colour ?? "inherit";
    // As big as there is room for, as Grafana does it.
    for (let pixels = parseFloat(getComputedStyle(value).fontSize); one.scrollWidth > body.clientWidth && pixels > 12; pixels -= 1) {
      value.style.fontSize = `${pixels}px`;
    }
  }
}

function bargauge(body, panel) {
  const bars = element(body, "div", "bars");
  const most = Math.max(1, ...panel.items.map(item => item.value));
  for (const item of panel.items) {
    element(bars, "span", "", item.name);
    const bar = element(element(bars, "u"), "i");
    bar.style.background = item.colour;
    bar.style.width = `${(item.value / most) * 100}%`;
    element(bars, "b", "", written(item.value, item.unit, item.decimals)).style.color = item.colour;
  }
}

function table(body, panel) {
  if (!panel.rows.length) return nothing(body, panel);
  const made = element(element(body, "div", "scroll"), "table");
  const numeric = panel.columns.map((column, at) => panel.rows.some(row => typeof row[at].value === "number"));
  const widths = element(made, "colgroup");
  for (const column of panel.columns) element(widths, "col").style.width = column.width ? `${column.width}px` : "auto";
  const head = element(element(made, "thead"), "tr");
  panel.columns.forEach((column, at) => element(head, "th", numeric[at] && column.cell !== "gauge" ? "number" : "", column.name));
  const rows = element(made, "tbody");
  for (const row of panel.rows) {
    const line = element(rows, "tr");
    row.forEach((cell, at) => {
      const column = panel.columns[at];
      const text = cell.text ?? (cell.value === null && !numeric[at] ? "" : written(cell.value ?? "", column.unit, column.decimals));
      if (column.cell === "gauge") {
        const gauge = element(element(line, "td"), "div", "gauge");
        element(gauge, "span", "", written(cell.value ?? 0, column.unit, column.decimals));
        const bar = element(element(gauge, "u"), "i");
        bar.style.background = column.colour;
        bar.style.width = `${((cell.value ?? 0) / (column.most || 1)) * 100}%`;
        return;
      }
      const place = element(line, "td", numeric[at] ? "number" : column.wraps ? "wraps" : "");
      const shown = column.links ? element(place, "a", "", text) : element(place, "span", "", text);
      if (cell.colour) shown.style.color = cell.colour;
    });
    // Where Grafana has more to scroll to, the picture ends with a whole row.
    if (made.offsetHeight > body.clientHeight) {
      line.remove();
      break;
    }
  }
}

function legend(body, panel, place) {
  const made = element(body, "div", "legend");
  Object.assign(made.style, place);
  const rows = element(made, "table");
  const head = element(rows, "tr");
  element(head, "th", "", "");
  const names = { mean: "Mean", max: "Max", min: "Min", lastNotNull: "Last" };
  for (const calc of panel.calcs) element(head, "th", "number", names[calc]);
  for (const series of panel.series) {
    const line = element(rows, "tr");
    const name = element(line, "td");
    element(name, "i").style.background = series.colour;
    name.append(series.name);
    for (const calc of panel.calcs) element(line, "td", "number", written(series.calcs[calc], panel.unit, panel.decimals));
  }
  return made;
}

// Powers of ten with zero among them.
const logarithm = value => (value === null ? null : Math.sign(value) * Math.log10(1 + Math.abs(value)));
const exponential = value => (value < 1 ? 10 ** value - 1 : 10 ** value);

const axes = () => ({
  axisLine: { lineStyle: { color: colour("line") } }, axisTick: { show: false },
  axisLabel: { color: colour("quiet"), fontFamily: FONT, fontSize: 11, hideOverlap: true },
  splitLine: { lineStyle: { color: colour("grid") } },
});

function chart(body, width, height, option) {
  const place = element(body, "div", "chart");
  Object.assign(place.style, { width: `${width}px`, height: `${height}px` });
  echarts.init(place).setOption({ animation: false, ...option });
}

function timeseries(body, panel) {
  const width = body.clientWidth, height = body.clientHeight;
  if (!panel.series.length) return nothing(body, panel);
  const right = panel.placement === "right";
  const measured = legend(body, panel, { visibility: "hidden" });
  const wide = measured.firstChild.offsetWidth + 4, high = Math.min(measured.firstChild.offsetHeight + 2, height * 0.45);
  measured.remove();
  legend(body, panel, right ? { right: 0, top: 0, bottom: 0, width: `${wide}px` } : { left: 0, bottom: 0, width: "100%", height: `${high}px` });
  const value = panel.symlog ? logarithm : same => same;
  const marks = BOARD.alerts.map(([, from]) => ({ xAxis: from * 1000 }));
  chart(body, right ? width - wide - 8 : width, right ? height : height - high - 4, {
    grid: { left: 6, right: 12, top: 12, bottom: 4, containLabel: true },
    xAxis: { type: "time", min: BOARD.start * 1000, max: BOARD.end * 1000, ...axes(), splitLine: { show: false }, splitNumber: right ? 7 : 5 },
    yAxis: {
      type: "value", ...axes(), splitNumber: 4,
      min: seen => Math.min(panel.least ?? seen.min, panel.soft[0] ?? Infinity),
      max: panel.soft[1] === null ? null : seen => Math.max(seen.max, panel.soft[1]),
      axisLabel: { ...axes().axisLabel, formatter: at => written(panel.symlog ? exponential(at) : at, panel.unit) },
    },
    series: panel.series.map((series, at) => ({
      name: series.name, type: panel.bars ? "bar" : "line", stack: panel.stack || panel.bars ? "all" : undefined,
      data: series.points.map(([time, number]) => [time * 1000, panel.stack && number === null ? 0 : value(number)]),
      showSymbol: false, connectNulls: series.joined,
      barWidth: Math.max(2, (width / ((BOARD.end - BOARD.start) / panel.step)) * 0.8),
      lineStyle: { width: panel.stack ? 0.8 : 1.5, color: series.colour, type: series.dash ? [8, 6] : "solid" },
      itemStyle: { color: series.colour }, areaStyle: panel.bars || !series.fill ? undefined : { color: series.colour, opacity: series.fill },
      markLine: at ? undefined : { silent: true, symbol: ["none", "triangle"], symbolSize: 6, label: { show: false }, data: marks,
        lineStyle: { color: "#dc2626", type: [3, 3], width: 1, opacity: 0.75 } },
    })),
  });
}

function heatmap(body, panel) {
  if (!panel.cells.length) return nothing(body, panel);
  const most = Math.max(...panel.cells.map(cell => cell[2]));
  const clocks = panel.times.map(at => new Date(at * 1000).toISOString().slice(11, 16));
  const named = panel.bounds.map(bound => (bound === null ? "longer" : written(bound, panel.unit, 0)));
  chart(body, body.clientWidth, body.clientHeight, {
    grid: { left: 6, right: 12, top: 8, bottom: 44, containLabel: true },
    xAxis: { type: "category", data: clocks, ...axes(), splitLine: { show: false },
      axisLabel: { ...axes().axisLabel, interval: at => at > 0 && clocks[at] !== clocks[at - 1] } },
    yAxis: { type: "category", data: named, ...axes(), axisLabel: { ...axes().axisLabel, interval: 0 } },
    visualMap: { min: 0, max: most, orient: "horizontal", left: "center", bottom: 0, itemHeight: 220, itemWidth: 12, calculable: false, dimension: 2,
      text: [`${Math.round(most)} sessions`, "1"], textStyle: { color: colour("quiet"), fontFamily: FONT, fontSize: 11 },
      inRange: { color: dark ? [...HEAT[panel.scheme]].reverse() : HEAT[panel.scheme] } },
    series: [{ type: "heatmap", data: panel.cells, itemStyle: { borderColor: colour("panel"), borderWidth: 1 }, progressive: 0 }],
  });
}

const KINDS = { stat, bargauge, table, timeseries, heatmap };
const head = element(document.body, "header");
element(head, "h1", "", BOARD.title);
const range = element(head, "span", "range", BOARD.range);
for (const title of BOARD.links) element(range, "a", "", title);
const chosen = element(head, "div", "chosen");
for (const [label, value] of BOARD.chosen) element(element(chosen, "span", "", label), "b", "", value);

const column = (BOARD.width - 2 * BOARD.margin + BOARD.gap) / 24;
for (const panel of BOARD.panels) {
  const { x, y, w, h } = panel.grid;
  const place = element(document.body, "div", panel.kind === "row" ? "row" : "panel", panel.kind === "row" ? panel.title : undefined);
  Object.assign(place.style, {
    left: `${BOARD.margin + x * column}px`, top: `${BOARD.head + y * BOARD.row}px`,
    width: `${w * column - BOARD.gap}px`, height: `${h * BOARD.row - BOARD.gap}px`,
  });
  if (panel.kind !== "row") {
    element(place, "h2", "", panel.title);
    KINDS[panel.kind](element(place, "div", "body"), panel);
  }
  window.drawn += 1;
}
element(document.body, "footer", "", "Drawn by this repository's tests from the answers of a real Prometheus, with the "
  + "dashboard's own queries; Grafana's look is a little different.");

// What a test can tell of the picture: texts that are cut, panels without anything, charts of one colour.
function look() {
  const panels = [...document.querySelectorAll(".panel")];
  const title = of => of.closest(".panel")?.querySelector("h2").textContent ?? "the top";
  const cut = [...document.querySelectorAll("h2, th, .stats div, .stats .name, .stats .value, .legend, .bars span, header span, td.number, td a")]
    .filter(one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline"
      || one.getBoundingClientRect().right > (one.closest(".body")?.getBoundingClientRect().right ?? BOARD.width) + 1)
    .map(one => `${title(one)}: ${one.textContent.slice(0, 60)}`);
  const empty = panels.filter(one => !one.querySelector("canvas, table, .stats div, .bars i")).map(title);
  const plain = [...document.querySelectorAll("canvas")].filter(canvas => {
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const colours = new Set();
    for (let at = 0; at < pixels.length; at += 4) colours.add((pixels[at] << 16) | (pixels[at + 1] << 8) | pixels[at + 2]);
    return colours.size < 6;
  }).map(title);
  const rows = document.querySelectorAll(".panel tbody tr").length;
  return { panels: panels.length, charts: document.querySelectorAll("canvas").length, rows, cut, empty, plain };
}
