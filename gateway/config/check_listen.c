#include "gateway/config/address.h"
#include "gateway/config/check.h"
#include "gateway/config/url.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct bytes check_text(const struct node *map, const char *key)
{
    const struct node *n = node_get(map, key);
    return n && n->kind == NODE_SCALAR && !n->bad ? n->text : bytes_of(NULL, 0);
}

bool check_pattern(struct bytes s)
{
    const char *star = s.len ? memchr(s.data, '*', s.len) : NULL;
    return !star || star == s.data + s.len - 1;
}

bool check_has_loopback(const struct config *cfg)
{
    for (size_t i = 0; i < cfg->n_listen; i++)
        if (cfg->listen[i].loopback)
            return true;
    return false;
}

static void check_readable(const struct node *n, const char *file, struct problems *p)
{
    static const char way_out[] = "a PEM file that this user can read";
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        node_problem(p, n, "%s cannot be read: %s; allowed: %s", file, strerror(errno), way_out);
        return;
    }
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        node_problem(p, n, "%s is not a regular file; allowed: %s", file, way_out);
    (void)close(fd);
}

/* A relative path begins at the configuration's directory. */
static const char *file_path(struct config *cfg, const struct node *tls, const char *key, struct problems *p)
{
    struct bytes text = check_text(tls, key);
    if (text.len == 0)
        return NULL;
    const char *slash = strrchr(cfg->file, '/');
    int dir = slash && text.data[0] != '/' ? (int)(slash + 1 - cfg->file) : 0;
    const char *path = arena_printf(&cfg->arena, "%.*s%.*s", dir, cfg->file, BYTES_FMT(text));
    if (path)
        check_readable(node_get(tls, key), path, p);
    else
        node_problem(p, tls, "out of memory");
    return path;
}

static bool same_place(const struct config_listener *a, const struct config_listener *b)
{
    if (a->unix_path && b->unix_path)
        return strcmp(a->unix_path, b->unix_path) == 0;
    return a->host && b->host && a->port != 0 && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void check_listener(struct config *cfg, size_t i, const struct node *n, struct problems *p)
{
    struct config_listener *l = &cfg->listen[i];
    const struct node *tls = node_get(n, "tls");
    if (tls && tls->kind == NODE_MAP) {
        l->tls = true;
        l->certificate = file_path(cfg, tls, "certificate", p);
        l->key = file_path(cfg, tls, "key", p);
    }
    if (!l->address)
        return;
    const struct node *address = node_get(n, "address");
    const char *wrong = address_parse(l->address, &cfg->arena, l);
    if (wrong) {
        node_problem(p, address, "%s; allowed: IPV4:PORT, [IPV6]:PORT or unix:/PATH", wrong);
        return;
    }
    if (!tls && !l->loopback && !l->allow_plaintext)
        node_problem(
            p, address,
            "would be without TLS for others than this machine; allowed: tls, a loopback address, or "
            "allow_plaintext: true");
    for (size_t j = 0; j < i; j++)
        if (same_place(l, &cfg->listen[j]))
            node_problem(p, address, "stands twice, first as listen[%zu]; allowed: once", j);
}

void check_listeners(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *list = node_get(root, "listen");
    const struct node *n = list ? list->first : NULL;
    for (size_t i = 0; i < cfg->n_listen && n; i++, n = n->next)
        check_listener(cfg, i, n, p);
    const struct node *echo = node_get(node_get(root, "debug"), "echo");
    if (cfg->echo && echo && !check_has_loopback(cfg))
        node_problem(p, echo,
                     "works on loopback listeners only, and there is none; allowed: false, or a listener on "
                     "127.0.0.1, [::1] or unix:/PATH");
}

void check_origins(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *list = node_get(root, "origins");
    const struct node *n = list ? list->first : NULL;
    for (size_t i = 0; i < cfg->n_origins && n; i++, n = n->next) {
        if (!cfg->origins[i])
            continue;
        const char *wrong = url_check_origin(bytes_cstr(cfg->origins[i]));
        if (wrong)
            node_problem(p, n, "%s; allowed: SCHEME://HOST[:PORT] in lower case, as browsers send it", wrong);
    }
}

void check_limits(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *limits = node_get(root, "limits");
    const struct node *one = node_get(limits, "max_response_bytes");
    const struct node *all = node_get(limits, "max_responses_bytes");
    uint64_t one_bytes = cfg->limits.max_response_bytes, all_bytes = cfg->limits.max_responses_bytes;
    if ((one || all) && one_bytes > 0 && all_bytes > 0 && one_bytes > all_bytes)
        node_problem(p, one ? one : all,
                     "one answer may be larger (%llu bytes) than all together (%llu bytes); allowed: "
                     "max_response_bytes <= max_responses_bytes",
                     (unsigned long long)one_bytes, (unsigned long long)all_bytes);
}
