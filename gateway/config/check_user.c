#include "gateway/config/check.h"
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

void check_user(struct config *cfg, const struct node *root, struct problems *p)
{
    enum { ROOM = 16384 };
    char room[ROOM];
    struct passwd user, *known_user = NULL;
    struct group group, *known_group = NULL;
    cfg->uid = geteuid();
    cfg->gid = getegid();
    cfg->has_user = cfg->user || cfg->group;
    if (cfg->user) {
        if (getpwnam_r(cfg->user, &user, room, sizeof(room), &known_user) != 0 || !known_user) {
            node_problem(p, node_get(root, "user"),
                         "no user of this machine is called '%s'; allowed: one that is", cfg->user);
        } else {
            cfg->uid = user.pw_uid;
            cfg->gid = user.pw_gid;
        }
    }
    if (cfg->group) {
        if (getgrnam_r(cfg->group, &group, room, sizeof(room), &known_group) != 0 || !known_group)
            node_problem(p, node_get(root, "group"),
                         "no group of this machine is called '%s'; allowed: one that is", cfg->group);
        else
            cfg->gid = group.gr_gid;
    }
}
