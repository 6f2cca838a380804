#pragma once
/* The two framings that encoded events can get on their way out (protocols/dialect.h, struct event_sink). */
#include "protocols/dialect.h"

/* One text frame an event. */
struct event_sink ws_sink(struct buf *out);
/* "event: NAME\ndata: ...\n\n", or without its first line when the event has no name. */
struct event_sink sse_sink(struct buf *out);
