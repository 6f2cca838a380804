#pragma once
/* What embed.cmake generates from the files of this folder. */
#include "gateway/web/web.h"

extern const struct web_asset web_assets[];
extern const size_t web_assets_count;
