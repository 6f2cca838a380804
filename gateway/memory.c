#include "gateway/memory.h"
#include "common/attr.h"
#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MMAP_THRESHOLD = 1024 * 1024, TRIM_THRESHOLD = 2 * MMAP_THRESHOLD };

void memory_tune(void)
{
    /* The default of 128 KB is passed and met again by a few requests at once: two brk() calls each, and the
     * zeroing of their pages. memory_trim gives this back too. */
    (void)mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD);
    /* Setting the one keeps malloc from finding the other by itself: prompts of some hundred KB would be
     * mapped and unmapped each time. */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
}

static int trim_object(struct dl_phdr_info *info, size_t size UNUSED, void *page_size)
{
    uintptr_t page = *(const uintptr_t *)page_size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];
        if (h->p_type != PT_LOAD || (h->p_flags & PF_W))
            continue;
        uintptr_t begin = (info->dlpi_addr + h->p_vaddr) / page * page;
        uintptr_t end = (info->dlpi_addr + h->p_vaddr + h->p_filesz) / page * page;
        if (end > begin)
            (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
    return 0;
}

void memory_trim(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    (void)malloc_trim(0);
    (void)dl_iterate_phdr(trim_object, &page);
}
