#pragma once
/* Server-sent events (WHATWG HTML, 9.2 "Server-sent events"): an incremental parser. Fed any split of the
 * bytes, it makes the same events. Lines end in LF, CR LF or CR; a leading BOM is dropped; comments are
 * counted, not reported. */
#include "common/buf.h"

struct sse_event {
    struct bytes name; /* "" when the event had no `event:` */
    struct bytes data; /* data lines joined by LF */
};

struct sse_parser {
    void (*on_event)(void *ctx, const struct sse_event *e); /* borrowed bytes, for the call only */
    void *ctx;
    uint64_t comments; /* seen so far: a silent provider that sends heartbeats is alive */
    size_t max_event;
    enum err error_; /* what killed it */
    bool stopped;    /* set it in on_event to drop the rest */
    bool bom_done_, cr_pending_, has_data_;
    struct buf line_; /* an unfinished line */
    struct buf data_; /* data lines so far; used only when an event has several, or crosses a feed */
    struct buf name_;
};

void sse_init(struct sse_parser *p, size_t max_event, void (*on_event)(void *, const struct sse_event *),
              void *ctx);
void sse_free(struct sse_parser *p);
/* ERR_LIMIT: an event larger than max_event. ERR_NOMEM. The parser is then dead. */
enum err sse_feed(struct sse_parser *p, struct bytes chunk) MUST_USE;
/* True when the stream may end here without losing a begun event. */
bool sse_at_boundary(const struct sse_parser *p);
