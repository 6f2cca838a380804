#include "common/utf8.h"
#include "gateway/ops/metrics_shared.h"

/* What a scrape adds up: all slots' cells at the same place. */
static uint64_t sum_at(const struct metrics *m, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < m->slots; i++) {
        const struct slot *s = &m->shared->slots[i];
        /* A slot that nobody ever had is left untouched: to read a page of it would make the page. */
        if (cell_read(&s->ever) != 0)
            sum += cell_read((const cell *)(const void *)((const char *)s + offset));
    }
    return sum;
}

static void write_help(struct buf *out, const char *name, const char *type, const char *help)
{
    (void)buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, escaped. It may have been scribbled over: it ends with its room at the latest, and must
 * stay UTF-8. */
static void write_value(struct buf *out, const struct shared_name *name)
{
    const struct bytes text = bytes_of(name->text, strnlen(name->text, sizeof(name->text)));
    const bool utf8 = utf8_valid(text);
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        if (c == '"' || c == '\\')
            (void)buf_append_char(out, '\\');
        if (c == '\n')
            (void)buf_append_bytes(out, BYTES("\\n"));
        else
            (void)buf_append_bytes(out, utf8 || (unsigned char)c < 0x80 ? bytes_of(&c, 1) : BYTES("?"));
    }
}

static void write_label(struct buf *out, const char *before, const char *label,
                        const struct shared_name *value)
{
    (void)buf_printf(out, "%s%s=\"", before, label);
    write_value(out, value);
    (void)buf_append_char(out, '"');
}

static void write_number(struct buf *out, uint64_t value)
{
    (void)buf_append_char(out, ' ');
    (void)buf_append_u64(out, value);
    (void)buf_append_char(out, '\n');
}

static uint32_t rows_of(const cell *n, uint32_t max)
{
    return (uint32_t)MIN(cell_read(n), (uint64_t)max);
}

struct plain {
    const char *name, *type, *help;
    size_t at;
};

#define AT(member) offsetof(struct slot, member)

static void write_plain(const struct metrics *m, struct buf *out)
{
    static const struct plain all[] = {
        {"sluice_workers_serving", "gauge", "Workers that take connections.", AT(serving)},
        {"sluice_connections", "gauge", "Connections of clients.", AT(connections)},
        {"sluice_sessions", "gauge", "WebSocket sessions.", AT(sessions)},
        {"sluice_responses_in_flight", "gauge", "Answers being made or read.", AT(responses)},
        {"sluice_responses_retained", "gauge", "Answers that are over and kept for who comes back.",
         AT(retained)},
        {"sluice_budget_used_bytes", "gauge", "Memory of all answers.", AT(budget_used)},
        {"sluice_budget_limit_bytes", "gauge", "limits.max_responses_bytes of all workers.",
         AT(budget_limit)},
        {"sluice_log_lines_dropped_total", "counter", "Log lines that nothing took.", AT(log_dropped)},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        write_help(out, all[i].name, all[i].type, all[i].help);
        (void)buf_append_bytes(out, bytes_cstr(all[i].name));
        write_number(out, sum_at(m, all[i].at));
    }
}

static void write_refusals(const struct metrics *m, struct buf *out)
{
    write_help(out, "sluice_refusals_total", "counter",
               "Connections and requests refused before they were a request.");
    for (size_t i = 0; i < REFUSALS; i++) {
        (void)buf_printf(out, "sluice_refusals_total{reason=\"%s\"}", refusal_names[i]);
        write_number(out, sum_at(m, AT(refusals) + i * sizeof(cell)));
    }
}

static size_t endpoint_at(uint32_t row, size_t transport)
{
    return AT(endpoints) + ((size_t)row * TRANSPORTS + transport) * sizeof(struct endpoint_cells);
}

static const char *const transport_names[TRANSPORTS] = {"http", "websocket"};

static void write_endpoints(const struct metrics *m, struct buf *out)
{
    const struct shared_names *names = &m->shared->names;
    const uint32_t n = rows_of(&names->n_endpoints, METRICS_ENDPOINTS);
    write_help(out, "sluice_requests_total", "counter", "Requests that have ended, and how.");
    for (uint32_t i = 0; i < n; i++)
        for (size_t t = 0; t < TRANSPORTS; t++)
            for (size_t end = 0; end < REQUEST_ENDS; end++) {
                const uint64_t value = sum_at(m, endpoint_at(i, t) + end * sizeof(cell));
                if (value == 0)
                    continue;
                write_label(out, "sluice_requests_total{", "endpoint", &names->endpoints[i]);
                (void)buf_printf(out, ",transport=\"%s\",end=\"%s\"}", transport_names[t],
                                 request_end_names[end]);
                write_number(out, value);
            }
    write_help(out, "sluice_requests_in_flight", "gauge", "Requests that have begun and not ended.");
    for (uint32_t i = 0; i < n; i++)
        for (size_t t = 0; t < TRANSPORTS; t++) {
            write_label(out, "sluice_requests_in_flight{", "endpoint", &names->endpoints[i]);
            (void)buf_printf(out, ",transport=\"%s\"}", transport_names[t]);
            write_number(out, sum_at(m, endpoint_at(i, t) + offsetof(struct endpoint_cells, in_flight)));
        }
}

/* One line for each row that has a value; `more`: further labels. */
static void write_principal_lines(const struct metrics *m, struct buf *out, const char *begin, size_t at,
                                  const char *label, const char *value)
{
    const struct shared_names *names = &m->shared->names;
    const uint32_t n = rows_of(&names->n_principals, METRICS_PRINCIPALS);
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t count = sum_at(m, AT(principals) + i * sizeof(struct principal_cells) + at);
        if (count == 0)
            continue;
        write_label(out, begin, "principal", &names->principals[i]);
        (void)buf_printf(out, ",%s=\"%s\"}", label, value);
        write_number(out, count);
    }
}

static void write_principals(const struct metrics *m, struct buf *out)
{
    static const struct {
        const char *type;
        size_t at;
    } tokens[] = {{"input", offsetof(struct principal_cells, input)},
                  {"output", offsetof(struct principal_cells, output)},
                  {"cached", offsetof(struct principal_cells, cached)}};
    write_help(out, "sluice_principal_requests_total", "counter",
               "Requests by who asked, and how they ended.");
    for (size_t end = 0; end < REQUEST_ENDS; end++)
        write_principal_lines(m, out, "sluice_principal_requests_total{", end * sizeof(cell), "end",
                              request_end_names[end]);
    write_help(out, "sluice_principal_tokens_total", "counter",
               "Tokens by who asked; cached ones are input tokens too.");
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++)
        write_principal_lines(m, out, "sluice_principal_tokens_total{", tokens[i].at, "gen_ai_token_type",
                              tokens[i].type);
}

static size_t route_at(uint32_t row)
{
    return AT(routes) + row * sizeof(struct route_cells);
}

static void write_route_labels(const struct metrics *m, struct buf *out, const char *name, uint32_t row)
{
    (void)buf_append_bytes(out, bytes_cstr(name));
    write_label(out, "{", "gen_ai_request_model", &m->shared->names.routes[row].entry);
    write_label(out, ",", "gen_ai_provider_name", &m->shared->names.routes[row].provider);
}

static void write_routes(const struct metrics *m, struct buf *out)
{
    const uint32_t n = rows_of(&m->shared->names.n_routes, METRICS_ROUTES);
    write_help(out, "sluice_model_requests_total", "counter",
               "Requests by model and provider, and how they ended.");
    for (uint32_t i = 0; i < n; i++)
        for (size_t end = 0; end < REQUEST_ENDS; end++) {
            const uint64_t value = sum_at(m, route_at(i) + end * sizeof(cell));
            if (value == 0)
                continue;
            write_route_labels(m, out, "sluice_model_requests_total", i);
            (void)buf_printf(out, ",end=\"%s\"}", request_end_names[end]);
            write_number(out, value);
        }
    write_help(out, "sluice_cached_tokens_total", "counter", "Input tokens that the provider had cached.");
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t value = sum_at(m, route_at(i) + offsetof(struct route_cells, cached_tokens));
        if (value == 0)
            continue;
        write_route_labels(m, out, "sluice_cached_tokens_total", i);
        (void)buf_append_char(out, '}');
        write_number(out, value);
    }
}

struct family {
    const char *name, *help;
    const uint32_t *bounds;
    size_t n_bounds;
    bool seconds; /* from milliseconds */
};

/* 2500 milliseconds are 2.5, 10 tokens 10. */
static void write_scaled(struct buf *out, uint64_t value, bool seconds)
{
    (void)buf_append_u64(out, seconds ? value / 1000 : value);
    if (!seconds || value % 1000 == 0)
        return;
    char digits[4] = {(char)('0' + value / 100 % 10), (char)('0' + value / 10 % 10),
                      (char)('0' + value % 10)};
    size_t len = 3;
    while (digits[len - 1] == '0')
        len--;
    (void)buf_append_char(out, '.');
    (void)buf_append(out, digits, len);
}

/* `more`: further labels, comma first. */
static void write_histogram(const struct metrics *m, struct buf *out, const struct family *f, uint32_t row,
                            size_t at, const char *more)
{
    uint64_t buckets[BUCKETS_MAX], total = 0;
    for (size_t i = 0; i <= f->n_bounds; i++)
        total += buckets[i] = sum_at(m, route_at(row) + at + i * sizeof(cell));
    if (total == 0)
        return;
    uint64_t so_far = 0;
    for (size_t i = 0; i <= f->n_bounds; i++) {
        so_far += buckets[i];
        (void)buf_append_bytes(out, bytes_cstr(f->name));
        write_route_labels(m, out, "_bucket", row);
        (void)buf_printf(out, ",gen_ai_operation_name=\"chat\"%s,le=\"", more);
        if (i < f->n_bounds)
            write_scaled(out, f->bounds[i], f->seconds);
        else
            (void)buf_append_bytes(out, BYTES("+Inf"));
        (void)buf_append_bytes(out, BYTES("\"}"));
        write_number(out, so_far);
    }
    (void)buf_append_bytes(out, bytes_cstr(f->name));
    write_route_labels(m, out, "_sum", row);
    (void)buf_printf(out, ",gen_ai_operation_name=\"chat\"%s} ", more);
    write_scaled(out, sum_at(m, route_at(row) + at + offsetof(struct histogram, sum)), f->seconds);
    (void)buf_append_char(out, '\n');
    (void)buf_append_bytes(out, bytes_cstr(f->name));
    write_route_labels(m, out, "_count", row);
    (void)buf_printf(out, ",gen_ai_operation_name=\"chat\"%s}", more);
    write_number(out, total);
}

static void write_histograms(const struct metrics *m, struct buf *out)
{
    static const struct family first_token = {"gen_ai_server_time_to_first_token_seconds",
                                              "From asking the provider to the first event of its answer.",
                                              first_token_bounds_ms, FIRST_TOKEN_BUCKETS, true};
    static const struct family duration = {"gen_ai_server_request_duration_seconds",
                                           "From the client's request to the end of its answer.",
                                           duration_bounds_ms, DURATION_BUCKETS, true};
    static const struct family usage = {"gen_ai_client_token_usage",
                                        "Tokens of a request, as the provider told them.", token_bounds,
                                        TOKEN_BUCKETS, false};
    const uint32_t n = rows_of(&m->shared->names.n_routes, METRICS_ROUTES);
    write_help(out, first_token.name, "histogram", first_token.help);
    for (uint32_t i = 0; i < n; i++)
        write_histogram(m, out, &first_token, i, offsetof(struct route_cells, first_token), "");
    write_help(out, duration.name, "histogram", duration.help);
    for (uint32_t i = 0; i < n; i++)
        write_histogram(m, out, &duration, i, offsetof(struct route_cells, duration), "");
    write_help(out, usage.name, "histogram", usage.help);
    for (uint32_t i = 0; i < n; i++) {
        write_histogram(m, out, &usage, i, offsetof(struct route_cells, input),
                        ",gen_ai_token_type=\"input\"");
        write_histogram(m, out, &usage, i, offsetof(struct route_cells, output),
                        ",gen_ai_token_type=\"output\"");
    }
}

void metrics_write(const struct metrics *m, struct buf *out)
{
    write_help(out, "sluice_build_info", "gauge", "Always 1; the label says which version runs.");
    (void)buf_append_bytes(out, BYTES("sluice_build_info{version=\"" SLUICE_VERSION "\"} 1\n"));
    write_plain(m, out);
    write_refusals(m, out);
    write_endpoints(m, out);
    write_principals(m, out);
    write_routes(m, out);
    write_histograms(m, out);
}
