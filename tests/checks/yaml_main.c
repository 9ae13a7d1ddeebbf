/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check-yaml <file>: whether the file is the configuration of a program that has the etcd clients named in
 * it, and the options that the documents use as their example.
 */
#include <capp/etcd.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct http_options {
    const char *listen;
    int64_t timeout_ms;
    int64_t workers;
} http_options;

CAPP_TYPE_DEFINE(http_options);

static const capp_option http_fields[] = {
    CAPP_TEXT(http_options, listen, "listen"),
    CAPP_DURATION(http_options, timeout_ms, "timeout"),
    CAPP_INT(http_options, workers, "workers"),
};
static const capp_options http_def = CAPP_OPTIONS(http_options, "http", CAPP_FIELDS(http_fields));

static capp_status build(const char *path, capp_app **ret_app, capp_error *reterr)
{
    capp_builder *builder = capp_builder_new();

    capp_use_log_level(builder, CAPP_LOG_OFF);
    if (path != NULL) {
        capp_use_config_value(builder, "app.log.output", "stderr"); /* no file is to be made */
        capp_use_config_file(builder, path, 0);
        capp_add_options(builder, &http_def);
    }
    capp_configure(builder, capp_etcd(NULL, NULL));
    return capp_build(builder, ret_app, reterr);
}

int main(int argc, char **argv)
{
    static char text[65536];
    capp_app *app = NULL;
    capp_error error;

    if (argc != 2)
        return EXIT_FAILURE;
    bool manual = strcmp(argv[1], "--manual") == 0;
    /* Where the documents take passwords from. */
    if (setenv("ETCD_DISCOVERY_PASSWORD", "secret", 1) != 0)
        return EXIT_FAILURE;
    if (build(manual ? NULL : argv[1], &app, &error) != CAPP_OK) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    if (manual && capp_config_man(app, text, sizeof(text)) < sizeof(text))
        fputs(text, stdout);
    capp_free(app);
    return EXIT_SUCCESS;
}
