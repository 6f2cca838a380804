#include "gateway/sandbox.h"
#include "common/log.h"
#include "gateway/sandbox_rules.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* LeakSanitizer looks at its process from outside. */
#if defined(__SANITIZE_ADDRESS__)
enum { LOOKED_AT = 1 };
#else
enum { LOOKED_AT = 0 };
#endif

/* Groups first: who is no longer root may not. */
static bool become(const struct config *cfg)
{
    if (geteuid() != 0)
        return cfg->uid == geteuid() && cfg->gid == getegid();
    return setgroups(0, NULL) == 0 && setresgid(cfg->gid, cfg->gid, cfg->gid) == 0 &&
           setresuid(cfg->uid, cfg->uid, cfg->uid) == 0;
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof(none));
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &head, none) == 0;
}

enum err sandbox_drop(const struct config *cfg)
{
    const struct rlimit no_core = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &no_core);
    /* What could be given back by a program that is executed; there is none, but it costs nothing. */
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    if (cfg->has_user && !become(cfg)) {
        LOG_ERROR("cannot become the user or group of the configuration uid=%u gid=%u reason=\"%s\"",
                  (unsigned)cfg->uid, (unsigned)cfg->gid,
                  geteuid() == 0 ? strerror(errno) : "only root can become another");
        return ERR_INVALID;
    }
    if (!drop_capabilities() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        (!LOOKED_AT && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)) {
        LOG_ERROR("cannot give up privileges reason=\"%s\"", strerror(errno));
        return ERR_INVALID;
    }
    return ERR_OK;
}

static enum err enter(const char *name, enum err (*rules)(void))
{
    const enum err e = rules();
    if (e == ERR_NOT_FOUND) {
        LOG_WARN("the kernel has no %s; workers do without (sandbox.%s: false says that this is meant)", name,
                 name);
        return ERR_OK;
    }
    if (e)
        LOG_ERROR("cannot enter the sandbox part=%s reason=\"%s\"", name, strerror(errno));
    return e;
}

enum err sandbox_enter(const struct config *cfg)
{
#if defined(SLUICE_COVERAGE)
    return ERR_OK;
#endif
    enum err e = cfg->sandbox.landlock ? enter("landlock", landlock_rules) : ERR_OK;
    if (e == ERR_OK && cfg->sandbox.seccomp)
        e = enter("seccomp", seccomp_rules);
    return e;
}
