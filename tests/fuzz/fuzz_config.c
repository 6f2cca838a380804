/* Any text is a configuration, or is refused in words that fit into a log and give no secret away. */
#include "common/utf8.h"
#include "gateway/config/config.h"
#include "tests/fuzz/fuzz.h"

#define SECRET "sk-fuzz-secret-value"

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    (void)setenv("SLUICE_FUZZ", SECRET, 1);
    return 0;
}

static void check_config(const struct config *c)
{
    MUST(c->n_listen > 0 && c->n_keys > 0 && c->workers > 0);
    for (size_t i = 0; i < c->n_providers; i++)
        MUST(c->providers[i].demo || (c->providers[i].dialect && c->providers[i].base_url));
    for (size_t i = 0; i < c->n_models; i++)
        for (size_t k = 0; k < c->models[i].n_targets; k++)
            MUST(c->models[i].targets[k].provider && c->models[i].targets[k].weight > 0);
    for (size_t i = 0; i < c->n_keys; i++)
        MUST(c->keys[i].plaintext ? secret_is_set(&c->keys[i].value) : c->keys[i].id != NULL);
}

static bool has_secret(struct bytes text)
{
    return text.len > 0 && memmem(text.data, text.len, SECRET, strlen(SECRET)) != NULL;
}

static void check_report(struct bytes report)
{
    MUST(report.len > 0 && report.data[report.len - 1] == '\n' && bytes_starts(report, BYTES("fuzz.yaml:")));
    MUST(utf8_valid(report));
    for (size_t i = 0; i < report.len; i++)
        MUST((unsigned char)report.data[i] >= 0x20 || report.data[i] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = NULL;
    struct buf report;
    char *text = exact_copy(data, size);
    buf_init(&report, 1 << 20);
    enum err err = config_parse("fuzz.yaml", bytes_of(text, size), &report, &c);
    /* The fuzzer may have guessed it. */
    MUST(has_secret(bytes_of(text, size)) || !has_secret(buf_bytes(&report)));
    MUST((err == ERR_OK || err == ERR_INVALID) && (err == ERR_OK) == (c != NULL));
    if (c)
        check_config(c);
    else
        check_report(buf_bytes(&report));
    config_free(c);
    buf_free(&report);
    free(text);
    return 0;
}
