/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the log: which records are shown, how, and where. */
#ifndef CAPP__LOGGER_H
#define CAPP__LOGGER_H

#include "capp/error.h"
#include "capp/log.h"
#include "log_sink.h"
#include "name.h"

#include <stdatomic.h>

enum {
    CAPP__LOG_TEXT_SIZE = 1024,                     /* of a message or a field before escaping */
    CAPP__LOG_SHOWN_SIZE = 4 * CAPP__LOG_TEXT_SIZE, /* after it: a byte becomes four at most */
    CAPP__LOG_LINE_SIZE = 5 * CAPP__LOG_SHOWN_SIZE, /* of the longest line: quoting doubles it at most */
    CAPP__LOG_CATEGORIES = 32,                      /* with a level of their own */
};

enum capp__log_output {
    CAPP__LOG_STDERR,
    CAPP__LOG_FILE,
    CAPP__LOG_SYSLOG,
    CAPP__LOG_FUNCTION,
};

/*
 * The thresholds. One thread at a time changes them, every thread reads them without a lock: a category is
 * only added, and its name never changes.
 */
struct capp__log_levels {
    atomic_int base;
    atomic_int lowest; /* of all: what is below it is dropped without a look at the categories */
    atomic_size_t count;
    struct capp__log_category {
        char name[CAPP__NAME_SIZE];
        atomic_int level; /* CAPP__LOG_INHERIT: the base */
        int coded;        /* the one that the program has set; the same */
    } category[CAPP__LOG_CATEGORIES];
};

enum { CAPP__LOG_INHERIT = -1 };

struct capp_logger {
    struct capp__log_levels levels;
    /* Constant once the application is built. */
    int output;       /* enum capp__log_output: where records go to */
    int wanted;       /* the same, once it is open */
    int format;       /* capp_log_format */
    int facility;     /* capp_log_facility */
    const char *path; /* of the file; borrowed from `coded_path` or the configuration */
    char *coded_path; /* owned; NULL: none */
    capp_log_fn *fn;
    void *user_data;
    const char *syslog_path;   /* "/dev/log" */
    char tag[CAPP__NAME_SIZE]; /* the application, in the system's log */

    struct capp__sink sink;
    atomic_ullong records[CAPP_LOG_ERROR + 1]; /* shown, by level */
};

/* Zeroed memory becomes a log to standard error at INFO. */
void capp__logger_init(struct capp_logger *logger);
/* Closes what is open. Nobody logs any more. */
void capp__logger_deinit(struct capp_logger *logger);

/* The threshold of the categories that have none of their own. */
void capp__logger_set_level(struct capp_logger *logger, int level);
/* That of one, of its own or CAPP__LOG_INHERIT; false when there are too many. */
bool capp__logger_set_category(struct capp_logger *logger, const char *name, int level);
/* The record of a category with a level of its own; NULL when it has none. */
struct capp__log_category *capp__logger_category(const struct capp_logger *logger, const char *name);

/*
 * One record as a line with its newline; returns its length, at most CAPP__LOG_LINE_SIZE. The record is as
 * capp_log_with() makes it: escaped, bounded.
 */
size_t capp__log_line(char *dst, const capp_log_record *record);
size_t capp__log_line_json(char *dst, const capp_log_record *record);
/* The same as a datagram of RFC 3164, without a newline; `json`: as JSON behind the head. */
size_t capp__log_datagram(char *dst, const capp_log_record *record, const char *tag, int facility, bool json);

#endif
