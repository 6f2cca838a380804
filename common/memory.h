#pragma once

/* Tells malloc not to give back and ask again for the same pages with every request. Once a worker. */
void memory_tune(void);
/* Between these two, what is freed is written over: for text with secrets that went through a library. */
void memory_scrub_begin(void);
void memory_scrub_end(void);
/* Gives back what is not in use: free heap, and the pages of program and libraries that are mere copies of
 * their files (TLS alone touches 4 MB of them at start and then uses a quarter). What is used again comes
 * back from the page cache. */
void memory_trim(void);
/* Gives back pages that were written and hold nothing but zeros: libwebsockets clears 16 bytes for each
 * descriptor that the process may have, 16 MB where a million are allowed. What they say stays the same. For
 * a process with one thread: another might write to such a page meanwhile. */
void memory_drop_zeros(void);
