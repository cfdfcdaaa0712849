"""The chart: one scrape of each server over one of the static file, on a logarithmic scale."""

import math
from html import escape

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 760, 190, 90, 22, 8, 64
COLOURS = {"static file": "#8c959f", "ours": "#1a7f37", "client_golang": "#0969da", "prometheus crate": "#bc4c00"}
STYLE = """text{font:13px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600;font-size:15px}.faint{fill:#59636e}
line{stroke:#d1d9e0}@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.faint{fill:#9198a1}line{stroke:#3d444d}}"""


def short(ratio):
    """A ratio with some three digits."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def write(path, count, results, servers):
    """Draws it from the medians of one scraper."""
    order = sorted(servers, key=lambda name: list(COLOURS).index(name))
    groups = [(coding, [(name, results.p50(coding, 1, name) / results.p50(coding, 1, "static file"))
                        for name in order]) for coding in ("identity", "gzip")]
    most = max(ratio for _, bars in groups for _, ratio in bars)
    least = min(1.0, *(ratio for _, bars in groups for _, ratio in bars))
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    span = max(1, len(decades) - 1)

    def x(ratio):
        return LEFT + (math.log10(ratio) - decades[0]) / span * (WIDTH - LEFT - RIGHT)

    height = TOP + sum(30 + len(bars) * (BAR + GAP) for _, bars in groups) + 30
    title = f"One scrape of {count:,} series, one scraper: median over that of a static file"
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
             f'height="{height}" role="img"><title>{escape(title)}</title><style>{STYLE}</style>',
             f'<text x="0" y="18" class="head">{escape(title)}</text>',
             '<text x="0" y="38" class="faint">shorter is better; each line is ten times the one before</text>']
    for decade in decades:
        at = x(10.0**decade)
        parts.append(f'<line x1="{at:.1f}" y1="{TOP - 10}" x2="{at:.1f}" y2="{height - 24}"/>'
                     f'<text x="{at:.1f}" y="{height - 8}" text-anchor="middle" class="faint">{10.0**decade:g}</text>')
    y = TOP
    for coding, bars in groups:
        parts.append(f'<text x="0" y="{y + 14}" class="head">{"text" if coding == "identity" else coding}</text>')
        y += 24
        for name, ratio in bars:
            # Even what is as fast as it gets has a bar that can be seen.
            start, end = x(10.0**decades[0]), max(x(ratio), x(10.0**decades[0]) + 2)
            parts.append(f'<text x="{LEFT - 10}" y="{y + 16}" text-anchor="end">{escape(name)}</text>'
                         f'<rect x="{start:.1f}" y="{y}" width="{end - start:.1f}" height="{BAR}" rx="3" '
                         f'fill="{COLOURS[name]}"/><text x="{end + 6:.1f}" y="{y + 16}">{short(ratio)}</text>')
            y += BAR + GAP
        y += 6
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")
