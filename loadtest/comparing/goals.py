"""The goals of the harness, held against what was measured: medians of one comparison."""


def _median(cases, key, candidate, metric):
    return cases.get(key, {}).get("candidates", {}).get(candidate, {}).get("metrics", {}).get(metric, {}).get("median")


def _ratio(cases, key, metric, ours, theirs):
    a, b = _median(cases, key, ours, metric), _median(cases, key, theirs, metric)
    return a / b if a is not None and b else None


def _row(figure, goal, limit, got, unit=""):
    shown = None if got is None else f"{got:.3g}{unit}"
    return {"figure": figure, "goal": goal, "got": shown, "met": None if got is None else got <= limit}


def _difference(cases, metric, ours):
    a, b = _median(cases, "added", ours, metric), _median(cases, "added", "direct", metric)
    return a - b if a is not None and b is not None else None


def _flat(cases, keys, candidate, metric):
    values = [v for k in keys if (v := _median(cases, k, candidate, metric))]
    return max(values) / min(values) - 1 if len(values) > 1 else None


def table(cases):
    rows = []
    for theirs, limit in (("gin", 0.40), ("fastapi", 0.025), ("nginx", 1.8)):
        rows.append(_row(f"article, CPU per request, of {theirs}", f"<= {limit}", limit,
                         _ratio(cases, "article", "cpu_us_per_request", "sluice-http", theirs)))
    for ours in ("sluice-ws", "sluice-http"):
        for theirs, limit in (("nginx", 1.0), ("gin", 0.6)):
            rows.append(_row(f"stream, 1000 clients, CPU per token, {ours} of {theirs}", f"<= {limit}", limit,
                             _ratio(cases, "stream 1000 clients", "cpu_us_per_token", ours, theirs)))
        rows.append(_row(f"the same with TLS, {ours} of nginx", "<= 1.2", 1.2,
                         _ratio(cases, "stream 1000 clients, TLS", "cpu_us_per_token", ours, "nginx")))
    for ours in ("sluice-ws", "sluice-http"):
        rows.append(_row(f"added time to first token, p50, {ours}", "<= 0.3 ms", 0.3,
                         _difference(cases, "first_p50", ours), " ms"))
        rows.append(_row(f"added time to first token, p99, {ours}", "<= 1 ms", 1.0,
                         _difference(cases, "first_p99", ours), " ms"))
    idle = [k for k in cases if k.startswith("idle")]
    for key in idle[:1]:
        for metric, what in (("idle_largest_kb", "one worker process"), ("idle_pss_kb", "master and worker, PSS")):
            got = _median(cases, key, "sluice-ws", metric)
            rows.append(_row(f"idle RSS, {what}", "<= 8 MB", 8.0, None if got is None else got * 1024 / 1e6, " MB"))
    for key in idle:
        limit = 18 if "TLS" in key else 3
        got = _median(cases, key, "sluice-ws", "session_bytes")
        rows.append(_row(f"idle authenticated session, {key[5:]}", f"<= {limit} KB", limit,
                         None if got is None else got / 1024, " KB"))
    streams = [k for k in cases if k.startswith("stream") and "TLS" not in k]
    churns = [k for k in cases if k.startswith("churn")]
    for ours in ("sluice-ws", "sluice-http"):
        rows.append(_row(f"CPU per token over {', '.join(k[7:] for k in streams)}, {ours}", "flat within 0.15", 0.15,
                         _flat(cases, streams, ours, "cpu_us_per_token")))
        rows.append(_row(f"CPU per visit with and without idle sessions, {ours}", "flat within 0.15", 0.15,
                         _flat(cases, churns, ours, "cpu_us_per_request")))
        fast, slow = (_median(cases, f"burst {k}", ours, "gap_p99") for k in ("all fast", "5 % slow readers"))
        rows.append(_row(f"p99 gap beside slow readers, {ours}", "+ 10 % at most", 0.10,
                         slow / fast - 1 if fast and slow else None))
    return rows
