"""The pieces that the report is put together from. Knows HTML; nothing of training.

Texts are escaped here; a `body`, a card and an SVG are HTML already.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Final

from training.report.figures import GRID, INK, MUTED, SERIES

# A figure is drawn in the colours of paper; on the page they follow light and dark.
VARIABLES: Final = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--rule)",
    **{colour: f"var(--series-{place})" for place, colour in enumerate(SERIES, start=1)},
}
STYLE: Final = """
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f7f9; --ink: #1f2328;
  --muted: #6b7280; --rule: #e3e5e8; --series-1: #2a6fd6; --series-2: #d9622b; --series-3: #17936b }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --card: #1e2125; --ink: #e8eaed;
  --muted: #9aa1ab; --rule: #33373d; --series-1: #6ea3f2; --series-2: #f08a58; --series-3: #4cc49a }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem }
p { margin: .5rem 0; max-width: 44rem }
.quiet, figcaption, dt, th { color: var(--muted) }
.cards { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)) }
.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)) }
.cards > * { margin: 0; padding: .8rem 1rem; background: var(--card); border-radius: .6rem }
.cards b { display: block; font-size: 1.6rem; font-variant-numeric: tabular-nums }
svg { display: block; width: 100%; height: auto }
svg text { font-family: system-ui, sans-serif !important }
figcaption { font-size: .9rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap }
th, td { padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--rule); text-align: right }
th:first-child, td:first-child { text-align: left }
th { font-weight: 500 }
dl { columns: 20rem; margin: .5rem 0 }
dl div { display: flex; gap: 1rem; padding: .1rem 0; break-inside: avoid }
dt { flex: 0 0 10rem }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere }
"""


def page(title: str, body: str) -> str:
    """Return a whole page that needs nothing but itself."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def cards(texts: Iterable[str], *, wide: bool = False) -> str:
    """Lay `texts` out as cards side by side, as many as the window has room for."""
    kind = "cards wide" if wide else "cards"
    return f'<div class="{kind}">\n{"".join(texts)}\n</div>'


def picture(svg: str, caption: str) -> str:
    """Return a figure of the report with a `caption`, which is also what a screen reader tells."""
    for colour, variable in VARIABLES.items():
        svg = svg.replace(colour, variable)
    told = escape(caption)
    drawn = f'<div role="img" aria-label="{told}">{svg}</div>'
    return f"<figure>{drawn}<figcaption>{told}</figcaption></figure>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table that scrolls by itself where the window is too narrow for it."""
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return f'<div class="scroll"><table>\n{"".join(lines)}</table></div>'


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>\n"


def facts(told: Mapping[str, str]) -> str:
    """Return a list of what has which value."""
    lines = (
        f"<div><dt>{escape(key)}</dt><dd>{escape(value)}</dd></div>" for key, value in told.items()
    )
    return f"<dl>\n{chr(10).join(lines)}\n</dl>"
