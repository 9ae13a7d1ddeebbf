/* SPDX-License-Identifier: Apache-2.0 */
#include "support/etcd_binary.h"

#include "support/etcd_server.h"
#include "support/process.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BINARIES_MAX = 16 };

static struct etcd_binary found[BINARIES_MAX];
static size_t found_count;
static const char *versions[BINARIES_MAX + 1];
static pthread_once_t searched = PTHREAD_ONCE_INIT;

static bool parse_version(const char *text, struct etcd_binary *binary)
{
    int end = 0;
    if (sscanf(text, "%d.%d.%d%n", &binary->major, &binary->minor, &binary->patch, &end) != 3 ||
        (size_t)end >= sizeof(binary->version))
        return false;
    memcpy(binary->version, text, (size_t)end);
    binary->version[end] = '\0';
    return true;
}

static int compare(const void *left, const void *right)
{
    const struct etcd_binary *a = left, *b = right;
    if (a->major != b->major)
        return a->major - b->major;
    return a->minor != b->minor ? a->minor - b->minor : a->patch - b->patch;
}

/* ETCD_BIN: its version is what it says; its etcdctl lies beside it or in the path. */
static bool use_named(const char *path, struct etcd_binary *binary)
{
    static const char *const env[] = {NULL};
    const char *argv[] = {path, "--version", NULL};
    char output[512];
    static const char label[] = "etcd Version: ";
    if (process_run(argv, env, 10000, output, sizeof(output)) != 0 ||
        strncmp(output, label, strlen(label)) != 0 || !parse_version(output + strlen(label), binary)) {
        fprintf(stderr, "ETCD_BIN: %s is no etcd\n", path);
        return false;
    }
    snprintf(binary->etcd, sizeof(binary->etcd), "%s", path);
    const char *slash = strrchr(path, '/');
    int len = slash != NULL ? (int)(slash - path) : 0;
    snprintf(binary->etcdctl, sizeof(binary->etcdctl), "%.*s/etcdctl", len, path);
    if (access(binary->etcdctl, X_OK) != 0)
        snprintf(binary->etcdctl, sizeof(binary->etcdctl), "/usr/bin/etcdctl");
    return true;
}

static void search_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && found_count < BINARIES_MAX;) {
        struct etcd_binary *binary = &found[found_count];
        if (!parse_version(entry->d_name, binary))
            continue;
        snprintf(binary->etcd, sizeof(binary->etcd), "%s/%s/etcd", folder, entry->d_name);
        snprintf(binary->etcdctl, sizeof(binary->etcdctl), "%s/%s/etcdctl", folder, entry->d_name);
        if (access(binary->etcd, X_OK) == 0)
            found_count++;
    }
    closedir(dir);
    qsort(found, found_count, sizeof(found[0]), compare);
}

static void search(void)
{
    const char *named = getenv("ETCD_BIN");
    if (named != NULL && named[0] != '\0') {
        found_count = use_named(named, &found[0]) ? 1 : 0;
    } else {
        const char *folder = getenv("ETCDC_ETCD_DIR");
        search_folder(folder != NULL ? folder : ETCDC_ETCD_DIR);
        if (found_count == 0)
            fprintf(stderr, "no etcd to test against: run tests/support/fetch-etcd, or set ETCD_BIN\n");
    }
    for (size_t i = 0; i < found_count; i++)
        versions[i] = found[i].version;
}

static const struct etcd_binary *choose(const char *version)
{
    const char *named = getenv("ETCD_BIN");
    if (version == NULL || (named != NULL && named[0] != '\0'))
        return found_count > 0 ? &found[found_count - 1] : NULL;
    int major, minor, patch;
    int parts = sscanf(version, "%d.%d.%d", &major, &minor, &patch);
    const struct etcd_binary *best = NULL;
    for (size_t i = 0; parts >= 2 && i < found_count; i++) {
        if (found[i].major != major || found[i].minor != minor)
            continue;
        if (parts == 2)
            best = &found[i]; /* the last, the newest */
        else if (best == NULL && found[i].patch >= patch)
            best = &found[i]; /* the first, the oldest that is not older */
    }
    return best;
}

bool etcd_binary_find(const char *version, struct etcd_binary *ret_binary)
{
    pthread_once(&searched, search);
    const struct etcd_binary *binary = choose(version);
    if (binary != NULL)
        *ret_binary = *binary;
    else if (version != NULL)
        fprintf(stderr, "no etcd %s among the %zu versions that are there\n", version, found_count);
    return binary != NULL;
}

bool etcd_binary_at_least(const struct etcd_binary *binary, int major, int minor, int patch)
{
    const struct etcd_binary other = {.major = major, .minor = minor, .patch = patch};
    return compare(binary, &other) >= 0;
}

const char *const *etcd_server_versions(void)
{
    pthread_once(&searched, search);
    return versions;
}
