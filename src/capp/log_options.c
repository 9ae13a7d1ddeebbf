/* SPDX-License-Identifier: Apache-2.0 */
/* The options `app.log.*`, and what is opened as they and the program want it. */
#include "base/str.h"
#include "host.h"

#include <string.h>

/* What can change while the application runs. */
struct live_options {
    int level;
    const char *const *levels; /* "category=level" */
};

/* What is read once. */
struct sink_options {
    int format, output, facility;
    const char *file;
};

static const capp_type live_type = {"capp_log levels"}, sink_type = {"capp_log"};

/* ---- levels ---------------------------------------------------------------------------------------- */

static const capp_choice level_names[] = {
    {"trace", CAPP_LOG_TRACE, 0}, {"debug", CAPP_LOG_DEBUG, 0}, {"info", CAPP_LOG_INFO, 0},
    {"warn", CAPP_LOG_WARN, 0},   {"error", CAPP_LOG_ERROR, 0}, {"off", CAPP_LOG_OFF, 0},
};

static bool level_of(const char *name, int *ret_level)
{
    for (size_t i = 0; i < ETCD__COUNT(level_names); i++) {
        if (etcd__equal_nocase(name, strlen(name), level_names[i].name)) {
            *ret_level = level_names[i].value;
            return true;
        }
    }
    return false;
}

/* Takes "category=level" apart. */
static bool parse_level(const char *text, char category[CAPP__NAME_SIZE], int *ret_level)
{
    const char *equals = strchr(text, '=');
    char name[CAPP__NAME_SIZE];

    if (equals == NULL || equals - text >= CAPP__NAME_SIZE)
        return false;
    etcd__format(name, sizeof(name), "%.*s", (int)(equals - text), text);
    return capp__dotted_set(category, CAPP__NAME_SIZE, name, "category", NULL) == CAPP_OK &&
           level_of(equals + 1, ret_level);
}

static capp_status check_levels(const void *object, capp_error *reterr)
{
    const struct live_options *options = object;
    char category[CAPP__NAME_SIZE], shown[160];
    size_t count = 0;
    int level;

    for (; options->levels != NULL && options->levels[count] != NULL; count++) {
        const char *text = options->levels[count];

        if (!parse_level(text, category, &level))
            return capp_fail(
                reterr, CAPP_E_INVALID_ARGUMENT,
                "levels: '%s' is not category=level, with one of trace, debug, info, warn, error, off",
                etcd__escape(shown, sizeof(shown), text, strlen(text)));
    }
    if (count > CAPP__LOG_CATEGORIES)
        return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "levels: %zu categories; there can be %d", count,
                         CAPP__LOG_CATEGORIES);
    return CAPP_OK;
}

/* The level of a category that the options name, the last one if there are several; else what the program
 * wants. */
static int wanted_level(const struct live_options *options, const struct capp__log_category *category)
{
    char name[CAPP__NAME_SIZE];
    int wanted = category->coded, level;

    for (size_t i = 0; options->levels != NULL && options->levels[i] != NULL; i++) {
        if (parse_level(options->levels[i], name, &level) && strcmp(name, category->name) == 0)
            wanted = level;
    }
    return wanted;
}

static void use_levels(struct capp_logger *logger, const struct live_options *options)
{
    char name[CAPP__NAME_SIZE];
    int level;
    bool all = true;

    capp__logger_set_level(logger, options->level);
    for (size_t i = 0; options->levels != NULL && options->levels[i] != NULL; i++) {
        if (parse_level(options->levels[i], name, &level) && capp__logger_category(logger, name) == NULL)
            all = capp__logger_set_category(logger, name, level) && all;
    }
    for (size_t i = 0; i < atomic_load(&logger->levels.count); i++) {
        const struct capp__log_category *category = &logger->levels.category[i];

        capp__logger_set_category(logger, category->name, wanted_level(options, category));
    }
    if (!all)
        capp_log(logger, CAPP_LOG_WARN, "log",
                 "app.log.levels: more than %d categories have had a level of their own",
                 CAPP__LOG_CATEGORIES);
}

static void levels_changed(const void *before, const void *now, void *user_data)
{
    (void)before;
    use_levels(user_data, now);
}

static const capp_option live_fields[] = {
    CAPP_CHOICE(struct live_options, level, level_names, "level", .help = "The least level that is shown."),
    CAPP_TEXTS(struct live_options, levels, "levels",
               .help = "Levels of categories, as etcd=debug; they win over that of the log."),
};

static const capp_options live_table = {.size = sizeof(capp_options),
                                        .type = &live_type,
                                        .object_size = sizeof(struct live_options),
                                        .section = "app.log",
                                        CAPP_FIELDS(live_fields),
                                        .check = check_levels,
                                        .help = "The log."};

/* ---- where records go to ----------------------------------------------------------------------------- */

static const capp_choice formats[] = {{"text", CAPP_LOG_FORMAT_TEXT, 0}, {"json", CAPP_LOG_FORMAT_JSON, 0}};

static const capp_choice outputs[] = {
    {"stderr", CAPP__LOG_STDERR, 0},
    {"file", CAPP__LOG_FILE, 0},
    {"syslog", CAPP__LOG_SYSLOG, 0},
    {"function", CAPP__LOG_FUNCTION, 0}, /* what the dump says of capp_use_log() */
};

static const capp_choice facilities[] = {
    {"daemon", CAPP_LOG_FACILITY_DAEMON, 0}, {"user", CAPP_LOG_FACILITY_USER, 0},
    {"auth", CAPP_LOG_FACILITY_AUTH, 0},     {"local0", CAPP_LOG_FACILITY_LOCAL0, 0},
    {"local1", CAPP_LOG_FACILITY_LOCAL1, 0}, {"local2", CAPP_LOG_FACILITY_LOCAL2, 0},
    {"local3", CAPP_LOG_FACILITY_LOCAL3, 0}, {"local4", CAPP_LOG_FACILITY_LOCAL4, 0},
    {"local5", CAPP_LOG_FACILITY_LOCAL5, 0}, {"local6", CAPP_LOG_FACILITY_LOCAL6, 0},
    {"local7", CAPP_LOG_FACILITY_LOCAL7, 0},
};

static const capp_option sink_fields[] = {
    CAPP_CHOICE(struct sink_options, format, formats, "format", .help = "How a record is written."),
    CAPP_CHOICE(struct sink_options, output, outputs, "output",
                .help =
                    "Where records go to; without it, to the file if there is one. A function is what the "
                    "program may have."),
    CAPP_TEXT(struct sink_options, file, "file", .help = "Appended to, and opened again at each reload."),
    CAPP_CHOICE(struct sink_options, facility, facilities, "facility",
                .help = "Of records in the system's log."),
};

static const capp_options sink_table = {
    .size = sizeof(capp_options),
    .type = &sink_type,
    .object_size = sizeof(struct sink_options),
    .section = "app.log",
    CAPP_FIELDS(sink_fields),
    .help = "Where the log goes to, from the start on.",
};

/* Notes a mistake with the place of the option behind it; `coded` names the call when there is no option. */
static void complain(capp_builder *builder, const char *key, const char *coded, const capp_error *error)
{
    char place[CAPP__PATH_SIZE + 64], text[CAPP__PATH_SIZE + 64 + CAPP_ERROR_MESSAGE_SIZE];

    if (capp_setup_place(builder->program, key, place, sizeof(place)))
        etcd__format(text, sizeof(text), "%s: %s: %s", place, key, error->message);
    else
        etcd__format(text, sizeof(text), "%s: %s", coded, error->message);
    capp__setup_mistake(builder->program, error->status, text);
}

static bool is_said(const capp_builder *builder, const char *key)
{
    char place[CAPP__PATH_SIZE + 64];

    return capp_setup_place(builder->program, key, place, sizeof(place));
}

/* What is not possible as it was said; false when it was noted. */
static bool is_possible(capp_builder *builder, const struct sink_options *options)
{
    capp_error error;

    if (options->output == CAPP__LOG_FILE && (options->file == NULL || options->file[0] == '\0'))
        capp_fail(&error, CAPP_E_INVALID_ARGUMENT, "there is no app.log.file");
    else if (options->output == CAPP__LOG_FUNCTION && builder->app->logger.fn == NULL)
        capp_fail(&error, CAPP_E_INVALID_ARGUMENT, "the program has no function for its log");
    else
        return true;
    complain(builder, "app.log.output", "the log", &error);
    return false;
}

/* Opens it, and from then on records go there. */
static void open_sink(capp_builder *builder)
{
    struct capp_logger *logger = &builder->app->logger;
    capp_error error;
    int output = logger->wanted;

    if (output == CAPP__LOG_FILE && capp__sink_open_file(&logger->sink, logger->path, &error) != CAPP_OK)
        complain(builder, "app.log.file", "capp_use_log_file", &error);
    else if (output == CAPP__LOG_SYSLOG &&
             capp__sink_open_socket(&logger->sink, logger->syslog_path, &error) != CAPP_OK)
        complain(builder, "app.log.output", "capp_use_log_syslog", &error);
    else
        logger->output = output;
}

static void read_sink(capp_builder *builder)
{
    struct capp_logger *logger = &builder->app->logger;
    struct sink_options options = {.format = logger->format,
                                   .output = logger->wanted,
                                   .facility = logger->facility,
                                   .file = logger->path};

    (void)capp__config_bind_host(builder, &sink_table, &options, NULL, NULL);
    if (is_said(builder, "app.log.file") && !is_said(builder, "app.log.output"))
        options.output = CAPP__LOG_FILE;
    logger->format = options.format;
    logger->facility = options.facility;
    logger->path = options.file;
    logger->wanted = options.output;
    /* A question is answered without touching anything: --check-config of root makes no file of root's. */
    if (is_possible(builder, &options) && builder->app->config.ask == CAPP__ASK_NOTHING)
        open_sink(builder);
}

void capp__log_host(capp_builder *builder)
{
    struct capp_logger *logger = &builder->app->logger;
    struct live_options options = {.level = atomic_load(&logger->levels.base)};

    etcd__format(logger->tag, sizeof(logger->tag), "%s", builder->app->name);
    if (capp__config_bind_host(builder, &live_table, &options, levels_changed, logger) == CAPP_OK)
        use_levels(logger, &options);
    /* Who asks about the configuration gets an answer, and warnings; what happens on the way to it is noise.
     */
    if (capp__config_asked(&builder->app->config) && atomic_load(&logger->levels.base) < CAPP_LOG_WARN)
        capp__logger_set_level(logger, CAPP_LOG_WARN);
    read_sink(builder);
}
