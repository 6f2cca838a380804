#include "loadtest/kit/tokens.h"
#include "loadtest/mock.h"
#include <stdio.h>
#include <stdlib.h>

static void script_free(struct script *s)
{
    buf_free(&s->bytes);
    free(s->ends);
    free(s->stamps);
    free(s);
}

/* A part as one HTTP/1.1 chunk, or as it is. */
static void add_part(struct script *s, const struct buf *part, uint32_t index)
{
    if (s->key.chunked)
        (void)buf_printf(&s->bytes, "%zx\r\n", part->len);
    (void)buf_append_bytes(&s->bytes, buf_bytes(part));
    if (s->key.chunked)
        (void)buf_append(&s->bytes, "\r\n", 2);
    if (s->key.chunked && index + 1 == s->n_parts)
        (void)buf_append(&s->bytes, "0\r\n\r\n", 5);
    s->ends[index] = (uint32_t)s->bytes.len;
}

/* The stamp stands right behind the '@' of the part's own token. */
static void note_stamp(struct script *s, uint32_t index)
{
    size_t from = index ? s->ends[index - 1] : 0;
    const char *at = memchr(s->bytes.data + from, '@', s->bytes.len - from);
    s->stamps[index] = at ? (uint32_t)(at + 1 - s->bytes.data) : 0;
}

static void build_stream(struct script *s, struct buf *part)
{
    const struct script_key *k = &s->key;
    for (uint32_t i = 0; i < s->n_parts && !s->bytes.failed && !part->failed; i++) {
        buf_reset(part);
        if (i == 0)
            frames_prefix(part, k);
        if (i < k->tokens)
            frames_token(part, k, i);
        if (i + 1 == s->n_parts)
            frames_suffix(part, k);
        add_part(s, part, i);
        if (s->stamps && i < k->tokens && !s->bytes.failed)
            note_stamp(s, i);
    }
}

static struct script *script_build(const struct script_key *key)
{
    struct script *s = calloc(1, sizeof(*s));
    struct buf part;
    if (!s)
        return NULL;
    s->key = *key;
    s->n_parts = key->stream && !key->error && key->tokens ? key->tokens : 1;
    buf_init(&s->bytes, SCRIPT_MAX_BYTES);
    buf_init(&part, SCRIPT_MAX_BYTES);
    list_init(&s->node);
    s->ends = calloc(s->n_parts, sizeof(*s->ends));
    if (key->stamped && key->stream && !key->error)
        s->stamps = calloc(s->n_parts, sizeof(*s->stamps));
    bool ok = s->ends && (s->stamps || !(key->stamped && key->stream && !key->error));
    if (ok && key->stream && !key->error) {
        build_stream(s, &part);
    } else if (ok) {
        if (key->error)
            frames_error(&s->bytes);
        else
            frames_whole(&s->bytes, key);
        s->ends[0] = (uint32_t)s->bytes.len;
    }
    ok = ok && !s->bytes.failed && !part.failed;
    buf_free(&part);
    if (ok)
        return s;
    script_free(s);
    return NULL;
}

/* Keeps few: the oldest that nobody reads goes first. */
static void evict(struct mock_loop *l)
{
    LIST_EACH(&l->scripts, node)
    {
        struct script *s = CONTAINER_OF(node, struct script, node);
        if (l->n_scripts < SCRIPTS_KEPT)
            return;
        if (s->refs)
            continue;
        list_remove(node);
        l->n_scripts--;
        script_free(s);
    }
}

struct script *script_get(struct mock_loop *l, const struct script_key *key)
{
    LIST_EACH(&l->scripts, node)
    {
        struct script *s = CONTAINER_OF(node, struct script, node);
        if (memcmp(&s->key, key, sizeof(*key)) == 0) {
            s->refs++;
            return s;
        }
    }
    evict(l);
    struct script *s = script_build(key);
    if (!s)
        return NULL;
    s->refs = 1;
    list_append(&l->scripts, &s->node);
    l->n_scripts++;
    return s;
}

void script_put(struct mock_loop *l, struct script *s)
{
    (void)l;
    s->refs--;
}

void scripts_free(struct mock_loop *l)
{
    LIST_EACH(&l->scripts, node)
    {
        list_remove(node);
        script_free(CONTAINER_OF(node, struct script, node));
    }
}
