#include "gateway/config/value.h"

enum { PATH_WIDTH = 36, RANGE_WIDTH = 40, PRESET_WIDTH = 10 };

static void pad(struct buf *out, size_t start, size_t width)
{
    do
        (void)buf_append_char(out, ' ');
    while (out->len - start < width && !out->failed);
}

void config_describe(struct buf *out)
{
    for (size_t i = 0; i < config_n_keys; i++) {
        const struct config_keydef *d = &config_keys[i];
        size_t start = out->len;
        (void)buf_printf(out, "  %s", d->path);
        pad(out, start, PATH_WIDTH);
        start = out->len;
        value_range(d, out);
        pad(out, start, RANGE_WIDTH);
        start = out->len;
        (void)buf_append_bytes(out, bytes_cstr(d->preset ? d->preset : d->required ? "required" : "-"));
        pad(out, start, PRESET_WIDTH);
        (void)buf_printf(out, "%s%s\n", d->help, d->reload ? "" : " (needs a restart)");
    }
}
