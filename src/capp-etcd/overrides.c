/* SPDX-License-Identifier: Apache-2.0 */
#include "overrides.h"

#include "base/str.h"
#include "factory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char below[] = "CAPP_ETCD__CLIENTS__";

enum field { ENDPOINTS, USERNAME, PASSWORD, PASSWORD_ENV, PASSWORD_FILE };

static const char *const fields[] = {
    [ENDPOINTS] = "ENDPOINTS",
    [USERNAME] = "USERNAME",
    [PASSWORD] = "PASSWORD",
    [PASSWORD_ENV] = "PASSWORD__ENV",
    [PASSWORD_FILE] = "PASSWORD__FILE",
};

_Static_assert(ETCD__COUNT(fields) == CAPP__ETCD_OVERRIDE_FIELDS, "one variable for each field");

typedef char variable_name[128];

_Static_assert(sizeof(below) + CAPP__ETCD_NAME_SIZE + sizeof("__PASSWORD__FILE") < sizeof(variable_name),
               "every name fits");

static void name_variable(variable_name dst, const char *client, enum field field)
{
    char folded[CAPP__ETCD_NAME_SIZE];

    capp__etcd_name_fold(folded, client);
    etcd__format(dst, sizeof(variable_name), "%s%s__%s", below, folded, fields[field]);
}

static bool is_set(const struct capp__etcd_overrides *overrides, enum field field)
{
    return overrides->variables[field][0] != '\0';
}

static const char *value_of(const struct capp__etcd_overrides *overrides, enum field field)
{
    return getenv(overrides->variables[field]);
}

/* Finds out which variables are there. An empty one is more likely an accident than a wish. */
static capp_status look(struct capp__etcd_overrides *overrides, const char *client, capp_error *reterr)
{
    for (enum field field = ENDPOINTS; field <= PASSWORD_FILE; field = (enum field)(field + 1)) {
        char *variable = overrides->variables[field];

        name_variable(variable, client, field);
        const char *value = getenv(variable);
        if (value == NULL)
            variable[0] = '\0';
        else if (value[0] == '\0')
            return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s is empty", variable);
    }
    return CAPP_OK;
}

/* ---- endpoints ------------------------------------------------------------------------------------- */

static size_t count_commas(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += *text == ',';
    return count;
}

static capp_status take_endpoints(struct capp__etcd_overrides *overrides, etcd_client_opts *opts,
                                  capp_error *reterr)
{
    size_t count = 0;

    if (!is_set(overrides, ENDPOINTS))
        return CAPP_OK;
    overrides->text = etcd__strdup(value_of(overrides, ENDPOINTS));
    if (overrides->text != NULL)
        overrides->endpoints = etcd__calloc(count_commas(overrides->text) + 2, sizeof(*overrides->endpoints));
    if (overrides->endpoints == NULL)
        return capp_fail(reterr, CAPP_E_NO_MEMORY, "out of memory");
    for (char *rest = overrides->text, *part; (part = strsep(&rest, ",")) != NULL;)
        overrides->endpoints[count++] = part;
    opts->endpoints = overrides->endpoints;
    return CAPP_OK;
}

/* ---- credentials ----------------------------------------------------------------------------------- */

static capp_status take_credentials(const struct capp__etcd_overrides *overrides, etcd_client_opts *opts,
                                    capp_error *reterr)
{
    const char *chosen = NULL;

    if (is_set(overrides, USERNAME))
        opts->username = value_of(overrides, USERNAME);
    for (enum field field = PASSWORD; field <= PASSWORD_FILE; field = (enum field)(field + 1)) {
        if (!is_set(overrides, field))
            continue;
        if (chosen != NULL)
            return capp_fail(reterr, CAPP_E_INVALID_ARGUMENT, "%s and %s are both set", chosen,
                             overrides->variables[field]);
        chosen = overrides->variables[field];
    }
    if (is_set(overrides, PASSWORD))
        opts->password = ETCD_SECRET_ENV(overrides->variables[PASSWORD]);
    else if (is_set(overrides, PASSWORD_ENV))
        opts->password = ETCD_SECRET_ENV(value_of(overrides, PASSWORD_ENV));
    else if (is_set(overrides, PASSWORD_FILE))
        opts->password = ETCD_SECRET_FILE(value_of(overrides, PASSWORD_FILE));
    return CAPP_OK;
}

/* ---- all of it ------------------------------------------------------------------------------------- */

capp_status capp__etcd_overrides_apply(struct capp__etcd_overrides *overrides, const char *name,
                                       etcd_client_opts *opts, capp_error *reterr)
{
    capp_status status = look(overrides, name, reterr);

    if (status == CAPP_OK)
        status = take_endpoints(overrides, opts, reterr);
    if (status == CAPP_OK)
        status = take_credentials(overrides, opts, reterr);
    if (status != CAPP_OK && status != CAPP_E_NO_MEMORY)
        capp_error_prefix(reterr, "client '%s'", name);
    return status;
}

void capp__etcd_overrides_blame(const struct capp__etcd_overrides *overrides, capp_error *error)
{
    char names[ETCD__COUNT(fields) * sizeof(variable_name)];
    size_t len = 0;

    for (size_t i = 0; i < ETCD__COUNT(fields); i++) {
        if (overrides->variables[i][0] != '\0')
            len += etcd__format(names + len, sizeof(names) - len, "%s%s", len == 0 ? "" : ", ",
                                overrides->variables[i]);
    }
    if (len > 0)
        capp_error_prefix(error, "with %s from the environment", names);
}

void capp__etcd_overrides_deinit(struct capp__etcd_overrides *overrides)
{
    etcd__free(overrides->endpoints);
    etcd__free(overrides->text);
}

/* ---- variables that nobody reads ------------------------------------------------------------------- */

static bool is_read(capp_etcd_factory *factory, const char *variable, size_t len)
{
    struct capp__etcd_member *member = NULL;
    variable_name name;

    while ((member = capp__etcd_next(factory, member)) != NULL) {
        for (enum field field = ENDPOINTS; field <= PASSWORD_FILE; field = (enum field)(field + 1)) {
            name_variable(name, member->name, field);
            if (strlen(name) == len && memcmp(name, variable, len) == 0)
                return true;
        }
    }
    return false;
}

void capp__etcd_overrides_warn(capp_etcd_factory *factory, const capp_logger *logger)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t len = strcspn(*entry, "=");

        if (strncmp(*entry, below, sizeof(below) - 1) == 0 && !is_read(factory, *entry, len))
            capp_log(logger, CAPP_LOG_WARN, "etcd", "%.*s is set, but there is no such client or option",
                     (int)len, *entry);
    }
}
