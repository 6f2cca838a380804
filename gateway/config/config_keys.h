#pragma once
/* The table of all keys, sorted by path: what may be written, what it means, and where it goes. The reader,
 * the messages,
 * --help and the README's reference are made from it. */
#include "gateway/config/config.h"

enum config_type {
    CONFIG_MAP,
    CONFIG_MAPS,    /* a list of maps; the keys of one are PATH[].KEY */
    CONFIG_STRINGS, /* a list of strings */
    CONFIG_STRING,  /* min, max: bytes */
    CONFIG_SECRET,  /* a string that no message shows */
    CONFIG_BOOL,
    CONFIG_NUMBER,   /* min, max; or the word in `words`, which is stored as 0 */
    CONFIG_SIZE,     /* "1MiB"; min, max: bytes */
    CONFIG_DURATION, /* "5s"; min, max: milliseconds */
    CONFIG_ENUM,     /* one of `words`, parted by '|', stored as its index */
};

/* The value is not stored by the reader: whoever checks the key takes it from the tree. */
#define CONFIG_ELSEWHERE UINT32_MAX

struct config_keydef {
    const char *path;
    enum config_type type;
    const char *preset; /* the default, as one would write it; NULL: none */
    uint64_t min, max;  /* of a list: items */
    const char *words;
    const char *others; /* more words, which mean something elsewhere, and why they do not here */
    const char *others_why;
    bool required;     /* wherever its map is written */
    bool reload;       /* SIGHUP may change it */
    uint32_t at;       /* place in its record (struct config, or the item of the list that it lies in) */
    uint32_t width;    /* of the place; lists: of one item */
    uint32_t count_at; /* lists: place of the count */
    const char *help;
};

extern const struct config_keydef config_keys[];
extern const size_t config_n_keys;

/* NULL: no such key. */
const struct config_keydef *config_key_find(const char *path);
/* The last word of a path. */
const char *config_key_leaf(const struct config_keydef *d);
/* `d` stands directly in the map whose path in the table is `map` ("" for the whole file, "listen[]" for an
 * item). */
bool config_key_in(const struct config_keydef *d, const char *map);
