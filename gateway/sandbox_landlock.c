/* Landlock (landlock(7)): a worker may read what the libraries below it need, and write nothing. It may not
 * bind a TCP port, nor signal anybody outside. */
#include "gateway/sandbox_rules.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's words, here because Debian 12's headers do not have the later ones. */
enum {
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_FIRST = (1 << 13) - 1, /* of the first version */
    FS_REFER = 1 << 13,       /* version 2 */
    FS_TRUNCATE = 1 << 14,    /* version 3 */
    NET_BIND_TCP = 1 << 0,    /* version 4 */
    SCOPE_ABSTRACT_UNIX = 1 << 0,
    SCOPE_SIGNAL = 1 << 1, /* version 6 */
    VERSION_FLAG = 1 << 0,
    RULE_PATH_BENEATH = 1,
};

struct ruleset_attr {
    uint64_t fs, net, scoped;
};

struct path_attr {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

/* What libc, curl and OpenSSL read while a worker serves: names, certificate authorities, libraries that are
 * loaded late, and their own process. */
static const char *const readable[] = {
    "/proc/self",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/zoneinfo",
    "/etc/localtime",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/dev/null",
    "/dev/urandom",
    "/dev/random",
    "/sys/devices/system/cpu",
};

/* What is not there needs no rule. */
static void allow(int ruleset, const char *path)
{
    struct stat st;
    const int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0) {
        const struct path_attr rule = {FS_READ_FILE | (S_ISDIR(st.st_mode) ? FS_READ_DIR : 0), fd};
        (void)syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0);
    }
    (void)close(fd);
}

enum err landlock_rules(void)
{
    const long version = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, VERSION_FLAG);
    if (version < 1)
        return ERR_NOT_FOUND;
    struct ruleset_attr attr = {.fs = FS_FIRST | (version >= 2 ? FS_REFER : 0) |
                                      (version >= 3 ? FS_TRUNCATE : 0),
                                .net = version >= 4 ? NET_BIND_TCP : 0,
                                .scoped = version >= 6 ? SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL : 0};
    const size_t size = version >= 6 ? sizeof(attr) : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    const int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return ERR_IO;
    for (size_t i = 0; i < sizeof(readable) / sizeof(readable[0]); i++)
        allow(ruleset, readable[i]);
    /* The names of files change when they are written anew, so that a rule for one holds no more. Who is not
     * root may read of /etc what everybody may. */
    if (geteuid() != 0)
        allow(ruleset, "/etc");
    const char *const named[] = {getenv("SSL_CERT_FILE"), getenv("SSL_CERT_DIR"), getenv("OPENSSL_CONF")};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if (named[i])
            allow(ruleset, named[i]);
    const bool ok = syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    const int saved = errno;
    (void)close(ruleset);
    errno = saved;
    return ok ? ERR_OK : ERR_IO;
}
