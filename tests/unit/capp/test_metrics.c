/* SPDX-License-Identifier: Apache-2.0 */
/* The text of metrics, looked at as Prometheus would. */
#include "fixture.h"

#include "capp/host.h"

#include <ctype.h>

/* ---- a strict reader -------------------------------------------------------------------------------------
 */

struct family {
    char name[128], type[16];
    bool help, samples;
};

struct reader {
    struct family families[64];
    size_t count;
    char series[128][256]; /* name and labels, each once */
    size_t series_count;
};

static struct family *find_family(struct reader *reader, const char *name, size_t len)
{
    for (size_t i = 0; i < reader->count; i++) {
        if (strlen(reader->families[i].name) == len && strncmp(reader->families[i].name, name, len) == 0)
            return &reader->families[i];
    }
    return NULL;
}

static size_t name_length(const char *text)
{
    size_t len = 0;

    assert_true(isalpha((unsigned char)text[0]) || text[0] == '_');
    while (isalnum((unsigned char)text[len]) || text[len] == '_' || text[len] == ':')
        len++;
    return len;
}

static void read_comment(struct reader *reader, const char *line)
{
    const char *name = line + 7;
    size_t len = name_length(name);
    struct family *family = find_family(reader, name, len);

    assert_true(strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0);
    assert_int_equal(name[len], ' ');
    if (line[2] == 'H') {
        if (family != NULL)
            fail_msg("a second HELP: %s", line);
        family = &reader->families[reader->count++];
        memcpy(family->name, name, len);
        family->help = true;
        return;
    }
    if (family == NULL || family->type[0] != '\0' || family->samples)
        fail_msg("TYPE stands where it must not: %s", line);
    snprintf(family->type, sizeof(family->type), "%s", name + len + 1);
    assert_true(strcmp(family->type, "gauge") == 0 || strcmp(family->type, "counter") == 0);
    if (strcmp(family->type, "counter") == 0 && (len < 6 || strncmp(name + len - 6, "_total", 6) != 0))
        fail_msg("a counter ends in _total: %s", line);
}

/* Behind the labels. */
static const char *skip_labels(const char *at)
{
    if (*at != '{')
        return at;
    do {
        at++;
        at += name_length(at);
        assert_true(at[0] == '=' && at[1] == '"');
        for (at += 2; *at != '"'; at++) {
            assert_int_not_equal(*at, '\0');
            if (*at == '\\') {
                at++;
                assert_true(*at == '\\' || *at == '"' || *at == 'n');
            }
        }
        at++;
    } while (*at == ',');
    assert_int_equal(*at, '}');
    return at + 1;
}

static void read_sample(struct reader *reader, const char *line)
{
    size_t len = name_length(line);
    struct family *family = find_family(reader, line, len);
    const char *end = skip_labels(line + len);
    char *number_end;

    /* All of one metric stands together, behind its two lines. */
    if (family == NULL || family->type[0] == '\0' || family != &reader->families[reader->count - 1])
        fail_msg("a sample of nothing that was declared right before: %s", line);
    family->samples = true;
    for (size_t i = 0; i < reader->series_count; i++) {
        if (strlen(reader->series[i]) == (size_t)(end - line) &&
            strncmp(reader->series[i], line, (size_t)(end - line)) == 0)
            fail_msg("twice: %s", line);
    }
    snprintf(reader->series[reader->series_count++], sizeof(reader->series[0]), "%.*s", (int)(end - line),
             line);
    assert_int_equal(*end, ' ');
    (void)strtod(end + 1, &number_end);
    assert_true(number_end > end + 1 && *number_end == '\0');
}

/* The whole text; fails where Prometheus would refuse it. */
static void read_metrics(char *text)
{
    static struct reader reader;

    memset(&reader, 0, sizeof(reader));
    while (*text != '\0') {
        char *end = strchr(text, '\n');

        assert_non_null(end);
        *end = '\0';
        if (*text == '#')
            read_comment(&reader, text);
        else
            read_sample(&reader, text);
        *end = '\n';
        text = end + 1;
    }
    for (size_t i = 0; i < reader.count; i++)
        assert_true(reader.families[i].type[0] != '\0');
}

/* ---- applications
 * ------------------------------------------------------------------------------------------ */

static void up(void *self, capp_health *health)
{
    health->state = self == NULL ? CAPP_HEALTH_UP : CAPP_HEALTH_DEGRADED;
}

static void add_some(void *self, capp_metrics *out)
{
    char label[64];

    capp_metrics_printf(out, "# HELP shop_orders_total Orders.\n# TYPE shop_orders_total counter\n");
    capp_metrics_printf(out, "shop_orders_total{customer=\"%s\"} %d",
                        capp_metrics_label(label, sizeof(label), "\"a\"\\\nb"), *(const int *)self);
}

static void add_more(void *self, capp_metrics *out)
{
    (void)self;
    capp_metrics_printf(out, "# HELP shop_up Up.\n# TYPE shop_up gauge\nshop_up 1\n");
}

static int orders = 4711;

static capp_status configure(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    assert_int_equal(capp_setup_add_health(setup, "etcd.config", up, NULL, 0), CAPP_OK);
    assert_int_equal(capp_setup_add_health(setup, "etcd.other", up, &orders, CAPP_HEALTH_LIVENESS), CAPP_OK);
    assert_int_equal(capp_setup_add_metrics(setup, add_some, &orders), CAPP_OK);
    assert_int_equal(capp_setup_add_metrics(setup, add_more, NULL), CAPP_OK);
    return CAPP_OK;
}

/* Looks at the metrics from inside of the running application. */
static capp_status look(capp_worker *worker, void *user_data, capp_error *reterr)
{
    capp_app *app = capp_worker_app(worker);

    (void)reterr;
    while (!capp_app_is_ready(app))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    capp_log(capp_app_logger(app), CAPP_LOG_WARN, "shop", "counted");
    capp_log(capp_app_logger(app), CAPP_LOG_TRACE, "shop", "not shown");
    capp_metrics_text(app, user_data, 16384);
    capp_stop(app);
    return CAPP_OK;
}

static void all_of_it_is_sound(void **state)
{
    static const char *const expected[] = {
        "\ncapp_up 1\n",
        "\ncapp_live 1\n",
        "\ncapp_ready 1\n",
        "\ncapp_health_state{check=\"etcd.config\"} 0\n",
        "\ncapp_health_state{check=\"etcd.other\"} 1\n",
        "\ncapp_worker_restarts_total{worker=\"look\"} 0\n",
        "\ncapp_reloads_total{result=\"ok\"} 0\n",
        "\ncapp_reloads_total{result=\"failed\"} 0\n",
        "\ncapp_log_records_total{level=\"trace\"} 0\n",
        "\ncapp_log_records_total{level=\"warn\"} 1\n",
        "\ncapp_log_records_lost_total 0\n",
        "\nshop_orders_total{customer=\"\\\"a\\\"\\\\\\nb\"} 4711\n",
        "\nshop_up 1\n",
    };
    static char text[16384];
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_module_of("shop", configure, NULL));
    capp_add_worker(builder, "look", look, text);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_int_equal(capp_run(app, &error), CAPP_OK);
    read_metrics(text);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_has(text, expected[i]);
    assert_has(text, "\ncapp_uptime_seconds 0.");
    capp_free(app);
}

static void an_application_that_does_not_run_has_metrics(void **state)
{
    static char text[16384];
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    capp_configure(builder, capp_module_of("shop", configure, NULL));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    size_t len = capp_metrics_text(app, text, sizeof(text));
    assert_int_equal(len, strlen(text));
    read_metrics(text);
    assert_has(text, "\ncapp_up 0\n");
    assert_has(text, "\ncapp_ready 0\n");
    assert_has(text, "\ncapp_uptime_seconds 0.000\n");
    assert_null(strstr(text, "capp_health_state{")); /* nobody was asked */
    assert_int_equal(capp_metrics_text(app, NULL, 0), len);
    assert_int_equal(capp_metrics_text(NULL, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    capp_free(app);
}

static void labels_are_escaped(void **state)
{
    static const struct {
        const char *value, *label;
    } rows[] = {
        {"plain", "plain"},
        {"a\"b", "a\\\"b"},
        {"a\\b", "a\\\\b"},
        {"a\nb", "a\\nb"},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"", ""},
        {"bad \xff", "bad \\\\xFF"},
        {NULL, ""},
    };
    char label[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(capp_metrics_label(label, sizeof(label), rows[i].value), rows[i].label);
    /* Cut between characters, never inside of an escape. */
    assert_string_equal(capp_metrics_label(label, 4, "ab\n"), "ab");
    assert_string_equal(capp_metrics_label(label, 5, "ab\n"), "ab\\n");
    assert_string_equal(capp_metrics_label(label, 4, "a\xe2\x82\xac"), "a");
    assert_string_equal(capp_metrics_label(label, 1, "a"), "");
}

static capp_status configure_badly(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    assert_int_equal(capp_setup_add_metrics(setup, NULL, NULL), CAPP_E_INVALID_ARGUMENT);
    return CAPP_OK;
}

static void a_missing_function_is_a_mistake(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_configure(builder, capp_module_of("bad", configure_badly, NULL));
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(error.message, "module bad: capp_setup_add_metrics: fn is NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_sound),
        cmocka_unit_test(an_application_that_does_not_run_has_metrics),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(a_missing_function_is_a_mistake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
