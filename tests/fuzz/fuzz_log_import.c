/* Records and a state that came from elsewhere: refused, or read without harm by every dialect. */
#include "protocols/llm_log_copy.h"
#include "tests/fuzz/fuzz.h"

static void nothing(struct event_sink *s UNUSED, const char *name UNUSED) {}

static void end(struct event_sink *s UNUSED) {}

static void read_all(const struct llm_log *l)
{
    const struct llm_head head = {.id = BYTES("resp_1"), .model = BYTES("m")};
    for (size_t i = 0; i < n_dialects; i++) {
        struct llm_encoder e = {.head = &head, .include_usage = true};
        struct buf out;
        if (!dialects[i]->encode_events)
            continue;
        buf_init(&out, 1 << 26);
        struct event_sink sink = {.out = &out, .begin = nothing, .end = end};
        while (dialects[i]->encode_events(&e, l, &sink, out.len + 4096)) {
        }
        if (l->ended && l->terminal != LLM_EV_FAILED)
            dialects[i]->encode_answer(&head, l, &out);
        buf_free(&out);
    }
}

/* The first two bytes: how long the state is that the input ends with. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct llm_log l;
    if (size < 2)
        return 0;
    const size_t n_state = MIN((size_t)(data[0] << 8 | data[1]), size - 2), n_records = size - 2 - n_state;
    char *records = exact_copy((const char *)data + 2, n_records);
    char *state = exact_copy((const char *)data + 2 + n_records, n_state);
    MUST(llm_log_init(&l, BYTES("seed"), 1 << 20) == ERR_OK);
    if (llm_log_import(&l, bytes_of(records, n_records)) == ERR_OK &&
        (n_state == 0 ? !l.ended || l.terminal != LLM_EV_FAILED
                      : llm_log_import_state(&l, bytes_of(state, n_state)) == ERR_OK))
        read_all(&l);
    llm_log_free(&l);
    free(records);
    free(state);
    return 0;
}
