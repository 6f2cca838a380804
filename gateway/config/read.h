#pragma once
/* From the tree to the struct, as the table says: unknown and missing keys, types, ranges, defaults. */
#include "gateway/config/config.h"
#include "gateway/config/yaml_tree.h"

/* Problems are reported; what has one stays zero, and its node is marked as bad. */
void read_config(struct config *cfg, struct node *root, struct problems *p);
