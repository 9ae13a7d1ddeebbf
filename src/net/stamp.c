/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stamp.h"

#include <stddef.h>

struct etcd__stamp etcd__stamp_of(const char *path)
{
    struct etcd__stamp stamp = {0};
    struct stat info;

    if (path != NULL && stat(path, &info) == 0) {
        stamp.device = info.st_dev;
        stamp.inode = info.st_ino;
        stamp.size = info.st_size;
        stamp.changed = info.st_mtim;
    }
    return stamp;
}

bool etcd__stamp_equal(const struct etcd__stamp *a, const struct etcd__stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}
