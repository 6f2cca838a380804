#include "loadtest/load.h"
#include <fcntl.h>
#include <unistd.h>

/* Composed and decomposed letters, so that there is something to normalize. */
static const char sentence[] =
    "The cafe\xcc\x81 on the corner, na\xc3\xafve as it looks, pours 42 kinds of tea; \xe2\x80\x9cwhich "
    "one?\xe2\x80\x9d the re\xcc\x81gulars ask each day, and each day they order the same. ";

static void put(struct buf *out, const char *s)
{
    (void)buf_append_bytes(out, bytes_cstr(s));
}

/* Whole sentences, at least `len` bytes; never cut inside a character. */
static void put_text(struct buf *out, uint64_t len)
{
    if (len <= 64) {
        put(out, "Say something about tea.");
        return;
    }
    for (uint64_t n = 0; n < len && !out->failed; n += sizeof(sentence) - 1)
        put(out, sentence);
}

static bool from_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0;
    for (ssize_t n = 1; ok && n > 0;) {
        ok = buf_reserve(out, 65536) == ERR_OK && (n = read(fd, out->data + out->len, 65536)) >= 0;
        if (ok)
            out->len += (size_t)n;
    }
    if (fd >= 0)
        close(fd);
    if (!ok)
        (void)fprintf(stderr, "cannot read %s\n", path);
    return ok;
}

bool body_build(const struct load *l, const char *stream_id, struct buf *out)
{
    if (l->o.body)
        return from_file(l->o.body, out);
    put(out, l->mode == MODE_WS ? "{\"type\":\"response.create\",\"model\":\"" : "{\"model\":\"");
    put(out, l->o.model);
    if (l->mode == MODE_CHAT_SSE || l->mode == MODE_CHAT_JSON)
        put(out, "\",\"messages\":[{\"role\":\"system\",\"content\":\"You are brief.\"},"
                 "{\"role\":\"user\",\"content\":\"");
    else
        put(out, "\",\"store\":false,\"instructions\":\"You are brief.\",\"input\":[{\"type\":\"message\","
                 "\"role\":\"user\",\"content\":\"");
    put_text(out, l->o.prompt_bytes);
    put(out, "\"}]");
    if (l->mode == MODE_CHAT_SSE)
        put(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
    if (l->mode == MODE_RESPONSES_SSE)
        put(out, ",\"stream\":true");
    if (stream_id) {
        put(out, ",\"stream_id\":\"");
        put(out, stream_id);
        put(out, "\"");
    }
    put(out, "}");
    return !out->failed;
}
