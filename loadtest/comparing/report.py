"""The report: one HTML page without anything outside itself, a Markdown table, JSON."""

import html
import json

from .measure import METRICS

SHOWN = {  # scenario -> the metrics of its table
    "article": ["cpu_us_per_request", "requests_per_s", "answer_p50", "answer_p99", "idle_rss_kb", "peak_rss_kb"],
    "stream": ["cpu_us_per_token", "busy", "pace", "tokens_per_event", "switches_per_token", "first_p50", "first_p99", "gap_p99",
               "peak_rss_kb"],
    "width": ["cpu_us_per_token", "tokens_per_s", "busy", "pace", "tokens_per_event", "switches_per_token", "gap_p99", "peak_rss_kb"],
    "added": ["first_p50", "first_p99", "added_p50", "added_p99", "transit_p50", "transit_p99", "cpu_us_per_token", "busy"],
    "idle": ["session_bytes", "session_pss_bytes", "idle_rss_kb", "idle_largest_kb", "idle_pss_kb", "peak_rss_kb"],
    "churn": ["cpu_us_per_request", "requests_per_s", "answer_p50", "answer_p99"],
    "burst": ["cpu_us_per_token", "tokens_per_event", "first_p50", "first_p99", "gap_p99", "answer_p99", "peak_rss_kb"],
    "slow": ["gap_p99", "gap_p999", "cpu_us_per_token", "pace", "peak_rss_kb"],
    "lanes": ["cpu_us_per_token", "pace", "tokens_per_event", "first_p50", "first_p99", "gap_p99", "peak_rss_kb"],
}
CHARTED = {"article": ["cpu_us_per_request", "requests_per_s"], "stream": ["cpu_us_per_token"], "width": ["cpu_us_per_token"],
           "added": ["added_p50", "added_p99"], "idle": ["session_bytes", "idle_rss_kb"],
           "churn": ["cpu_us_per_request"], "burst": ["cpu_us_per_token", "gap_p99"], "slow": ["gap_p99", "peak_rss_kb"],
           "lanes": ["cpu_us_per_token"]}
SUMMARY = [  # title, scenario, TLS towards the clients, metric; of a scenario's cases the first or, with a limit, the largest within it
    ("requests/s", "article", False, "requests_per_s", None),
    ("CPU per request [us]", "article", False, "cpu_us_per_request", None),
    ("CPU per token [us]", "stream", False, "cpu_us_per_token", 1000),
    ("the same, TLS", "stream", True, "cpu_us_per_token", 1000),
    ("idle RSS [KB]", "idle", False, "idle_rss_kb", None),
    ("RSS per session [B]", "idle", False, "session_bytes", None),
    ("the same, TLS", "idle", True, "session_bytes", None),
    ("first token, added p50 [ms]", "added", False, "added_p50", 1000),
    ("added p99 [ms]", "added", False, "added_p99", 1000),
]
COLOURS = {"direct": "#8a8f98", "sluice-http": "#0b7285", "sluice-ws": "#1098ad", "sluice-ws-h2": "#4263eb", "nginx": "#5f8f3e", "gin": "#b8860b",
           "fastapi": "#b5483a"}
OTHERS = ["#6a4c93", "#3d5a80", "#8d5524", "#7a7a00"]


def number(v):
    if v is None:
        return ""
    if abs(v) >= 1000:
        return f"{v:,.0f}"
    if abs(v) >= 100:
        return f"{v:.0f}"
    if abs(v) >= 10:
        return f"{v:.1f}"
    return f"{v:.3g}" if abs(v) >= 0.001 or v == 0 else f"{v:.1e}"


def spread(m):
    if m["runs"] < 2 or m["min"] == m["max"]:
        return number(m["median"])
    return f"{number(m['median'])} ({number(m['min'])} to {number(m['max'])})"


def title(metric):
    _, name, unit, _ = METRICS[metric]
    return f"{name} [{unit}]" if unit else name


def columns(case):
    calls = "syscalls_per_request" if case["scenario"] in ("article", "churn") else "syscalls_per_token"
    wanted = SHOWN[case["scenario"]] + [calls]
    return [m for m in wanted if any(m in c["metrics"] for c in case["candidates"].values())]


LATE = 1.1
LATE_NOTE = ("* late: the server or the machine could not keep the pace. Tokens that come in bunches are cheaper: compare such a figure "
             "only with others as late.")


def late(candidate):
    pace = candidate["metrics"].get("pace")
    return bool(pace) and pace["median"] > LATE


def shown_name(name, candidate):
    return name + (" *" if late(candidate) else "")


def verdict(candidate):
    if candidate["correct"]:
        return "yes"
    kinds = {}
    for run in candidate["runs"]:
        for kind, count in run.get("errors", {}).items():
            kinds[kind] = kinds.get(kind, 0) + count
    return "NO: " + (", ".join(f"{k} x{n}" for k, n in kinds.items()) or "see the JSON")


def stolen(case):
    """Says how much of the processors' time a virtual machine's host took; nothing where it took none."""
    shares = [r.get("stolen", 0) * 100 for c in case["candidates"].values() for r in c["runs"]]
    if not shares or max(shares) < 0.1:
        return ""
    return f"While these ran, the host took {min(shares):.1f} to {max(shares):.1f} % of the processors' time."


def windows(case):
    """Says how many of a case's windows count."""
    if not case["windows"]:
        return ""
    quiet, all_of_them, usable = case["windows"]
    if not usable:
        return f"The host left only {quiet} of {all_of_them} windows alone, so all of them count."
    if quiet < all_of_them:
        return f"{quiet} of {all_of_them} windows count; from the others the host took too much."
    return f"All {all_of_them} windows count."


def notes(case):
    yield from (text for text in (LATE_NOTE if any(late(c) for c in case["candidates"].values()) else "", stolen(case),
                                  windows(case)) if text)
    yield from (f"Without {name}: {why}." for name, why in case["left_out"].items())


def summary_case(data, scenario, tls, limit):
    cases = [(c["size"], key) for key, c in data["cases"].items() if c["scenario"] == scenario and c["tls"] == tls]
    if limit:
        cases = sorted(c for c in cases if c[0] <= limit)[-1:]
    return cases[0][1] if cases else None


def summary(data):
    """(titles with their cases, {candidate: cells}): what people ask first."""
    found = [(name, key, metric) for name, scenario, tls, metric, limit in SUMMARY
             if (key := summary_case(data, scenario, tls, limit))]
    rows = {}
    for who in data["candidates"]:
        cells = [data["cases"][key]["candidates"].get(who, {}).get("metrics", {}).get(metric) for _, key, metric in found]
        if any(cells):
            rows[who] = [spread(m) if m else "" for m in cells]
    return [(name, key) for name, key, _ in found], rows


def conditions(data):
    m = data["machine"]
    return (f"{m['date']}, commit {m['commit']}; {m['cpu']}, {m['cores']} cores, {m['memory_gib']} GiB, Linux {m['kernel']}, "
            f"TCP {m['tcp']}" + (", processors kept awake" if data["awake"] else "")
            + ". Server, mock provider and load client share the machine, so CPU time is what counts, not wall time. "
            f"{data['workers']} worker(s) each. {data['runs']} run(s), candidates in turn (A B A B), a fresh server for each; "
            "shown: medians, in brackets the least and the most.")


def markdown(data):
    lines = ["# Comparison", "", conditions(data), ""]
    for name, c in data["candidates"].items():
        lines.append(f"- **{name}**: {c['what']}" + (f" ({c['version']})" if c["version"] else ""))
    for name, why in data["skipped"].items():
        lines.append(f"- {name}: skipped, {why}")
    titles, rows = summary(data)
    if rows:
        lines += ["", "## Summary", "", "| | " + " | ".join(f"{name} ({key})" for name, key in titles) + " |", "|---" * (len(titles) + 1) + "|"]
        lines += [f"| {who} | " + " | ".join(cells) + " |" for who, cells in rows.items()]
    for key, case in data["cases"].items():
        wanted = columns(case)
        lines += ["", f"## {key}", "", case["question"] + " " + case["how"], "",
                  "| | " + " | ".join(title(m) for m in wanted) + " | every token right |",
                  "|---" * (len(wanted) + 2) + "|"]
        for name, c in case["candidates"].items():
            cells = [spread(c["metrics"][m]) if m in c["metrics"] else "" for m in wanted]
            lines.append(f"| {shown_name(name, c)} | " + " | ".join(cells) + f" | {verdict(c)} |")
        for note in notes(case):
            lines += ["", note]
    if data["goals"]:
        lines += ["", "## Goals", "", "| figure | goal | measured | |", "|---|---|---|---|"]
        for g in data["goals"]:
            met = "" if g["met"] is None else "met" if g["met"] else "**missed**"
            lines.append(f"| {g['figure']} | {g['goal']} | {g['got'] or 'not measured'} | {met} |")
    return "\n".join(lines) + "\n"


def colour(name, order):
    return COLOURS.get(name) or OTHERS[order % len(OTHERS)]


def bars(case, metric):
    """Horizontal bars with the spread of the runs as a line."""
    rows = [(n, c["metrics"][metric]) for n, c in case["candidates"].items() if metric in c["metrics"]]
    if not rows:
        return ""
    top = max(m["max"] for _, m in rows) or 1
    width, left, step = 640, 110, 26
    scale = (width - left - 210) / top
    out = [f'<svg viewBox="0 0 {width} {step * len(rows) + 6}" role="img" aria-label="{html.escape(title(metric))}">']
    for i, (name, m) in enumerate(rows):
        y = i * step + 4
        middle = y + 9
        out.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{html.escape(name)}</text>')
        out.append(f'<rect x="{left}" y="{y}" width="{max(1, m["median"] * scale):.1f}" height="18" fill="{colour(name, i)}"/>')
        out.append(f'<path d="M{left + m["min"] * scale:.1f} {middle}H{left + m["max"] * scale:.1f}" class="spread"/>')
        out.append(f'<text x="{left + m["max"] * scale + 8:.1f}" y="{y + 13}">{html.escape(spread(m))}</text>')
    return "".join(out) + "</svg>"


def lines_chart(series, x_title, y_title):
    """{name: [(x, y)]} as lines from zero."""
    series = {n: sorted(p) for n, p in series.items() if len(p) > 1}
    if not series:
        return ""
    width, height, left, bottom = 640, 260, 70, 40
    top_x = max(x for p in series.values() for x, _ in p)
    top_y = max(y for p in series.values() for _, y in p) * 1.08 or 1

    def place(x, y):
        return (left + x / top_x * (width - left - 120), 12 + (1 - y / top_y) * (height - bottom - 12))

    out = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(y_title)}">']
    for i in range(5):
        _, y = place(0, top_y * i / 4)
        out.append(f'<path d="M{left} {y:.1f}H{width - 120}" class="grid"/>'
                   f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{number(top_y * i / 4)}</text>')
    for x in sorted({x for p in series.values() for x, _ in p}):
        at, _ = place(x, 0)
        out.append(f'<text x="{at:.1f}" y="{height - bottom + 16}" text-anchor="middle">{x:,.0f}</text>')
    out.append(f'<text x="{left}" y="{height - 6}">{html.escape(x_title)}</text>')
    labels = {}  # from the top down, none on another
    for name, points in sorted(series.items(), key=lambda item: -item[1][-1][1]):
        _, y = place(*points[-1])
        labels[name] = max([y] + [used + 14 for used in labels.values()])
    floor = height - bottom
    for name in reversed(labels):  # and none below the axis
        labels[name] = floor = min(labels[name], floor)
        floor -= 14
    for i, (name, points) in enumerate(series.items()):
        path = "L".join("{:.1f} {:.1f}".format(*place(x, y)) for x, y in points)
        at, _ = place(*points[-1])
        ink = colour(name, i)
        out.append(f'<path d="M{path}" fill="none" stroke="{ink}" stroke-width="2"/>')
        out += ['<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}"/>'.format(*place(*p), ink) for p in points]
        out.append(f'<text x="{at + 8:.1f}" y="{labels[name] + 4:.1f}">{html.escape(name)}</text>')
    return "".join(out) + "</svg>"


def idle_lines(case):
    series = {}
    for name, c in case["candidates"].items():
        steps = (c["runs"][-1].get("server") or {}).get("steps") if c["runs"] else None
        first = (c["runs"][-1].get("server") or {}).get("at_first") if c["runs"] else None
        if steps and c["measured"]:
            series[name] = [(0, first["rss_kb"])] + [(s["sessions"], s["rss_kb"]) for s in steps]
    return figure("RSS of all processes [KB] by sessions held (last run)", lines_chart(series, "sessions", "RSS"))


def token_lines(data, scenario, caption):
    series = {}
    for case in data["cases"].values():
        if case["scenario"] == scenario and not case["tls"]:
            for name, c in case["candidates"].items():
                if "cpu_us_per_token" in c["metrics"]:
                    series.setdefault(name, []).append((case["size"], c["metrics"]["cpu_us_per_token"]["median"]))
    return figure(f"CPU per token [us] by concurrent {caption}", lines_chart(series, "streams", "CPU per token"))


def figure(caption, svg):
    return f"<figure><figcaption>{html.escape(caption)}</figcaption>{svg}</figure>" if svg else ""


def case_html(key, case):
    e = html.escape
    wanted = columns(case)
    out = [f'<section><h2>{e(key)}</h2><p><b>{e(case["question"])}</b></p>', f'<p class="how">{e(case["how"])}</p>',
           "".join(figure(title(m), bars(case, m)) for m in CHARTED[case["scenario"]])]
    if case["scenario"] == "idle":
        out.append(idle_lines(case))
    out.append("<table><thead><tr><th></th>" + "".join(f"<th>{e(title(m))}</th>" for m in wanted)
               + "<th>every token right</th></tr></thead><tbody>")
    for name, c in case["candidates"].items():
        cells = "".join(f"<td>{e(spread(c['metrics'][m])) if m in c['metrics'] else ''}</td>" for m in wanted)
        out.append(f'<tr><th>{e(shown_name(name, c))}</th>{cells}<td class="{"ok" if c["correct"] else "bad"}">{e(verdict(c))}</td></tr>')
    out.append("</tbody></table>")
    out += [f'<p class="how">{e(note)}</p>' for note in notes(case)]
    commands = "\n".join(f"{name}: {c['runs'][0].get('command', '')}" for name, c in case["candidates"].items() if c["runs"])
    return "".join(out) + f"<details><summary>the commands</summary><pre>{e(commands)}</pre></details></section>"


STYLE = """
:root{color-scheme:light dark;--ink:#1c1f23;--soft:#5c636c;--paper:#fcfcfb;--line:#d9dcdf}
@media (prefers-color-scheme:dark){:root{--ink:#e6e8ea;--soft:#9aa1a9;--paper:#15181b;--line:#343a40}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.7rem}h2{margin-top:3rem;border-top:1px solid var(--line);padding-top:1rem}
.how,figcaption{color:var(--soft);font-size:.9rem}figure{margin:1rem 0}
svg{max-width:min(100%,44rem);height:auto}svg text{font:12px system-ui,sans-serif;fill:currentColor}
.spread{stroke:currentColor;stroke-width:1.5}.grid{stroke:var(--line)}
table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}
th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:right;font-variant-numeric:tabular-nums}
tbody th,thead th:first-child{text-align:left}tbody th{white-space:nowrap}.ok{color:#2b8a3e}.bad{color:#c92a2a}
pre{overflow-x:auto;font-size:.75rem}
"""


def goals_html(goals):
    e = html.escape
    if not goals:
        return ""
    rows = "".join(
        f'<tr><th>{e(g["figure"])}</th><td>{e(g["goal"])}</td><td>{e(g["got"] or "not measured")}</td>'
        f'<td class="{"ok" if g["met"] else "bad"}">{"" if g["met"] is None else "met" if g["met"] else "missed"}</td></tr>'
        for g in goals)
    return ("<section><h2>Goals</h2><table><thead><tr><th>figure</th><th>goal</th><th>measured</th><th></th></tr></thead>"
            f"<tbody>{rows}</tbody></table></section>")


def summary_html(data):
    e = html.escape
    titles, rows = summary(data)
    if not rows:
        return ""
    head = "".join(f"<th>{e(name)}<br><small>{e(key)}</small></th>" for name, key in titles)
    body = "".join(f"<tr><th>{e(who)}</th>{''.join(f'<td>{e(cell)}</td>' for cell in cells)}</tr>" for who, cells in rows.items())
    return f"<section><h2>Summary</h2><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></section>"


def page(data):
    e = html.escape
    who = "".join(f"<li><b>{e(n)}</b>: {e(c['what'])}{e(' (' + c['version'] + ')') if c['version'] else ''}</li>"
                  for n, c in data["candidates"].items())
    who += "".join(f"<li>{e(n)}: skipped, {e(why)}</li>" for n, why in data["skipped"].items())
    return (f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>Sluice: comparison</title><style>{STYLE}</style><h1>Sluice beside what people would use instead</h1>"
            f"<p>{e(conditions(data))}</p><ul>{who}</ul>"
            f"{summary_html(data)}{goals_html(data['goals'])}{token_lines(data, 'stream', 'clients, each at full pace')}"
            f"{token_lines(data, 'width', 'streams, the same tokens a second in all')}"
            + "".join(case_html(k, c) for k, c in data["cases"].items()) + "</html>\n")


def write(data, directory):
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in (("report.html", page(data)), ("report.md", markdown(data)),
                       ("report.json", json.dumps(data, indent=1))):
        (directory / name).write_text(text)
        paths.append(directory / name)
    return paths
