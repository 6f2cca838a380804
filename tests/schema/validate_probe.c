/* Reads lines KIND<TAB>JSON, prints for each the verdict of the gateway's validators: "ok", or
 * "error<TAB>code<TAB>param". KIND is the name of a schema in protocols/schema without ".json". Exit 2: a
 * line that is none. */
#include "protocols/dialect.h"
#include "protocols/responses/client_event.h"
#include <stdio.h>
#include <stdlib.h>

static const struct json_limits limits = {.max_depth = 64, .max_nodes = 1 << 20};

static enum err decode(const struct json_doc *d, struct arena *a, const struct dialect *dialect,
                       struct api_error *e)
{
    struct llm_request r;
    llm_request_init(&r, a, dialect);
    return dialect->decode_request(d, 0, &r, e);
}

/* A client event that is valid, but of another type than the schema is for, is no valid message of that
 * schema. */
static enum err decode_event(const struct json_doc *d, struct arena *a, enum client_event_type type,
                             struct api_error *e)
{
    struct client_event ev;
    enum err err = client_event_decode(d, a, &ev, e);
    if (err != ERR_OK)
        return err;
    if (ev.type != type) {
        api_error_set(e, 400, API_INVALID, "another_type", "type", "another type");
        return ERR_INVALID;
    }
    return type == CLIENT_RESPONSE_CREATE ? decode(d, a, &dialect_responses, e) : ERR_OK;
}

static enum err verdict(struct bytes kind, const struct json_doc *d, struct arena *a, struct api_error *e)
{
    if (bytes_is(kind, "responses_request"))
        return decode(d, a, &dialect_responses, e);
    if (bytes_is(kind, "chat_completions_request"))
        return decode(d, a, &dialect_chat_completions, e);
    if (bytes_is(kind, "response_create"))
        return decode_event(d, a, CLIENT_RESPONSE_CREATE, e);
    if (bytes_is(kind, "response_cancel"))
        return decode_event(d, a, CLIENT_RESPONSE_CANCEL, e);
    if (bytes_is(kind, "session_ping"))
        return decode_event(d, a, CLIENT_SESSION_PING, e);
    fprintf(stderr, "unknown kind '%.*s'\n", BYTES_FMT(kind));
    exit(2);
}

static void judge(struct bytes kind, struct bytes text)
{
    struct json_doc d;
    struct arena a;
    struct api_error e;
    struct json_error syntax;
    json_doc_init(&d);
    arena_init(&a, 64 << 20);
    if (json_parse(&d, text, &limits, &syntax) != ERR_OK)
        printf("error\tsyntax\t%s\n", syntax.what);
    else if (verdict(kind, &d, &a, &e) == ERR_OK)
        puts("ok");
    else
        printf("error\t%s\t%s\n", e.code ? e.code : "", e.param);
    arena_free(&a);
    json_doc_free(&d);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct bytes text = bytes_of(line, (size_t)n - (line[n - 1] == '\n' ? 1 : 0));
        const char *tab = memchr(text.data, '\t', text.len);
        if (!tab) {
            fprintf(stderr, "a line without a tab\n");
            return 2;
        }
        size_t kind = (size_t)(tab - text.data);
        judge(bytes_of(text.data, kind), bytes_skip(text, kind + 1));
    }
    free(line);
    return 0;
}
