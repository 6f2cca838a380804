#pragma once
/* The master process: sockets, forks, supervision, reload. It never speaks to clients. */

/* Runs until SIGTERM/SIGINT and the end of the drain; the exit status. */
int master_run(const char *config_file);
