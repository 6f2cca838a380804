#include "protocols/chat_completions/chat.h"

/* Citations. The log holds an annotation as Responses says it, {"type":"url_citation","url":..}; here the
 * same members lie one level deeper, {"type":"url_citation","url_citation":{"url":..}}. Annotations of other
 * types have no words here. */

void chat_read_annotations(struct llm_builder *b, const struct json_doc *doc, json_ref list,
                           struct buf *scratch)
{
    for (json_ref a = json_first(doc, list); a != JSON_NONE; a = json_next(doc, a)) {
        json_ref citation = json_get(doc, a, "url_citation");
        if (!json_is(doc, citation, JSON_OBJECT) || json_first(doc, citation) == JSON_NONE ||
            json_get(doc, citation, "type") != JSON_NONE)
            continue;
        const struct bytes type = BYTES("{\"type\":\"url_citation\",");
        buf_reset(scratch);
        buf_append_bytes(scratch, type);
        if (json_compact(json_raw(doc, citation), scratch) != ERR_OK)
            continue;
        scratch->data[type.len] = ' '; /* the inner brace */
        llm_builder_annotation(b, buf_bytes(scratch));
    }
}

bool chat_write_annotation(struct bytes raw, struct json_writer *w)
{
    static const struct json_limits limits = {.max_depth = 32, .max_nodes = 4096};
    struct json_doc d;
    bool known = false;
    json_doc_init(&d);
    if (json_parse(&d, raw, &limits, NULL) == ERR_OK) {
        json_ref type = json_get(&d, 0, "type");
        known = json_is(&d, type, JSON_STRING) && bytes_is(json_raw_string(&d, type), "url_citation");
    }
    if (known && w) {
        jw_object(w);
        jw_kcstr(w, "type", "url_citation");
        jw_key(w, "url_citation");
        jw_object(w);
        for (json_ref m = json_first(&d, 0); m != JSON_NONE; m = json_next(&d, m)) {
            static const char *const members[] = {"start_index", "end_index", "url", "title"};
            for (size_t i = 0; i < ARRAY_LEN(members); i++)
                if (json_key_is(&d, m, members[i]))
                    jw_kraw(w, members[i], json_raw(&d, m));
        }
        jw_object_end(w);
        jw_object_end(w);
    }
    json_doc_free(&d);
    return known;
}
