/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the host share: cmocka's preamble, a record of what happened, a log that collects. */
#ifndef TESTS_CAPP_FIXTURE_H
#define TESTS_CAPP_FIXTURE_H

#include <capp.h>

#include "support/test.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef ETCDC_TIME_SCALE
#define ETCDC_TIME_SCALE 1
#endif

/* Words in the order in which they were written, from any thread: "init a, init b, ". */
struct trace {
    pthread_mutex_t mutex;
    char text[8192];
};

static struct trace the_trace = {.mutex = PTHREAD_MUTEX_INITIALIZER};

__attribute__((format(printf, 1, 2), unused)) static void trace(const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&the_trace.mutex);
    size_t len = strlen(the_trace.text);
    va_start(args, format);
    vsnprintf(the_trace.text + len, sizeof(the_trace.text) - len, format, args);
    va_end(args);
    len = strlen(the_trace.text);
    snprintf(the_trace.text + len, sizeof(the_trace.text) - len, ", ");
    pthread_mutex_unlock(&the_trace.mutex);
}

__attribute__((unused)) static void trace_clear(void)
{
    pthread_mutex_lock(&the_trace.mutex);
    the_trace.text[0] = '\0';
    pthread_mutex_unlock(&the_trace.mutex);
}

/* Whether a word has been written by now. */
__attribute__((unused)) static bool trace_has(const char *word)
{
    pthread_mutex_lock(&the_trace.mutex);
    bool has = strstr(the_trace.text, word) != NULL;
    pthread_mutex_unlock(&the_trace.mutex);
    return has;
}

/* The log of a test: one "LEVEL category: message" per line. */
struct log_text {
    pthread_mutex_t mutex;
    char text[16384];
};

__attribute__((unused)) static void log_collect(void *user_data, const capp_log_record *record)
{
    struct log_text *log = user_data;

    pthread_mutex_lock(&log->mutex);
    size_t len = strlen(log->text);
    snprintf(log->text + len, sizeof(log->text) - len, "%s %s: %s\n", capp_log_level_name(record->level),
             record->category, record->message);
    pthread_mutex_unlock(&log->mutex);
}

__attribute__((unused)) static void log_nowhere(void *user_data, const capp_log_record *record)
{
    (void)user_data;
    (void)record;
}

/* A builder whose log goes to `log`, or nowhere. */
__attribute__((unused)) static capp_builder *quiet_builder(struct log_text *log)
{
    capp_builder *builder = capp_builder_new();

    assert_non_null(builder);
    if (log == NULL) {
        capp_use_log(builder, log_nowhere, NULL);
        return builder;
    }
    pthread_mutex_init(&log->mutex, NULL);
    log->text[0] = '\0';
    capp_use_log(builder, log_collect, log);
    return builder;
}

__attribute__((unused)) static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Descriptors this process has open. */
__attribute__((unused)) static size_t open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* Takes every " (file.c:31)" out of a message, for tests that are about the rest of it. Returns text. */
__attribute__((unused)) static char *without_places(char *text)
{
    char *from = text;

    while ((from = strstr(from, " (")) != NULL) {
        char *colon = strstr(from, ".c:"), *end = strchr(from, ')');
        bool place = colon != NULL && end != NULL && colon < end;

        for (const char *s = from + 2; place && s < colon; s++)
            place = *s != ' ';
        if (place)
            memmove(from, end + 1, strlen(end + 1) + 1);
        else
            from += 2;
    }
    return text;
}

#define assert_has(text, part)                               \
    do {                                                     \
        if (strstr((text), (part)) == NULL)                  \
            fail_msg("'%s' is not in '%s'", (part), (text)); \
    } while (0)

#endif
