#!/usr/bin/env python3
"""Draws who includes whom: docs/folders.svg, and the table in docs/folders.md, out of what the sources include.

usage: folders_drawing.py            says whether they are what the sources say (exit status 1 if not)
       folders_drawing.py --write    writes them

A folder stands in the row above the highest one that it includes. An arrow that follows from others is left out: trainer/loop
includes common too, but so does everything between them.
"""
import pathlib
import sys

from layering_test import ROOT, folders_included

WIDTH, ROW, BOX_HEIGHT, MARGIN = 2000, 96, 36, 24
COLORS = {"proto": "#8a8f98", "common": "#5b8c5a", "kernels": "#8c7a3f", "policy": "#3f6e9c", "trainer": "#9c4f3f",
          "rollout_workers": "#7a4f9c", "launch": "#3f8c8a"}
HEAD, TAIL = "<!-- drawn by tests/folders_drawing.py --write -->\n", "<!-- end of the drawing -->\n"


def reachable(edges, folder):
    seen, stack = set(), list(edges.get(folder, ()))
    while stack:
        other = stack.pop()
        if other not in seen:
            seen.add(other)
            stack += edges.get(other, ())
    return seen


def reduced(edges):
    """Without the arrows that follow from others."""
    return {folder: sorted(other for other in others
                           if not any(other in reachable(edges, between) for between in others if between != other))
            for folder, others in edges.items()}


def rows_of(edges):
    """Folders by row, the lowest first."""
    level = {}

    def visit(folder):
        if folder not in level:
            level[folder] = 1 + max((visit(other) for other in edges.get(folder, ())), default=-1)
        return level[folder]

    for folder in edges:
        visit(folder)
    rows = [[] for _ in range(1 + max(level.values()))]
    for folder in sorted(level):
        rows[level[folder]].append(folder)
    return rows


def box_width(folder):
    return 22 + 8.0 * len(folder)


def places_of(rows, arrows):
    """folder → (x, y) of its box's middle; a row's folders stand near those that they point at."""
    places = {}
    for number, row in enumerate(rows):
        def wish(folder):
            below = [places[other][0] for other in arrows[folder]]
            return (sum(below) / len(below) if below else WIDTH / 2, folder)

        row = sorted(row, key=wish)
        total = sum(box_width(folder) for folder in row)
        gap = (WIDTH - 2 * MARGIN - total) / (len(row) + 1)
        x = MARGIN + gap
        for folder in row:
            places[folder] = (round(x + box_width(folder) / 2), MARGIN + BOX_HEIGHT // 2 + ROW * (len(rows) - 1 - number))
            x += box_width(folder) + gap
    return places


def svg(edges):
    arrows, rows = reduced(edges), rows_of(edges)
    places = places_of(rows, arrows)
    height = 2 * MARGIN + ROW * (len(rows) - 1) + BOX_HEIGHT
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="14">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    for folder in sorted(arrows):
        x, y = places[folder]
        color = COLORS[folder.split("/")[0]]
        for other in arrows[folder]:
            to_x, to_y = places[other]
            begin, end = y + BOX_HEIGHT // 2, to_y - BOX_HEIGHT // 2
            bend = (begin + end) // 2
            lines.append(f'<path d="M{x} {begin}C{x} {bend} {to_x} {bend} {to_x} {end}" fill="none" stroke="{color}" '
                         f'stroke-opacity="0.55" stroke-width="1.4"><title>{folder} → {other}</title></path>')
    for folder in sorted(places):
        x, y = places[folder]
        width = round(box_width(folder))
        lines.append(f'<rect x="{x - width // 2}" y="{y - BOX_HEIGHT // 2}" width="{width}" height="{BOX_HEIGHT}" rx="6" '
                     f'fill="{COLORS[folder.split("/")[0]]}"/>')
        lines.append(f'<text x="{x}" y="{y + 5}" text-anchor="middle" fill="#ffffff">{folder}</text>')
    return "\n".join(lines) + "\n</svg>\n"


def table(edges):
    arrows = reduced(edges)
    lines = ["| folder | includes, besides what comes with these |", "|---|---|"]
    for row in reversed(rows_of(edges)):
        lines += [f"| `{folder}` | {', '.join(f'`{other}`' for other in arrows[folder]) or 'nothing of ours'} |" for folder in row]
    return "\n".join(lines) + "\n"


def drawn(root):
    """File → its text, as the sources of `root` say; docs/folders.md keeps what stands around the table."""
    included, _ = folders_included(root)
    edges = {folder: sorted(others) for folder, others in included.items()}
    page = root / "docs/folders.md"
    before, _, rest = page.read_text().partition(HEAD)
    after = rest.partition(TAIL)[2]
    return {root / "docs/folders.svg": svg(edges), page: before + HEAD + table(edges) + TAIL + after}


def main():
    stale = [path for path, text in drawn(ROOT).items() if not path.exists() or path.read_text() != text]
    if "--write" in sys.argv[1:]:
        for path, text in drawn(ROOT).items():
            pathlib.Path(path).write_text(text)
    elif stale:
        print(f"{', '.join(str(path.relative_to(ROOT)) for path in stale)}: not what the sources include; "
              "run tests/folders_drawing.py --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
