/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup as a file: <path>.part is written, synced, renamed; then the directory is synced. The part is
 * locked while it is written, so that nobody else, in this process or another, writes or renames it.
 */
#include "base/str.h"
#include "client/backup.h"
#include "client/client.h"
#include "client/rpc.h"
#include "net/addr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_MODE = 0600, MODES = 07777 };

struct file {
    const char *path;
    char *part; /* <path>.part */
    int fd;     /* of the part, locked */
    int dir_fd;
};

static etcd_status fail_io(const char *what, const char *path, int error, etcd_error *reterr)
{
    char text[128], shown[200];

    (void)etcd__escape(shown, sizeof(shown), path, strlen(path));
    (void)etcd__fail(reterr, ETCD_E_IO, "%s: %s \"%s\": %s", etcd__backup_name, what, shown,
                     etcd__errno_text(text, sizeof(text), error));
    if (reterr != NULL)
        reterr->sys_errno = error;
    return ETCD_E_IO;
}

/* ---- before ---------------------------------------------------------------------------------------- */

static etcd_status open_directory(struct file *file, etcd_error *reterr)
{
    const char *slash = strrchr(file->path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - file->path);
    char *directory = len > 0 ? etcd__memdup(file->path, len) : etcd__strdup(slash == NULL ? "." : "/");
    etcd_status st = ETCD_OK;

    if (directory == NULL)
        return etcd__fail_memory(reterr);
    file->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir_fd < 0)
        st = fail_io("cannot open the directory", directory, errno, reterr);
    etcd__free(directory);
    return st;
}

/* Whether the name still leads to what is open: who had it locked before may have renamed or removed it. */
static bool is_still_there(const struct file *file)
{
    struct stat open_one, named;

    return fstat(file->fd, &open_one) == 0 && lstat(file->part, &named) == 0 &&
           open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

static etcd_status lock_part(struct file *file, etcd_error *reterr)
{
    while (flock(file->fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return etcd__fail(reterr, ETCD_E_BUSY, "%s: \"%.300s\" is being written by another call",
                              etcd__backup_name, file->part);
        if (errno != EINTR)
            return fail_io("cannot lock", file->part, errno, reterr);
    }
    return ETCD_OK;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static etcd_status open_part(struct file *file, etcd_error *reterr)
{
    etcd_status st = ETCD_OK;

    do {
        close_fd(&file->fd);
        file->fd = open(file->part, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                        DEFAULT_MODE);
        if (file->fd < 0)
            return fail_io("cannot create", file->part, errno, reterr);
        st = lock_part(file, reterr);
    } while (st == ETCD_OK && !is_still_there(file));
    if (st != ETCD_OK)
        close_fd(&file->fd);
    return st;
}

static etcd_status prepare(struct file *file, uint32_t mode, etcd_error *reterr)
{
    struct stat target;
    etcd_status st;

    if (stat(file->path, &target) == 0 && S_ISDIR(target.st_mode))
        return fail_io("cannot replace", file->path, EISDIR, reterr);
    st = open_directory(file, reterr);
    if (st == ETCD_OK)
        st = open_part(file, reterr);
    if (st != ETCD_OK)
        return st;
    /* What an earlier process left there is overwritten. */
    if (fchmod(file->fd, mode == 0 ? DEFAULT_MODE : (mode_t)mode) != 0 || ftruncate(file->fd, 0) != 0)
        return fail_io("cannot write", file->part, errno, reterr);
    return ETCD_OK;
}

/* ---- during and after ------------------------------------------------------------------------------ */

static etcd_status write_part(void *user, etcd_bytes data, etcd_error *reterr)
{
    struct file *file = user;
    const char *bytes = data.data;
    size_t left = data.len;

    while (left > 0) {
        ssize_t written = write(file->fd, bytes, left);

        if (written < 0 && errno != EINTR)
            return fail_io("cannot write", file->part, errno, reterr);
        if (written > 0) {
            bytes += written;
            left -= (size_t)written;
        }
    }
    return ETCD_OK;
}

static etcd_status keep(const struct file *file, etcd_error *reterr)
{
    if (fsync(file->fd) != 0)
        return fail_io("cannot write", file->part, errno, reterr);
    if (rename(file->part, file->path) != 0)
        return fail_io("cannot replace", file->path, errno, reterr);
    return ETCD_OK;
}

static void release(struct file *file)
{
    close_fd(&file->fd);
    close_fd(&file->dir_fd);
    etcd__free(file->part);
}

static etcd_status save(struct etcd_client *client, struct file *file, const etcd_backup_opts *opts,
                        etcd_backup_info *ret_info, etcd_error *reterr)
{
    etcd_backup_info info;
    etcd_status st = prepare(file, opts->mode, reterr);

    if (st == ETCD_OK)
        st = etcd__backup_run(client, opts, write_part, file, &info, reterr);
    if (st == ETCD_OK)
        st = keep(file, reterr);
    if (st != ETCD_OK) {
        if (file->fd >= 0)
            (void)unlink(file->part);
        return st;
    }
    if (fsync(file->dir_fd) != 0)
        return fail_io("the backup is there, but it is not certain to stay: cannot sync the directory of",
                       file->path, errno, reterr);
    if (ret_info != NULL)
        *ret_info = info;
    return ETCD_OK;
}

static etcd_status check_save(const char *path, const etcd_backup_opts *opts, etcd_error *reterr)
{
    if (path == NULL || path[0] == '\0')
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: path is %s", etcd__backup_name,
                          path == NULL ? "NULL" : "empty");
    if ((opts->mode & ~(uint32_t)MODES) != 0)
        return etcd__fail(reterr, ETCD_E_INVALID_ARGUMENT, "%s: mode is 0%o", etcd__backup_name,
                          (unsigned)opts->mode);
    return ETCD_OK;
}

/* Bad input leaves no trace on the disk. */
static etcd_status check_call(struct etcd_client *client, const etcd_backup_opts *opts, etcd_error *reterr)
{
    struct etcd__endpoint endpoint = {.text = NULL};
    int64_t deadline_ms;
    etcd_status st = etcd__rpc_check(client, etcd__backup_name, true, reterr);

    if (st == ETCD_OK)
        st = etcd__rpc_deadline(client, etcd__backup_name, opts->timeout_ms, &deadline_ms, reterr);
    if (st == ETCD_OK && opts->endpoint != NULL) {
        st = etcd__endpoint_parse(opts->endpoint, &endpoint, reterr);
        if (st != ETCD_OK)
            etcd__error_prefix(reterr, "%s", etcd__backup_name);
    }
    etcd__endpoint_deinit(&endpoint);
    return st;
}

etcd_status etcd_backup_save(etcd_client *client, const char *path, const etcd_backup_opts *opts,
                             etcd_backup_info *ret_info, etcd_error *reterr)
{
    etcd_backup_opts own = ETCD_BACKUP_OPTS_INIT;
    struct file file = {.path = path, .fd = -1, .dir_fd = -1};
    size_t size;
    etcd_status st = etcd__opts_import(&own, sizeof(own), opts, etcd__backup_name, reterr);

    if (st == ETCD_OK)
        st = check_save(path, &own, reterr);
    if (st == ETCD_OK)
        st = check_call(client, &own, reterr);
    if (st != ETCD_OK)
        return st;
    size = strlen(path) + sizeof(".part");
    file.part = etcd__malloc(size);
    if (file.part == NULL)
        return etcd__fail_memory(reterr);
    (void)snprintf(file.part, size, "%s.part", path);
    st = save(client, &file, &own, ret_info, reterr);
    release(&file);
    return st;
}
