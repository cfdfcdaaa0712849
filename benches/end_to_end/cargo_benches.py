"""The parts that are benches of cargo: their tables are taken as they are printed."""

import json

from . import readme
from .tools import machine, output, say, target, versions

PARTS = ["ratios", "ingest", "commit", "start", "records"]
CRATES = {
    "ratios": ["prometheus", "prometheus-client", "measured", "flate2"],
    "ingest": ["rusqlite"],
    "commit": ["rusqlite"],
    "start": ["rusqlite"],
    "records": ["rusqlite"],
}
# So many rows a second are to reach the disk.
INGEST_ROWS = 20_000
PAGE_ROWS = 100


def run(part, chosen):
    """Runs one bench; the text of its section."""
    about = machine()
    numbers = [str(chosen.series)] if chosen.series and part != "ingest" else []
    command = ["cargo", "bench", "--locked", "--bench", part, *(["--", *numbers] if numbers else [])]
    say(" ".join(command))
    printed = output(*command)
    tables = ingest() if part == "ingest" else printed[printed.index("| "):]
    return f"`{' '.join(command)}`\n\n{about}; {versions(*CRATES[part])}\n\n{tables}"


def ingest():
    """Criterion's medians as rows a second."""
    def rate(name):
        file = target() / "criterion/durable ingest" / name / "new/estimates.json"
        return PAGE_ROWS / (json.loads(file.read_text())["median"]["point_estimate"] / 1e9)

    alone = rate("SQLite alone")
    rows = [["SQLite alone: one table without an index", f"{alone:,.0f}", "1.00", ""]]
    for name in ["new streams", "known streams"]:
        met = "met" if rate(name) >= INGEST_ROWS else "**not met**"
        rows.append([f"durable ingest, {name}", f"{rate(name):,.0f}", f"{rate(name) / alone:.2f}",
                     f"≥ {INGEST_ROWS:,}, {met}"])
    return readme.table(["100 rows a commit", "rows a second", "of SQLite alone", "target"], rows)
