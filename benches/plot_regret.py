#!/usr/bin/env python3
"""Draws what examples/search_regret has written: plot_regret.py RECORD.json OUT.svg.

One panel for each space: how far the best schedule found is from the best there is, in per cent, over evaluations.
"""
import json
import math
import sys

WIDTH, HEIGHT, LEFT, TOP, BETWEEN = 250, 180, 50, 40, 30
COLOURS = {"search": "#1f6feb", "random": "#999999"}
MOST = 30.0


def point(panel, evaluations, ratio):
    """Where a distance stands in a panel; evaluations grow by powers of two."""
    across = math.log2(evaluations / 8) / 5
    up = min(100 * (ratio - 1), MOST) / MOST
    x = LEFT + panel * (WIDTH + BETWEEN) + across * WIDTH
    return f"{x:.1f},{TOP + HEIGHT * (1 - up):.1f}"


def text(x, y, words, anchor="middle", colour="#333"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{words}</text>'


def axes(panel, name):
    x = LEFT + panel * (WIDTH + BETWEEN)
    lines = [text(x + WIDTH / 2, TOP - 12, name)]
    for percent in (0, 3, 10, 20, 30):
        y = TOP + HEIGHT * (1 - percent / MOST)
        dashes = ' stroke-dasharray="4 3"' if percent == 3 else ""
        lines.append(f'<path d="M{x} {y:.1f}h{WIDTH}" stroke="#ddd"{dashes}/>')
        if panel == 0:
            lines.append(text(x - 6, y + 4, f"{percent} %", "end"))
    for evaluations in (8, 16, 32, 64, 128, 256):
        lines.append(text(x + math.log2(evaluations / 8) / 5 * WIDTH, TOP + HEIGHT + 16, str(evaluations)))
    return lines


def main():
    rows = json.load(open(sys.argv[1]))["rows"]
    spaces = list(dict.fromkeys(row["space"] for row in rows))
    width, height = LEFT + len(spaces) * (WIDTH + BETWEEN), TOP + HEIGHT + 50
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">']
    out.append(f'<rect width="{width}" height="{height}" fill="white"/>')
    for panel, space in enumerate(spaces):
        out += axes(panel, space)
    for row in rows:
        panel = spaces.index(row["space"])
        line = " ".join(point(panel, *mark) for mark in zip(row["marks"], row["ratio_median"]))
        out.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[row["strategy"]]}" stroke-width="2"/>')
    out.append(text(width / 2, height - 10, "evaluations; blue: the tuner's search, grey: random; median of 50 seeds"))
    out.append("</svg>")
    open(sys.argv[2], "w").write("\n".join(out) + "\n")


main()
