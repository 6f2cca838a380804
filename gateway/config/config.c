#include "gateway/config/config.h"
#include "common/memory.h"
#include "gateway/config/check.h"
#include "gateway/config/interpolate.h"
#include "gateway/config/read.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024, ARENA_MAX = 64 * 1024 * 1024, WORKERS_MAX = 256 };

static unsigned count_cpus(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    return (unsigned)MAX(1, MIN(CPU_COUNT(&set), WORKERS_MAX));
}

/* What "auto" stands for. */
static void fill_in(struct config *c)
{
    if (c->workers == 0)
        c->workers = count_cpus();
    if (c->limits.max_unauthenticated == 0)
        c->limits.max_unauthenticated = MIN(MAX(c->limits.max_sessions / 2, UINT64_C(1)), UINT64_C(10000));
    if (c->limits.max_unauthenticated_per_address == 0)
        c->limits.max_unauthenticated_per_address = c->limits.max_sessions_per_address;
}

static void read_and_check(struct config *c, struct node *root, struct problems *p)
{
    read_config(c, root, p);
    check_listeners(c, root, p);
    check_hosts(c, root, p);
    check_proxies(c, root, p);
    check_origins(c, root, p);
    check_limits(c, root, p);
    check_providers(c, root, p);
    check_models(c, root, p);
    check_keys(c, root, p);
    check_user(c, root, p);
    check_admin(c, root, p);
    fill_in(c);
}

enum err config_parse(const char *name, struct bytes yaml, struct buf *report, struct config **ret)
{
    struct problems p = {.file = name, .out = report};
    if (yaml.len > FILE_MAX) {
        problem_at(&p, 0, "", "is larger than a configuration may be; allowed: %d bytes", FILE_MAX);
        return ERR_INVALID;
    }
    struct config *c = calloc(1, sizeof(*c));
    if (!c)
        return ERR_NOMEM;
    arena_init(&c->arena, ARENA_MAX);
    struct arena tree;
    arena_init(&tree, ARENA_MAX);
    struct node *root = NULL;
    enum err e = ERR_NOMEM;
    struct bytes file;
    if (arena_dup(&c->arena, bytes_cstr(name), &file)) {
        c->file = file.data;
        e = yaml_tree_parse(yaml, &tree, &p, &root);
    }
    if (e == ERR_OK)
        read_and_check(c, root, &p);
    arena_wipe(&tree);
    if (e == ERR_OK && p.n > 0)
        e = ERR_INVALID;
    if (e != ERR_OK) {
        config_free(c);
        return e;
    }
    *ret = c;
    return ERR_OK;
}

/* Reads to the end, or one byte past the allowed size. */
static enum err read_file(int fd, struct buf *out)
{
    for (;;) {
        if (out->len > FILE_MAX)
            return ERR_OK;
        enum err e = buf_reserve(out, 4096);
        if (e)
            return e;
        ssize_t n = read(fd, out->data + out->len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            return ERR_OK;
        out->len += (size_t)n;
    }
}

enum err config_load(const char *file, struct buf *report, struct config **ret)
{
    struct problems p = {.file = file, .out = report};
    struct buf text;
    buf_init(&text, FILE_MAX + 8192);
    enum err e = ERR_IO;
    memory_scrub_begin();
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        e = read_file(fd, &text);
    if (e == ERR_IO)
        problem_at(&p, 0, "", "cannot be read: %s; give a readable file with --config", strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    if (e == ERR_OK)
        e = config_parse(file, buf_bytes(&text), report, ret);
    if (text.len > 0)
        secret_wipe(text.data, text.len);
    buf_free(&text);
    memory_scrub_end();
    return e;
}

void config_forget_environment(void)
{
    environment_forget();
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n_providers; i++)
        secret_free(&c->providers[i].api_key);
    for (size_t i = 0; i < c->n_keys; i++)
        secret_free(&c->keys[i].value);
    for (size_t i = 0; i < c->n_listen; i++)
        for (size_t j = 0; j < c->listen[i].n_certificates; j++) {
            secret_free(&c->listen[i].certificates[j].chain);
            secret_free(&c->listen[i].certificates[j].private_key);
        }
    arena_free(&c->arena);
    free(c);
}
