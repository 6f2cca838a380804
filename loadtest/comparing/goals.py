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


def _difference(cases, metric, ours):
    a, b = _median(cases, "added", ours, metric), _median(cases, "added", "direct", metric)
    return a - b if a is not None and b is not None else None


def _growth(cases, keys, candidate, metric):
    """From the smallest case to the largest; less than 0: it became cheaper."""
    by_size = sorted((cases[k]["size"], _median(cases, k, candidate, metric) or 0) for k in keys)
    found = [v for _, v in by_size if v]
    return found[-1] / found[0] - 1 if len(found) > 1 else None


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
    for ours in ("sluice-ws", "sluice-http"):
        for metric, limit in (("first_p50", 0.3), ("first_p99", 1.0)):
            row = _row(f"added time to first token, {metric[6:]}, {ours}", f"<= {limit} ms", limit,
                       _difference(cases, metric, ours), " ms")
            floor = _median(cases, "added", "direct", metric)
            if floor and floor > 2:  # what the machine adds by itself is more than what is looked for
                row.update(met=None, got=f"{row['got']}, but the direct call has {floor:.3g} ms itself: too busy to tell")
            rows.append(row)
    return rows + _memory(cases) + _growths(cases)


def _memory(cases):
    rows = []
    idle = [k for k in cases if k.startswith("idle")]
    for key in idle[:1]:
        for metric, what in (("idle_largest_kb", "the largest process"), ("idle_pss_kb", "master and worker, PSS")):
            got = _median(cases, key, "sluice-ws", metric)
            rows.append(_row(f"idle RSS, one worker: {what}", "<= 8 MB", 8.0, None if got is None else got * 1024 / 1e6, " MB"))
        ours, gin = (_median(cases, key, name, "idle_rss_kb") for name in ("sluice-ws", "gin"))
        if ours and gin:
            rows.append(_row("idle RSS of all processes, below Gin's", f"< {gin * 1024 / 1e6:.3g} MB", gin * 1024 / 1e6,
                             ours * 1024 / 1e6, " MB"))
    for key in idle:
        limit = 18 if "TLS" in key else 3
        got = _median(cases, key, "sluice-ws", "session_bytes")
        rows.append(_row(f"idle authenticated session, {key[5:]}", f"<= {limit} KB", limit,
                         None if got is None else got / 1024, " KB"))
    return rows


def _growths(cases):
    rows = []
    streams = [k for k in cases if k.startswith("stream") and "TLS" not in k]
    churns = [k for k in cases if k.startswith("churn")]
    for ours in ("sluice-ws", "sluice-http"):
        rows.append(_row(f"growth of CPU per token over {', '.join(k[7:] for k in streams)}, {ours}", "<= 0.15", 0.15,
                         _growth(cases, streams, ours, "cpu_us_per_token")))
        rows.append(_row(f"growth of CPU per visit beside idle sessions, {ours}", "<= 0.15", 0.15,
                         _growth(cases, churns, ours, "cpu_us_per_request")))
        fast, slow = (_median(cases, f"burst {k}", ours, "gap_p99") for k in ("all fast", "5 % slow readers"))
        rows.append(_row(f"growth of the p99 gap beside slow readers, {ours}", "<= 0.10", 0.10,
                         slow / fast - 1 if fast and slow else None))
    return rows
