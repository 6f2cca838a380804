#include "common/memory.h"
#include "common/attr.h"
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MMAP_THRESHOLD = 1024 * 1024, TRIM_THRESHOLD = 2 * MMAP_THRESHOLD, ZEROS_MAX = 64 * 1024 * 1024 };

void memory_tune(void)
{
    /* The default of 128 KB is passed and met again by a few requests at once: two brk() calls each, and the
     * zeroing of their pages. memory_trim gives this back too. */
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    /* Setting the one keeps malloc from finding the other by itself: prompts of some hundred KB would be
     * mapped and unmapped each time. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
}

void memory_scrub_begin(void)
{
    (void)mallopt(M_PERTURB, 0x5A);
}

/* malloc keeps the last few of each small size at hand and does not write over those: they are taken once,
 * and so written over. */
void memory_scrub_end(void)
{
    enum { SIZE_MAX_KEPT = 1032, STEP = 16, KEPT = 7 };
    void *kept[SIZE_MAX_KEPT / STEP + 1][KEPT];
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        for (size_t j = 0; j < KEPT; j++) {
            const size_t size = i * STEP + STEP / 2;
            kept[i][j] = malloc(size);
            if (kept[i][j])
                explicit_bzero(kept[i][j], size);
        }
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        for (size_t j = 0; j < KEPT; j++)
            free(kept[i][j]);
    (void)mallopt(M_PERTURB, 0);
}

struct ranges {
    uintptr_t page;
    size_t n;
    struct {
        uintptr_t begin, end;
    } at[256];
};

static int note_object(struct dl_phdr_info *info, size_t size UNUSED, void *ctx)
{
    struct ranges *r = ctx;
    for (unsigned i = 0; i < info->dlpi_phnum && r->n < ARRAY_LEN(r->at); i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || (h->p_flags & PF_W))
            continue;
        r->at[r->n].begin = (info->dlpi_addr + h->p_vaddr) / r->page * r->page;
        r->at[r->n++].end = (info->dlpi_addr + h->p_vaddr + h->p_filesz) / r->page * r->page;
    }
    return 0;
}

/* What to give back is noted first: to look at an object's headers brings sixteen of its pages back. */
void memory_trim(void)
{
    struct ranges r = {.page = (uintptr_t)sysconf(_SC_PAGESIZE)};
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(note_object, &r);
    for (size_t i = 0; i < r.n; i++)
        if (r.at[i].end > r.at[i].begin)
            (void)madvise((void *)r.at[i].begin, r.at[i].end - r.at[i].begin, MADV_DONTNEED);
}

typedef uint64_t __attribute__((may_alias)) any_word;

/* It reads what belongs to malloc, which AddressSanitizer would report. */
__attribute__((no_sanitize_address)) static bool is_zero(const char *page, size_t size)
{
    const any_word *words = (const any_word *)(const void *)page;
    for (size_t i = 0; i < size / sizeof(*words); i++)
        if (words[i] != 0)
            return false;
    return true;
}

static void drop_zeros(char *at, const char *end, size_t page)
{
    while (at < end) {
        char *from = at;
        while (at < end && is_zero(at, page))
            at += page;
        if (at > from)
            (void)madvise(from, (size_t)(at - from), MADV_DONTNEED);
        else
            at += page;
    }
}

/* A line of proc(5)'s maps, "BEGIN-END rw-p 00000000 00:00 0 NAME": memory that is no file's has no name, or
 * is the heap. */
static void drop_zeros_of(const char *line, size_t page)
{
    static const char wanted[] = " rw-p 00000000 00:00 0";
    char *at;
    const uintptr_t begin = strtoul(line, &at, 16);
    const uintptr_t end = *at == '-' ? strtoul(at + 1, &at, 16) : 0;
    if (end <= begin || end - begin > ZEROS_MAX || strncmp(at, wanted, sizeof(wanted) - 1) != 0)
        return;
    at += sizeof(wanted) - 1;
    at += strspn(at, " ");
    if (*at == '\n' || strncmp(at, "[heap]", 6) == 0)
        drop_zeros((char *)begin, (const char *)end, page);
}

void memory_drop_zeros(void)
{
    char line[256];
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return;
    while (fgets(line, sizeof(line), maps))
        drop_zeros_of(line, (size_t)sysconf(_SC_PAGESIZE));
    (void)fclose(maps);
}
