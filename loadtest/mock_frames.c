/* What the frames of a provider look like: the field set of the public APIs, with one token in each delta. */
#include "loadtest/kit/tokens.h"
#include "loadtest/mock.h"

#define CREATED "1767225600"
#define CHAT_ID "chatcmpl-m0ck000000000000000000000000"
#define RESPONSE_ID "resp_m0ck0000000000000000000000000000"
#define MESSAGE_ID "msg_m0ck00000000000000000000000000000"
enum { PROMPT_TOKENS = 12 };

static void put(struct buf *out, const char *s)
{
    (void)buf_append_bytes(out, bytes_cstr(s));
}

static void put_token(struct buf *out, const struct script_key *k, uint32_t number)
{
    size_t stamp = k->stamped ? 1 + TOKEN_STAMP_DIGITS : 0;
    if (buf_reserve(out, k->size + stamp) != ERR_OK)
        return; /* `failed` is set and looked at by the builder of the script */
    token_write(out->data + out->len, k->size, number, k->stamped);
    out->len += k->size + stamp;
}

static void put_text(struct buf *out, const struct script_key *k)
{
    for (uint32_t i = 0; i < k->tokens; i++)
        put_token(out, k, i);
}

static void chat_open(struct buf *out)
{
    put(out, "data: {\"id\":\"" CHAT_ID "\",\"object\":\"chat.completion.chunk\",\"created\":" CREATED
             ",\"model\":\"mock\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_m0ck000000\","
             "\"choices\":[");
}

static void chat_close(struct buf *out, const struct script_key *k)
{
    put(out, k->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n");
}

static void chat_usage(struct buf *out, const struct script_key *k)
{
    (void)buf_printf(out, "{\"prompt_tokens\":%d,\"completion_tokens\":%u,\"total_tokens\":%u}",
                     PROMPT_TOKENS, k->tokens, k->tokens + PROMPT_TOKENS);
}

static void chat_suffix(struct buf *out, const struct script_key *k)
{
    chat_open(out);
    put(out, "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}");
    chat_close(out, k);
    if (k->include_usage) {
        chat_open(out);
        put(out, "],\"usage\":");
        chat_usage(out, k);
        put(out, "}\n\n");
    }
    put(out, "data: [DONE]\n\n");
}

static void chat_whole(struct buf *out, const struct script_key *k)
{
    put(out,
        "{\"id\":\"" CHAT_ID "\",\"object\":\"chat.completion\",\"created\":" CREATED
        ",\"model\":\"mock\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    put_text(out, k);
    put(out,
        "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":");
    chat_usage(out, k);
    put(out, ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_m0ck000000\"}");
}

static void response_part(struct buf *out, const struct script_key *k, bool text)
{
    put(out, "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"");
    if (text)
        put_text(out, k);
    put(out, "\"}");
}

static void response_item(struct buf *out, const struct script_key *k, bool done)
{
    put(out, "{\"id\":\"" MESSAGE_ID "\",\"type\":\"message\",\"status\":\"");
    put(out, done ? "completed\",\"content\":[" : "in_progress\",\"content\":[");
    if (done)
        response_part(out, k, true);
    put(out, "],\"role\":\"assistant\"}");
}

static void response_object(struct buf *out, const struct script_key *k, bool done)
{
    put(out, "{\"id\":\"" RESPONSE_ID "\",\"object\":\"response\",\"created_at\":" CREATED ",\"status\":\"");
    put(out, done ? "completed" : "in_progress");
    put(out, "\",\"background\":false,\"error\":null,\"incomplete_details\":null,\"instructions\":null,"
             "\"max_output_tokens\":null,\"model\":\"mock\",\"output\":[");
    if (done)
        response_item(out, k, true);
    put(out, "],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"reasoning\":{\"effort\":null,"
             "\"summary\":null},\"service_tier\":\"default\",\"store\":false,\"temperature\":1.0,\"text\":{"
             "\"format\":"
             "{\"type\":\"text\"}},\"tool_choice\":\"auto\",\"tools\":[],\"top_p\":1.0,\"truncation\":"
             "\"disabled\","
             "\"usage\":");
    if (done)
        (void)buf_printf(
            out,
            "{\"input_tokens\":%d,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":%u,"
            "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":%u}",
            PROMPT_TOKENS, k->tokens, k->tokens + PROMPT_TOKENS);
    else
        put(out, "null");
    put(out, ",\"user\":null,\"metadata\":{}}");
}

static void event_open(struct buf *out, const char *name, uint32_t sequence)
{
    (void)buf_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", name, name, sequence);
}

static void event_close(struct buf *out)
{
    put(out, "}\n\n");
}

static void responses_prefix(struct buf *out, const struct script_key *k)
{
    event_open(out, "response.created", 0);
    put(out, ",\"response\":");
    response_object(out, k, false);
    event_close(out);
    event_open(out, "response.in_progress", 1);
    put(out, ",\"response\":");
    response_object(out, k, false);
    event_close(out);
    event_open(out, "response.output_item.added", 2);
    put(out, ",\"output_index\":0,\"item\":");
    response_item(out, k, false);
    event_close(out);
    event_open(out, "response.content_part.added", 3);
    put(out, ",\"item_id\":\"" MESSAGE_ID "\",\"output_index\":0,\"content_index\":0,\"part\":");
    response_part(out, k, false);
    event_close(out);
}

static void responses_suffix(struct buf *out, const struct script_key *k)
{
    uint32_t sequence = 4 + k->tokens;
    event_open(out, "response.output_text.done", sequence);
    put(out, ",\"item_id\":\"" MESSAGE_ID "\",\"output_index\":0,\"content_index\":0,\"text\":\"");
    put_text(out, k);
    put(out, "\",\"logprobs\":[]");
    event_close(out);
    event_open(out, "response.content_part.done", sequence + 1);
    put(out, ",\"item_id\":\"" MESSAGE_ID "\",\"output_index\":0,\"content_index\":0,\"part\":");
    response_part(out, k, true);
    event_close(out);
    event_open(out, "response.output_item.done", sequence + 2);
    put(out, ",\"output_index\":0,\"item\":");
    response_item(out, k, true);
    event_close(out);
    event_open(out, "response.completed", sequence + 3);
    put(out, ",\"response\":");
    response_object(out, k, true);
    event_close(out);
}

void frames_prefix(struct buf *out, const struct script_key *k)
{
    if (k->format == MOCK_RESPONSES) {
        responses_prefix(out, k);
        return;
    }
    chat_open(out);
    put(out,
        "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,"
        "\"finish_reason\":null}");
    chat_close(out, k);
}

void frames_token(struct buf *out, const struct script_key *k, uint32_t number)
{
    if (k->format == MOCK_RESPONSES) {
        event_open(out, "response.output_text.delta", 4 + number);
        put(out, ",\"item_id\":\"" MESSAGE_ID
                 "\",\"output_index\":0,\"content_index\":0,\"logprobs\":[],\"delta\":\"");
        put_token(out, k, number);
        put(out, "\"");
        event_close(out);
        return;
    }
    chat_open(out);
    put(out, "{\"index\":0,\"delta\":{\"content\":\"");
    put_token(out, k, number);
    put(out, "\"},\"logprobs\":null,\"finish_reason\":null}");
    chat_close(out, k);
}

void frames_suffix(struct buf *out, const struct script_key *k)
{
    if (k->format == MOCK_RESPONSES)
        responses_suffix(out, k);
    else
        chat_suffix(out, k);
}

void frames_whole(struct buf *out, const struct script_key *k)
{
    if (k->format == MOCK_RESPONSES)
        response_object(out, k, true);
    else
        chat_whole(out, k);
}

void frames_error(struct buf *out)
{
    put(out, "{\"error\":{\"message\":\"The server had an error while processing your request.\",\"type\":"
             "\"server_error\",\"param\":null,\"code\":\"mock_error\"}}");
}
