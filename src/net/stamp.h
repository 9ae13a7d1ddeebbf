/* SPDX-License-Identifier: Apache-2.0 */
/* Tells whether a file has been changed or replaced since it was read. */
#ifndef ETCD__NET_STAMP_H
#define ETCD__NET_STAMP_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

/* All zero: there is no such file. */
struct etcd__stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
};

/*
 * Take it before reading the file: what changes in between is then noticed the next time. NULL counts as no
 * file.
 */
struct etcd__stamp etcd__stamp_of(const char *path);
bool etcd__stamp_equal(const struct etcd__stamp *a, const struct etcd__stamp *b);

#endif
