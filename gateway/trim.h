#pragma once

/* Gives back the memory that only start-up needed: free heap, and the pages of program and libraries that are
 * mere copies of their files (TLS alone touches 4 MB of them and then uses a quarter). What is used again
 * comes back from the page cache. */
void trim_memory(void);
