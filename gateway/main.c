#include "gateway/config/config.h"
#include "gateway/master.h"
#include "gateway/process.h"
#include "gateway/server/server.h"
#include <getopt.h>
#include <stdio.h>

enum { EXIT_BAD = 1, EXIT_USAGE = 2, TEXT_MAX = 256 * 1024, NAME_LEN_MAX = 64 };

struct command {
    const char *name;
    const char *usage; /* after "sluice " */
    const char *help;
    int (*run)(const struct command *c, int argc, char **argv); /* argv[0] is the command's name */
};

static int run_serve(const struct command *c, int argc, char **argv);
static int run_check(const struct command *c, int argc, char **argv);
static int run_key(const struct command *c, int argc, char **argv);

static const struct command commands[] = {
    {"serve", "serve --config FILE",
     "Runs the gateway until SIGTERM or SIGINT, which finish what is in flight (a second one does not "
     "wait).\n"
     "SIGHUP reads FILE anew; whatever is wrong with it, the former configuration goes on.",
     run_serve},
    {"check", "check --config FILE",
     "Looks at FILE and the certificates that it names as `serve` would, and prints all that is wrong.\n"
     "Exit status: 0 if nothing is, else 1.",
     run_check},
    {"key", "key new NAME",
     "Makes an API key for NAME and prints it, once, with the entry for the configuration, which holds only "
     "its hash.",
     run_key},
};

static int print_help(void)
{
    puts("Sluice: a streaming gateway for large language models over WebSocket and HTTP.\n\nUsage:");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        printf("  sluice %s\n", commands[i].usage);
    puts("  sluice --version\n  sluice [COMMAND] --help");
    return 0;
}

static int print_version(void)
{
    puts("sluice " SLUICE_VERSION "\nbuilt with " SLUICE_LIBRARIES);
    return 0;
}

static int print_command_help(const struct command *c)
{
    printf("Usage: sluice %s\n\n%s\n", c->usage, c->help);
    return 0;
}

static int usage_error(const struct command *c, const char *what)
{
    if (what)
        fprintf(stderr, "sluice: %s\n", what);
    if (c)
        fprintf(stderr, "Usage: sluice %s\nMore: sluice %s --help\n", c->usage, c->name);
    else
        fputs("Usage: sluice COMMAND; the commands: sluice --help\n", stderr);
    return EXIT_USAGE;
}

/* Takes --config and --help. True when the command shall run; else *ret_status says how it ended. */
static bool take_options(const struct command *c, int argc, char **argv, const char **config, int *ret_status)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int option;
    *ret_status = EXIT_USAGE;
    while ((option = getopt_long(argc, argv, config ? "c:h" : "h", options, NULL)) != -1) {
        if (option == 'h') {
            *ret_status = print_command_help(c);
            return false;
        }
        if (option != 'c' || !config) {
            (void)usage_error(c, option == 'c' ? "this command takes no --config" : NULL);
            return false;
        }
        *config = optarg;
    }
    return true;
}

static bool take_config(const struct command *c, int argc, char **argv, const char **ret_config,
                        int *ret_status)
{
    *ret_config = NULL;
    if (!take_options(c, argc, argv, ret_config, ret_status))
        return false;
    if (*ret_config && optind == argc)
        return true;
    *ret_status = usage_error(c, *ret_config ? "an argument too many"
                                             : "no configuration was named; give one with --config FILE "
                                               "(gateway/demo.yaml is one to begin with)");
    return false;
}

static int run_serve(const struct command *c, int argc, char **argv)
{
    const char *config;
    int status;
    if (take_config(c, argc, argv, &config, &status))
        return master_run(config);
    if (status != 0)
        return status;
    struct buf keys;
    buf_init(&keys, TEXT_MAX);
    config_describe(&keys);
    printf("\nThe keys of FILE, which is YAML; ${NAME} in a value stands for an environment variable:\n%.*s",
           BYTES_FMT(buf_bytes(&keys)));
    buf_free(&keys);
    return 0;
}

static int run_check(const struct command *c, int argc, char **argv)
{
    const char *file;
    int status;
    if (!take_config(c, argc, argv, &file, &status))
        return status;
    struct config *cfg = NULL;
    struct buf report;
    buf_init(&report, TEXT_MAX);
    enum err e = config_load(file, &report, &cfg);
    if (e == ERR_OK)
        e = server_check_tls(cfg, &report);
    fprintf(stderr, "%.*s", BYTES_FMT(buf_bytes(&report)));
    if (e == ERR_OK)
        printf("%s: all is well\n", file);
    else if (report.len == 0)
        fprintf(stderr, "%s: %s\n", file, err_name(e));
    buf_free(&report);
    config_free(cfg);
    return e == ERR_OK ? 0 : EXIT_BAD;
}

static bool key_name_valid(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        char ch = name[i];
        bool alnum = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9');
        if (!alnum && !strchr("_.-@", ch))
            return false;
    }
    return len > 0 && len <= NAME_LEN_MAX;
}

static int run_key(const struct command *c, int argc, char **argv)
{
    int status;
    if (!take_options(c, argc, argv, NULL, &status))
        return status;
    if (argc - optind != 2 || strcmp(argv[optind], "new") != 0)
        return usage_error(c, "the one thing to do with a key is: key new NAME");
    const char *name = argv[optind + 1];
    if (!key_name_valid(name))
        return usage_error(c, "NAME must be 1 to 64 letters, digits and _ . - @");
    char key[CONFIG_KEY_TEXT], hash[CONFIG_KEY_HASH];
    enum err e = config_key_new(key, hash);
    if (e != ERR_OK) {
        fprintf(stderr, "sluice: no key could be made: %s\n", err_name(e));
        return EXIT_BAD;
    }
    printf("The key of %s, which is shown this once and stored nowhere:\n\n  %s\n\n"
           "Its entry below `keys:` in the configuration:\n\n"
           "  - name: \"%s\"\n    hash: \"%s\"\n    models: [\"*\"]\n",
           name, key, name, hash);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage_error(NULL, "no command was given");
    if (strcmp(argv[1], "--version") == 0)
        return print_version();
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help();
    process_init(argc, argv);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(&commands[i], argc - 1, argv + 1);
    return usage_error(NULL, argv[1][0] == '-' ? "unknown option" : "unknown command");
}
