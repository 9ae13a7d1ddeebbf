/* SPDX-License-Identifier: Apache-2.0 */
/* How the program wants its log. */
#include "base/str.h"
#include "fail.h"
#include "host.h"

#include <string.h>

static void refuse(capp_builder *builder, const char *text)
{
    capp__setup_mistake(builder->program, CAPP_E_INVALID_ARGUMENT, text);
}

static void refuse_number(capp_builder *builder, const char *what, int number)
{
    char text[128];

    etcd__format(text, sizeof(text), "%s is %d", what, number);
    refuse(builder, text);
}

/*
 * Until the build opens what is wanted, records go to the function or to standard error. The path is
 * transferred.
 */
static void set_output(struct capp_logger *logger, int output, char *path)
{
    logger->wanted = output;
    logger->output = output == CAPP__LOG_FUNCTION ? CAPP__LOG_FUNCTION : CAPP__LOG_STDERR;
    etcd__free(logger->coded_path);
    logger->path = logger->coded_path = path;
}

void capp_use_log(capp_builder *builder, capp_log_fn *fn, void *user_data)
{
    if (!capp__builder_is_open(builder, "capp_use_log"))
        return;
    builder->app->logger.fn = fn;
    builder->app->logger.user_data = user_data;
    set_output(&builder->app->logger, fn == NULL ? CAPP__LOG_STDERR : CAPP__LOG_FUNCTION, NULL);
}

void capp_use_log_file(capp_builder *builder, const char *path)
{
    char *copy;

    if (!capp__builder_is_open(builder, "capp_use_log_file"))
        return;
    if (path == NULL || path[0] == '\0') {
        refuse(builder, "capp_use_log_file: path is NULL or empty");
        return;
    }
    copy = etcd__strdup(path);
    if (copy == NULL) {
        builder->mistakes.no_memory = true;
        return;
    }
    set_output(&builder->app->logger, CAPP__LOG_FILE, copy);
}

static bool is_facility(int facility)
{
    return facility == CAPP_LOG_FACILITY_USER || facility == CAPP_LOG_FACILITY_DAEMON ||
           facility == CAPP_LOG_FACILITY_AUTH ||
           (facility >= CAPP_LOG_FACILITY_LOCAL0 && facility <= CAPP_LOG_FACILITY_LOCAL7);
}

void capp_use_log_syslog(capp_builder *builder, capp_log_facility facility)
{
    if (!capp__builder_is_open(builder, "capp_use_log_syslog"))
        return;
    if (facility == CAPP_LOG_FACILITY_DEFAULT)
        facility = CAPP_LOG_FACILITY_DAEMON;
    if (!is_facility((int)facility)) {
        refuse_number(builder, "capp_use_log_syslog: facility", (int)facility);
        return;
    }
    set_output(&builder->app->logger, CAPP__LOG_SYSLOG, NULL);
    builder->app->logger.facility = (int)facility;
}

void capp_use_log_format(capp_builder *builder, capp_log_format format)
{
    if (!capp__builder_is_open(builder, "capp_use_log_format"))
        return;
    if (format != CAPP_LOG_FORMAT_TEXT && format != CAPP_LOG_FORMAT_JSON)
        refuse_number(builder, "capp_use_log_format: format", (int)format);
    else
        builder->app->logger.format = (int)format;
}

void capp_use_log_level(capp_builder *builder, capp_log_level level)
{
    if (!capp__builder_is_open(builder, "capp_use_log_level"))
        return;
    if ((int)level < CAPP_LOG_TRACE || level > CAPP_LOG_OFF)
        refuse_number(builder, "capp_use_log_level: level", (int)level);
    else
        capp__logger_set_level(&builder->app->logger, (int)level);
}

void capp_use_log_category_level(capp_builder *builder, const char *category, capp_log_level level)
{
    struct capp_logger *logger;
    char name[CAPP__NAME_SIZE];
    capp_error error;

    if (!capp__builder_is_open(builder, "capp_use_log_category_level"))
        return;
    logger = &builder->app->logger;
    if (capp__dotted_set(name, sizeof(name), category, "capp_use_log_category_level: category", &error) !=
        CAPP_OK)
        refuse(builder, error.message);
    else if ((int)level < CAPP_LOG_TRACE || level > CAPP_LOG_OFF)
        refuse_number(builder, "capp_use_log_category_level: level", (int)level);
    else if (!capp__logger_set_category(logger, name, (int)level))
        refuse(builder, "capp_use_log_category_level: more than 32 categories have a level of their own");
    else
        capp__logger_category(logger, name)->coded = (int)level;
}

void capp__logger_reopen(capp_app *app)
{
    struct capp_logger *logger = &app->logger;
    capp_error error;

    if (logger->output == CAPP__LOG_FILE &&
        capp__sink_reopen_file(&logger->sink, logger->path, &error) != CAPP_OK)
        capp_log(logger, CAPP_LOG_WARN, "log", "%s; the old one stays in use", error.message);
}
