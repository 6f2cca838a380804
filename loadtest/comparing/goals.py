"""The goals of the harness, held against what was measured: medians of one comparison."""

from .measure import value


def _median(cases, key, candidate, metric):
    return cases.get(key, {}).get("candidates", {}).get(candidate, {}).get("metrics", {}).get(metric, {}).get("median")


def _values(cases, key, candidate, metric):
    runs = cases.get(key, {}).get("candidates", {}).get(candidate, {}).get("runs", [])
    return [value(r, metric) for r in runs]


def _ratio(cases, key, metric, ours, theirs):
    a, b = _median(cases, key, ours, metric), _median(cases, key, theirs, metric)
    return a / b if a is not None and b else None


def _pairs(cases, key, metric, ours, theirs):
    """The ratios of runs that stood side by side, from least to most."""
    found = sorted(a / b for a, b in zip(_values(cases, key, ours, metric), _values(cases, key, theirs, metric)) if a and b)
    return f" ({found[0]:.3g} to {found[-1]:.3g})" if len(found) > 1 else ""


def _row(figure, goal, limit, got, unit=""):
    shown = None if got is None else f"{got:.3g}{unit}"
    return {"figure": figure, "goal": goal, "got": shown, "met": None if got is None else got <= limit}


def _ratio_row(cases, figure, limit, key, metric, ours, theirs):
    row = _row(figure, f"<= {limit}", limit, _ratio(cases, key, metric, ours, theirs))
    if row["got"]:
        row["got"] += _pairs(cases, key, metric, ours, theirs)
    return row


def _of(cases, scenario):
    return [k for k, c in cases.items() if c["scenario"] == scenario]


def _ratio_between(cases, key, other, candidate, metric):
    """Of the medians of one candidate in two cases."""
    a, b = _median(cases, key, candidate, metric), _median(cases, other, candidate, metric)
    return a / b if a and b else None


def table(cases):
    rows = [_ratio_row(cases, f"{key}, CPU per request, of {theirs}", limit, key, "cpu_us_per_request", "sluice-http", theirs)
            for key in cases if key.startswith("article")
            for theirs, limit in (("gin", 0.40), ("fastapi", 0.025), ("nginx", 1.8))
            if theirs in cases[key]["candidates"]]
    for ours in ("sluice-ws", "sluice-http"):
        for theirs, limit in (("nginx", 1.0), ("gin", 0.6)):
            rows.append(_ratio_row(cases, f"stream, 1000 clients, CPU per token, {ours} of {theirs}", limit,
                                   "stream 1000 clients", "cpu_us_per_token", ours, theirs))
        rows.append(_ratio_row(cases, f"the same with TLS, {ours} of nginx", 1.2, "stream 1000 clients, TLS",
                               "cpu_us_per_token", ours, "nginx"))
    return rows + _added(cases) + _memory(cases) + _growths(cases)


def _added(cases):
    rates = sorted(_of(cases, "added"), key=lambda k: cases[k]["size"])
    rows = []
    for key in rates[1:] or rates:
        for ours in ("sluice-ws", "sluice-http"):
            for metric, limit in (("added_p50", 0.3), ("added_p99", 1.0)):
                m = cases[key]["candidates"].get(ours, {}).get("metrics", {}).get(metric)
                row = _row(f"first token, {key}, {metric.replace('_', ' ')}, {ours}", f"<= {limit} ms", limit,
                           m and m["median"], " ms")
                if m and m["runs"] > 1:
                    row["got"] += f" ({m['min']:.3g} to {m['max']:.3g})"
                rows.append(row)
    return rows


def _memory(cases):
    rows = []
    idle = _of(cases, "idle")
    for key in idle[:1]:
        for metric, what in (("idle_rss_kb", "master and worker"), ("idle_largest_kb", "the worker alone")):
            got = _median(cases, key, "sluice-ws", metric)
            rows.append(_row(f"idle RSS, one worker: {what}", "<= 8 MB", 8.0, None if got is None else got * 1024 / 1e6, " MB"))
        ours, gin = (_median(cases, key, name, "idle_rss_kb") for name in ("sluice-ws", "gin"))
        if ours and gin:
            rows.append(_row("the same, below Gin's", f"< {gin * 1024 / 1e6:.3g} MB", gin * 1024 / 1e6, ours * 1024 / 1e6, " MB"))
    for key in idle:
        limit = 18 if "TLS" in key else 3
        got = _median(cases, key, "sluice-ws", "session_bytes")
        rows.append(_row(f"idle authenticated session, {key[5:]}", f"<= {limit} KB", limit,
                         None if got is None else got / 1024, " KB"))
    return rows


def _growths(cases):
    """Each case of a scenario beside its smallest one."""
    rows = []
    for scenario, metric, limit, what in (("width", "cpu_us_per_token", 0.15, "CPU per token"),
                                          ("churn", "cpu_us_per_request", 0.15, "CPU per visit"),
                                          ("slow", "gap_p99", 0.10, "the others' p99 gap"),
                                          ("slow", "peak_rss_kb", None, "memory at peak")):
        smallest, *others = sorted(_of(cases, scenario), key=lambda k: cases[k]["size"]) or [None]
        for key in others:
            for ours in ("sluice-ws", "sluice-http"):
                ratio = _ratio_between(cases, key, smallest, ours, metric)
                rows.append({"figure": f"growth of {what}, {key} beside {smallest}, {ours}", "goal": f"<= {limit:.0%}" if limit else "",
                             "got": None if ratio is None else f"{ratio - 1:+.1%}",
                             "met": None if ratio is None or limit is None else ratio - 1 <= limit})
    return rows
