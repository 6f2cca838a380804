#pragma once
/* A log out of this process and into another one, or into a file and back: its records as they lie in memory,
 * chunk by chunk, also while it grows; and its state, which is what is not in records.
 *
 * Both are for machines of one kind and one version of this program: whoever keeps them marks them so. */
#include "protocols/llm_event.h"

/* The records from *pos to the end of their chunk, which *pos moves past; borrowed from the log. False: there
 * are no more, for now. */
bool llm_log_export(const struct llm_log *l, struct llm_pos *pos, struct bytes *ret);
/* Appends the state: whose words the extras are, the usage as far as it is known, and what the terminal
 * carries. */
void llm_log_export_state(const struct llm_log *l, struct buf *out);

/* Appends records that llm_log_export gave, in its order. Nothing in them is believed: ERR_INVALID when they
 * are not what a builder makes; the log is then good for llm_log_free alone. ERR_LIMIT (max_bytes),
 * ERR_NOMEM. Texts are checked to be UTF-8; raw JSON members are not read. */
enum err llm_log_import(struct llm_log *l, struct bytes records) MUST_USE;
/* The state, after the records that it was exported with. ERR_INVALID, ERR_NOMEM. */
enum err llm_log_import_state(struct llm_log *l, struct bytes state) MUST_USE;
