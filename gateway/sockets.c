#include "gateway/sockets.h"
#include "common/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { NAME_SIZE = 128, BACKLOG = 4096 };

struct listen_socket {
    char name[NAME_SIZE]; /* as configured */
    unsigned refs;        /* sets that it is in */
    bool local;           /* a Unix socket */
    unsigned mode;        /* of its file; 0: as it comes */
    bool logged;
    dev_t dev; /* of the Unix socket's path, to unlink no other's */
    ino_t ino;
    struct sockaddr_storage address; /* with the port that was had */
    socklen_t address_len;
    int *fds; /* a Unix socket has one */
    unsigned n_fds;
};

static void refuse(const struct listen_socket *s, const char *what)
{
    if (errno == EADDRINUSE)
        LOG_ERROR("cannot listen address=%s reason=\"the address is in use by another process\"", s->name);
    else
        LOG_ERROR("cannot listen address=%s reason=\"%s: %s\"", s->name, what, strerror(errno));
}

static void fill_address(struct listen_socket *s, const struct config_listener *l)
{
    if (l->unix_path) {
        struct sockaddr_un *sun = (struct sockaddr_un *)&s->address;
        sun->sun_family = AF_UNIX;
        (void)snprintf(sun->sun_path, sizeof(sun->sun_path), "%s", l->unix_path);
        s->address_len = sizeof(*sun);
        s->local = true;
        s->mode = l->mode;
        return;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)&s->address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&s->address;
    if (inet_pton(AF_INET, l->host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(l->port);
        s->address_len = sizeof(*in);
    } else if (inet_pton(AF_INET6, l->host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(l->port);
        s->address_len = sizeof(*in6);
    }
}

static bool set_option(int fd, int level, int option)
{
    int on = 1;
    return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

/* A bound TCP socket, or -1. */
static int bind_tcp(const struct listen_socket *s, bool share)
{
    int fd = socket(s->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool ok = set_option(fd, SOL_SOCKET, SO_REUSEADDR) &&
              (!share || set_option(fd, SOL_SOCKET, SO_REUSEPORT)) &&
              (s->address.ss_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
              bind(fd, (const struct sockaddr *)&s->address, s->address_len) == 0;
    if (ok)
        return fd;
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return -1;
}

/* With SO_REUSEPORT a second gateway of the same user would bind without an error and take half of the
 * connections: so first bind without it. */
static bool address_is_free(const struct listen_socket *s)
{
    int fd = bind_tcp(s, false);
    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}

static bool open_slot(struct listen_socket *s)
{
    int fd = bind_tcp(s, true);
    if (fd < 0)
        return false;
    socklen_t len = sizeof(s->address);
    if (listen(fd, BACKLOG) != 0 || getsockname(fd, (struct sockaddr *)&s->address, &len) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return false;
    }
    s->address_len = len;
    s->fds[s->n_fds++] = fd;
    return true;
}

static bool grow(struct listen_socket *s, unsigned workers)
{
    if (s->local || s->n_fds >= workers)
        return true;
    int *fds = realloc(s->fds, workers * sizeof(*fds));
    if (!fds)
        return false;
    s->fds = fds;
    while (s->n_fds < workers)
        if (!open_slot(s))
            return false;
    return true;
}

/* A socket file that nobody listens on any more. */
static bool is_stale(const struct listen_socket *s)
{
    const char *path = ((const struct sockaddr_un *)&s->address)->sun_path;
    struct stat st;
    if (lstat(path, &st) != 0)
        return false;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool stale =
        connect(fd, (const struct sockaddr *)&s->address, s->address_len) != 0 && errno == ECONNREFUSED;
    (void)close(fd);
    if (!stale)
        errno = EADDRINUSE;
    return stale;
}

static bool open_unix(struct listen_socket *s)
{
    const char *path = ((const struct sockaddr_un *)&s->address)->sun_path;
    s->fds = malloc(sizeof(*s->fds));
    if (!s->fds)
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int bound = bind(fd, (const struct sockaddr *)&s->address, s->address_len);
    if (bound != 0 && errno == EADDRINUSE) {
        if (is_stale(s) && unlink(path) == 0)
            bound = bind(fd, (const struct sockaddr *)&s->address, s->address_len);
    }
    struct stat st;
    /* Before it listens: nobody connects under other rights. */
    if (bound != 0 || (s->mode != 0 && chmod(path, s->mode) != 0) || stat(path, &st) != 0 ||
        listen(fd, BACKLOG) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return false;
    }
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    s->fds[s->n_fds++] = fd;
    return true;
}

/* Workers of a former generation may have it open still; without the shutdown the kernel would go on to queue
 * connections that nobody takes. */
static void stop_listening(int fd)
{
    (void)shutdown(fd, SHUT_RDWR);
    (void)close(fd);
}

static void unlink_path(const struct listen_socket *s)
{
    const char *path = ((const struct sockaddr_un *)&s->address)->sun_path;
    struct stat st;
    if (s->ino != 0 && lstat(path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
        (void)unlink(path);
}

static void socket_unref(struct listen_socket *s, bool forget)
{
    if (--s->refs > 0)
        return;
    if (!forget) {
        for (unsigned i = 0; i < s->n_fds; i++)
            stop_listening(s->fds[i]);
        if (s->local)
            unlink_path(s);
    }
    free(s->fds);
    free(s);
}

static struct listen_socket *socket_open(const struct config_listener *l, unsigned workers)
{
    struct listen_socket *s = calloc(1, sizeof(*s));
    if (!s) {
        LOG_ERROR("cannot listen address=%s reason=\"out of memory\"", l->address);
        return NULL;
    }
    s->refs = 1;
    (void)snprintf(s->name, sizeof(s->name), "%s", l->address);
    fill_address(s, l);
    bool ok = s->local ? open_unix(s) : (l->port == 0 || address_is_free(s)) && grow(s, workers);
    if (ok)
        return s;
    refuse(s, "it cannot be opened");
    socket_unref(s, false);
    return NULL;
}

static bool set_has(const struct socket_set *set, const struct listen_socket *s)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->items[i] == s)
            return true;
    return false;
}

/* An open socket of that address which `taken` has not yet (several listeners may ask for port 0). */
static struct listen_socket *find(const struct socket_set *former, const struct config_listener *l,
                                  const struct socket_set *taken)
{
    for (size_t i = 0; former && i < former->n; i++)
        if (strcmp(former->items[i]->name, l->address) == 0 && !set_has(taken, former->items[i]))
            return former->items[i];
    return NULL;
}

enum err socket_set_open(const struct config *cfg, const struct socket_set *former, struct socket_set *ret)
{
    struct socket_set set = {.items = calloc(cfg->n_listen, sizeof(struct listen_socket *))};
    if (!set.items)
        return ERR_NOMEM;
    for (size_t i = 0; i < cfg->n_listen; i++) {
        struct listen_socket *s = find(former, &cfg->listen[i], &set);
        if (s)
            s->refs++;
        else
            s = socket_open(&cfg->listen[i], cfg->workers);
        if (!s)
            goto fail;
        set.items[set.n++] = s;
        if (!grow(s, cfg->workers)) {
            refuse(s, "no socket for one more worker");
            goto fail;
        }
    }
    *ret = set;
    return ERR_OK;
fail:
    socket_set_close(&set);
    return ERR_IO;
}

void socket_set_trim(struct socket_set *set, unsigned workers)
{
    for (size_t i = 0; i < set->n; i++) {
        struct listen_socket *s = set->items[i];
        while (!s->local && s->n_fds > workers)
            stop_listening(s->fds[--s->n_fds]);
    }
}

static void release(struct socket_set *set, bool forget)
{
    for (size_t i = 0; i < set->n; i++)
        socket_unref(set->items[i], forget);
    free(set->items);
    *set = (struct socket_set){NULL, 0};
}

void socket_set_close(struct socket_set *set)
{
    release(set, false);
}

void socket_set_forget(struct socket_set *set)
{
    release(set, true);
}

void socket_set_fds(const struct socket_set *set, unsigned slot, int *ret_fds)
{
    for (size_t i = 0; i < set->n; i++)
        ret_fds[i] = set->items[i]->fds[set->items[i]->local ? 0 : slot];
}

void socket_set_log(struct socket_set *set, const struct config *cfg)
{
    for (size_t i = 0; i < set->n; i++) {
        struct listen_socket *s = set->items[i];
        const char *tls = cfg->listen[i].tls ? "true" : "false";
        const char *admin = cfg->listen[i].admin ? "true" : "false";
        char host[INET6_ADDRSTRLEN] = "";
        if (s->logged)
            continue;
        s->logged = true;
        if (s->local) {
            LOG_INFO("listening address=%s tls=%s admin=%s", s->name, tls, admin);
        } else if (s->address.ss_family == AF_INET) {
            const struct sockaddr_in *in = (const struct sockaddr_in *)&s->address;
            (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
            LOG_INFO("listening address=%s:%u tls=%s admin=%s", host, ntohs(in->sin_port), tls, admin);
        } else {
            const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&s->address;
            (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
            LOG_INFO("listening address=[%s]:%u tls=%s admin=%s", host, ntohs(in6->sin6_port), tls, admin);
        }
    }
}
