"""The generated sections of benches/README.md."""

import re

from .tools import ROOT, Missing, say

README = ROOT / "benches/README.md"


def replace(part, text):
    """Puts `text` where the section of `part` was."""
    begin, end = f"<!-- {part}: written by benches/run -->", f"<!-- end of {part} -->"
    before = README.read_text(encoding="utf-8")
    section = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not section.search(before):
        raise Missing(f"{README} has no section {begin} … {end}")
    README.write_text(section.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", before), encoding="utf-8")
    say(f"benches/README.md: {part} is written")


def table(columns, rows):
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
