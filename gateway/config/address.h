#pragma once
/* The address of a listener. */
#include "gateway/config/config.h"

/* Fills host, port, unix_path and loopback from IPV4:PORT, [IPV6]:PORT or unix:/PATH. NULL, or what is wrong
 * (static). */
const char *address_parse(const char *text, struct arena *a, struct config_listener *l);
