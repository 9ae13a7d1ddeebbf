/* SPDX-License-Identifier: Apache-2.0 */
/* How a source of configuration is described, without a server: what is refused, and what memory it takes. */
#include "capp/etcd.h"

#include "support/alloc_fail.h"
#include "unit/capp/fixture.h"

#define LAZY CAPP_ETCD_CLIENT(.start = CAPP_ETCD_LAZY)

/* Adds the client "config" and, unless there are no options, a source. */
static void one_source(capp_etcd_builder *b, void *user)
{
    (void)capp_etcd_add_client_with(b, "config", NULL, LAZY);
    if (user != NULL)
        (void)capp_etcd_add_source(b, user);
}

static capp_builder *builder_of(struct log_text *log, const capp_etcd_source_opts *opts)
{
    capp_builder *builder = quiet_builder(log);

    capp_configure(builder, capp_etcd(one_source, (void *)(uintptr_t)opts));
    return builder;
}

static void assert_mistake(capp_builder *builder, const char *part)
{
    capp_app *app = NULL;
    capp_error error;

    assert_int_not_equal(capp_build(builder, &app, &error), CAPP_OK);
    assert_has(error.message, part);
}

static void what_is_wrong_is_a_mistake_of_the_build(void **state)
{
    capp_etcd_source_opts opts = CAPP_ETCD_SOURCE_INIT;
    capp_builder *builder;

    (void)state;
    assert_int_equal(capp_etcd_add_source(NULL, &opts), CAPP_E_STATE);
    assert_mistake(builder_of(NULL, &opts), "etcd.source.prefix: there is none");
    opts.prefix = "/config/";
    assert_mistake(builder_of(NULL, &opts), "needs etcd_client 'default'; registered: 'config'");
    opts.client = "config";
    opts.policy = (capp_etcd_source_policy)7;
    assert_mistake(builder_of(NULL, &opts), "etcd.source.policy: it is 7");
    opts.policy = CAPP_ETCD_SOURCE_OPTIONAL;
    opts.settle_ms = 1001;
    assert_mistake(builder_of(NULL, &opts), "settle_ms is 1001");
    opts.settle_ms = -1;
    assert_mistake(builder_of(NULL, &opts), "settle_ms is -1");
    opts.settle_ms = 0;
    opts.size = 3;
    assert_mistake(builder_of(NULL, &opts), "capp_etcd_add_source options were not initialised");
    builder = builder_of(NULL, NULL);
    capp_use_config_value(builder, "etcd.source.settle", "2s");
    assert_mistake(builder, "etcd.source.settle: 2s is not between 0 and 1s");
}

static void the_configuration_can_say_it_all(void **state)
{
    capp_etcd_source_opts opts = CAPP_ETCD_SOURCE_INIT;
    capp_builder *builder = builder_of(NULL, NULL);
    char dump[8192];
    capp_app *app = NULL;

    (void)state;
    capp_use_config_value(builder, "etcd.source.prefix", "/config/app");
    capp_use_config_value(builder, "etcd.source.client", "config");
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_true(capp_config_dump(app, dump, sizeof(dump)) < sizeof(dump));
    assert_has(dump, "etcd.source.prefix: \"/config/app\"  # code\n");
    assert_has(dump, "etcd.source.policy: optional  # default\n");
    assert_has(dump, "etcd.source.settle: 100ms  # code\n");
    capp_free(app);
    opts.prefix = "/of-the-program/"; /* the configuration counts more */
    builder = builder_of(NULL, &opts);
    capp_use_config_value(builder, "etcd.source.client", "config");
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_free(app);
}

struct tries {
    size_t failures, successes;
};

static void build_once(size_t n, void *user)
{
    static const capp_etcd_source_opts opts = {.size = sizeof(opts), .client = "config", .prefix = "/a"};
    size_t live = alloc_live();
    capp_builder *builder = capp_builder_new();
    struct tries *tries = user;
    capp_app *app = NULL;
    capp_error error;

    (void)n;
    capp_use_log(builder, log_nowhere, NULL);
    capp_configure(builder, capp_etcd(one_source, (void *)(uintptr_t)&opts));
    if (capp_build(builder, &app, &error) == CAPP_OK) {
        tries->successes++;
    } else {
        assert_int_equal(error.status, CAPP_E_NO_MEMORY);
        tries->failures++;
    }
    capp_free(app);
    assert_int_equal(alloc_live(), live);
}

static void any_allocation_may_fail(void **state)
{
    struct tries tries = {0};

    (void)state;
    assert_true(alloc_fail_each(build_once, &tries) > 20);
    assert_true(tries.failures > 20);
    assert_true(tries.successes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_a_mistake_of_the_build),
        cmocka_unit_test(the_configuration_can_say_it_all),
        cmocka_unit_test(any_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
