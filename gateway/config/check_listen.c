#include "gateway/config/address.h"
#include "gateway/config/check.h"
#include "gateway/config/url.h"
#include "protocols/http1/http1_host.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_FILE_MAX = 256 * 1024 };

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

static enum err read_all(int fd, struct buf *out)
{
    for (;;) {
        enum err e = buf_reserve(out, 4096);
        if (e)
            return e;
        ssize_t n = read(fd, out->data + out->len, 4096);
        if (n < 0 && errno != EINTR)
            return ERR_IO;
        if (n == 0)
            return ERR_OK;
        out->len += n > 0 ? (size_t)n : 0;
    }
}

static void warn_of_readers(const char *file, const struct stat *st)
{
    if (st->st_mode & S_IROTH)
        LOG_WARN("a file with a secret can be read by every user of this machine; chmod o-r it file=%s",
                 file);
}

static void read_secret(const struct node *n, const char *file, const char *what, bool private,
                        struct secret *ret, struct problems *p)
{
    char way_out[64];
    struct stat st;
    struct buf text;
    (void)snprintf(way_out, sizeof(way_out), "%s that this user can read", what);
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        node_problem(p, n, "%s cannot be read: %s; allowed: %s", file, strerror(errno), way_out);
        return;
    }
    buf_init(&text, SECRET_FILE_MAX);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        node_problem(p, n, "%s is not a regular file; allowed: %s", file, way_out);
    else if (read_all(fd, &text) != ERR_OK || secret_set(ret, buf_bytes(&text)) != ERR_OK)
        node_problem(p, n, "%s cannot be read, is empty, or too large; allowed: %s", file, way_out);
    else if (private)
        warn_of_readers(file, &st);
    if (text.len > 0)
        secret_wipe(text.data, text.len);
    buf_free(&text);
    (void)close(fd);
}

/* A relative path begins at the configuration's directory. */
const char *check_file(struct config *cfg, const struct node *map, const char *key, const char *what,
                       struct secret *ret, struct problems *p)
{
    struct bytes text = check_text(map, key);
    if (text.len == 0)
        return NULL;
    const char *slash = strrchr(cfg->file, '/');
    int dir = slash && text.data[0] != '/' ? (int)(slash + 1 - cfg->file) : 0;
    const char *path = arena_printf(&cfg->arena, "%.*s%.*s", dir, cfg->file, BYTES_FMT(text));
    if (path)
        read_secret(node_get(map, key), path, what, strcmp(key, "certificate") != 0, ret, p);
    else
        node_problem(p, map, "out of memory");
    return path;
}

static void check_certificate(struct config *cfg, struct config_certificate *c, const struct node *map,
                              struct problems *p)
{
    c->certificate = check_file(cfg, map, "certificate", "a PEM file", &c->chain, p);
    c->key = check_file(cfg, map, "key", "a PEM file", &c->private_key, p);
}

static void check_tls(struct config *cfg, struct config_listener *l, const struct node *tls,
                      struct problems *p)
{
    const struct node *list = node_get(tls, "certificates");
    const struct node *n = list ? list->first : NULL;
    l->tls = true;
    l->certificates = arena_array(&cfg->arena, 1 + l->n_more, sizeof(*l->certificates));
    if (!l->certificates) {
        node_problem(p, tls, "out of memory");
        return;
    }
    l->n_certificates = 1 + l->n_more;
    check_certificate(cfg, &l->certificates[0], tls, p);
    for (size_t i = 1; i < l->n_certificates && n; i++, n = n->next)
        check_certificate(cfg, &l->certificates[i], n, p);
}

bool check_same_place(const struct config_listener *a, const struct config_listener *b)
{
    if (a->unix_path && b->unix_path)
        return strcmp(a->unix_path, b->unix_path) == 0;
    return a->host && b->host && a->port != 0 && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static bool parse_mode(const char *text, unsigned *ret)
{
    unsigned mode = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '7')
            return false;
        mode = mode << 3 | (unsigned)(*text - '0');
    }
    *ret = mode;
    return mode >= 0600 && mode <= 0777;
}

static void check_listener(struct config *cfg, size_t i, const struct node *n, struct problems *p)
{
    struct config_listener *l = &cfg->listen[i];
    const struct node *tls = node_get(n, "tls");
    if (tls && tls->kind == NODE_MAP)
        check_tls(cfg, l, tls, p);
    if (!l->address)
        return;
    const struct node *address = node_get(n, "address");
    const char *wrong = address_parse(l->address, &cfg->arena, l);
    if (wrong) {
        node_problem(p, address, "%s; allowed: IPV4:PORT, [IPV6]:PORT or unix:/PATH", wrong);
        return;
    }
    if (l->mode_text && (!parse_mode(l->mode_text, &l->mode) || !l->unix_path))
        node_problem(p, node_get(n, "mode"), "%s; allowed: \"0600\" to \"0777\", of a unix:/PATH",
                     l->unix_path ? "is no such mode" : "is for Unix sockets");
    if (!tls && !l->loopback && !l->allow_plaintext)
        node_problem(
            p, address,
            "would be without TLS for others than this machine; allowed: tls, a loopback address, or "
            "allow_plaintext: true");
    for (size_t j = 0; j < i; j++)
        if (check_same_place(l, &cfg->listen[j]))
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

void check_hosts(struct config *cfg, const struct node *root, struct problems *p)
{
    const struct node *list = node_get(root, "hosts");
    const struct node *n = list ? list->first : NULL;
    for (size_t i = 0; i < cfg->n_hosts && n; i++, n = n->next) {
        struct http1_host host;
        if (!cfg->hosts[i])
            continue;
        const struct bytes text = bytes_cstr(cfg->hosts[i]);
        if (!http1_host_parse(text, &host) || host.name.len != text.len || memchr(text.data, '*', text.len))
            node_problem(
                p, n,
                "is no name of a host; allowed: a name such as gateway.example.com, without scheme, port "
                "and *");
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
