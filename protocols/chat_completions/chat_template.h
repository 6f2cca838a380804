#pragma once
/* The chunks of one stream are alike but for their text. Once a chunk has been parsed whole, its bytes before
 * and after the text are remembered; a chunk that has the same bytes around another plain string is the same
 * JSON with another text, and need not be parsed again. That is two comparisons instead of a scan: a fifth of
 * the user time of a token.
 *
 * Only a chunk whose text is all that it says (no finish, no usage, no call, no log probabilities) is
 * remembered. */
#include "protocols/llm_event.h"

enum { CHAT_TEMPLATE_MAX = 512 };

struct chat_template {
    uint16_t before,
        after; /* bytes of `around` that stand before the text, and after it; 0: nothing learnt */
    enum llm_part_kind kind; /* of the text */
    unsigned misses;         /* in a row; a stream whose chunks differ elsewhere is not tried for ever */
    char around[CHAT_TEMPLATE_MAX]; /* the text's quotes included */
};

void chat_template_init(struct chat_template *t);
/* The text of a chunk that is like the remembered one; false: parse it. */
bool chat_template_match(struct chat_template *t, struct bytes chunk, struct bytes *ret_text);
/* A chunk that was parsed whole and was not matched. */
void chat_template_learn(struct chat_template *t, const struct json_doc *chunk);
