#pragma once
/* What the table cannot say: what one key demands of another. Also fills the members that the reader leaves
 * (an address's parts, a target's provider). Reports; never stops at the first problem. Members that already
 * had one are NULL. */
#include "gateway/config/config.h"
#include "gateway/config/yaml_tree.h"

void check_listeners(struct config *cfg, const struct node *root, struct problems *p);
/* Makes admin.address the last listener. After all that looks at the clients'. */
void check_admin(struct config *cfg, const struct node *root, struct problems *p);
void check_origins(struct config *cfg, const struct node *root, struct problems *p);
void check_hosts(struct config *cfg, const struct node *root, struct problems *p);
void check_proxies(struct config *cfg, const struct node *root, struct problems *p);
void check_limits(struct config *cfg, const struct node *root, struct problems *p);
void check_providers(struct config *cfg, const struct node *root, struct problems *p);
/* After check_providers. */
void check_models(struct config *cfg, const struct node *root, struct problems *p);
/* After check_listeners. */
/* The file that `map` names as `key`, read into `ret`: what it is (a relative path begins at the
 * configuration's directory), or NULL with the problem told. `what`: "a PEM file". */
const char *check_file(struct config *cfg, const struct node *map, const char *key, const char *what,
                       struct secret *ret, struct problems *p);
void check_user(struct config *cfg, const struct node *root, struct problems *p);
void check_keys(struct config *cfg, const struct node *root, struct problems *p);

/* Both cannot be listened on. */
bool check_same_place(const struct config_listener *a, const struct config_listener *b);
/* The text of a scalar; {NULL,0} when absent or bad. */
struct bytes check_text(const struct node *map, const char *key);
/* True when there is no '*', or just one, at the end. */
bool check_pattern(struct bytes s);
bool check_has_loopback(const struct config *cfg);
