/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for libFuzzer where there is none: feeds a fuzz target every file of its corpus, whole, cut short
 * at this many lengths, and with as many changes, which are the same in every run.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 64 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Marsaglia's xorshift: any sequence will do, the same one each time. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A copy of exactly this size, so that a sanitizer sees a read past its end. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (copy == NULL)
        exit(1);
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void feed_cut(const uint8_t *data, size_t size, size_t cuts)
{
    size_t step = size / cuts + 1;
    for (size_t len = 0; len < size; len += step)
        feed(data, len);
}

static void feed_changed(const uint8_t *data, size_t size, size_t changes)
{
    static uint8_t changed[INPUT_MAX];
    uint32_t state = 2463534242U;
    for (size_t i = 0; size > 0 && i < changes; i++) {
        memcpy(changed, data, size);
        uint32_t places = 1 + next_random(&state) % 4;
        for (uint32_t place = 0; place < places; place++)
            changed[next_random(&state) % size] ^= (uint8_t)(1U << next_random(&state) % 8);
        feed(changed, size);
    }
}

static bool feed_file(const char *path, size_t variants)
{
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(data, 1, sizeof(data), file);
    fclose(file);
    feed(data, size);
    feed_cut(data, size, variants);
    feed_changed(data, size, variants);
    return true;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    bool ok = true;
    DIR *dir = argc == 3 ? opendir(argv[1]) : NULL;
    size_t variants = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (dir == NULL || variants == 0) {
        fprintf(stderr, "usage: %s <corpus folder> <variants of each file>\n", argv[0]);
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        ok = feed_file(path, variants) && ok;
        count++;
    }
    closedir(dir);
    printf("%zu inputs\n", count);
    return ok && count > 0 ? 0 : 1;
}
