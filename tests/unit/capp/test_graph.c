/* SPDX-License-Identifier: Apache-2.0 */
/* What capp_build() finds wrong with a graph, in its own words, before anything is made. */
#include "fixture.h"

typedef struct alpha alpha;
typedef struct beta beta;
typedef struct gamma_service gamma_service;
typedef struct store store;

struct alpha {
    beta *needs_beta;
    store *default_store, *named_store;
};
struct beta {
    gamma_service *needs_gamma;
    alpha *needs_alpha;
};
struct gamma_service {
    alpha *needs_alpha;
};
struct store {
    int unused;
};

CAPP_TYPE_DEFINE(alpha);
CAPP_TYPE_DEFINE(beta);
CAPP_TYPE_DEFINE(gamma_service);
CAPP_TYPE_DEFINE(store);

static capp_status must_not_run(void *self, capp_error *reterr)
{
    (void)self;
    trace("constructor");
    return capp_fail(reterr, CAPP_E_INTERNAL, "a constructor ran");
}

static const capp_inject alpha_beta[] = {CAPP_INJECT(alpha, needs_beta, beta)};
static const capp_inject alpha_stores[] = {
    CAPP_INJECT(alpha, default_store, store),
    CAPP_INJECT_NAMED(alpha, named_store, store, "config"),
};
static const capp_inject alpha_stores_opt[] = {
    CAPP_INJECT_OPT(alpha, default_store, store),
    CAPP_INJECT_NAMED_OPT(alpha, named_store, store, "config"),
};
static const capp_inject beta_gamma[] = {CAPP_INJECT(beta, needs_gamma, gamma_service)};
static const capp_inject beta_alpha[] = {CAPP_INJECT(beta, needs_alpha, alpha)};
static const capp_inject beta_alpha_opt[] = {CAPP_INJECT_OPT(beta, needs_alpha, alpha)};
static const capp_inject gamma_alpha[] = {CAPP_INJECT(gamma_service, needs_alpha, alpha)};

static const capp_service alpha_on_beta = CAPP_SERVICE(alpha, CAPP_INJECTS(alpha_beta), .init = must_not_run);
static const capp_service alpha_on_stores = CAPP_SERVICE(alpha, CAPP_INJECTS(alpha_stores),
                                                         .init = must_not_run);
static const capp_service alpha_on_stores_opt = CAPP_SERVICE(alpha, CAPP_INJECTS(alpha_stores_opt));
static const capp_service beta_on_gamma = CAPP_SERVICE(beta, CAPP_INJECTS(beta_gamma), .init = must_not_run);
static const capp_service beta_on_alpha = CAPP_SERVICE(beta, CAPP_INJECTS(beta_alpha), .init = must_not_run);
static const capp_service beta_on_alpha_opt = CAPP_SERVICE(beta, CAPP_INJECTS(beta_alpha_opt));
static const capp_service gamma_on_alpha = CAPP_SERVICE(gamma_service, CAPP_INJECTS(gamma_alpha));

static store stores[3];
static struct log_text build_log;

/* The build must fail; gives back the error. */
static capp_error expect_failure(capp_builder *builder, capp_status expected)
{
    capp_app *app = NULL;
    capp_error error;

    trace_clear();
    assert_int_equal(capp_build(builder, &app, &error), expected);
    assert_int_equal(error.status, expected);
    assert_null(app);
    assert_string_equal(the_trace.text, "");
    without_places(error.message);
    return error;
}

static void missing_when_nothing_is_registered(void **state)
{
    capp_builder *builder = quiet_builder(&build_log);

    (void)state;
    capp_add_service(builder, &alpha_on_beta);
    capp_error error = expect_failure(builder, CAPP_E_NOT_FOUND);
    assert_string_equal(error.message,
                        "service alpha: field needs_beta needs the unnamed beta; none is registered");
    assert_string_equal(without_places(build_log.text),
                        "ERROR build: service alpha: field needs_beta needs the unnamed beta; "
                        "none is registered\n");
}

static capp_status publish_two(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    assert_int_equal(capp_publish(setup, &store_type, "blue", &stores[0]), CAPP_OK);
    return capp_publish(setup, &store_type, "red", &stores[1]);
}

static void missing_lists_what_there_is(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_configure(builder, capp_module_of("stores", publish_two, NULL));
    capp_add_service(builder, &alpha_on_stores);
    capp_error error = expect_failure(builder, CAPP_E_NOT_FOUND);
    assert_string_equal(
        error.message,
        "2 mistakes: service alpha: field default_store needs the unnamed store; registered: "
        "'blue', 'red'; ask for one of them by name; service alpha: field named_store needs store "
        "'config'; registered: 'blue', 'red'");
}

static capp_status publish_unnamed(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    return capp_publish(setup, &store_type, NULL, &stores[2]);
}

static void missing_mentions_the_unnamed_one(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_configure(builder, capp_module_of("stores", publish_unnamed, NULL));
    capp_add_service(builder, &alpha_on_stores);
    capp_error error = expect_failure(builder, CAPP_E_NOT_FOUND);
    assert_string_equal(error.message, "service alpha: field named_store needs store 'config'; registered: "
                                       "the unnamed one");
}

static void optional_stays_null(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    capp_add_service(builder, &alpha_on_stores_opt);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    alpha *service = capp_get(app, alpha, NULL);
    assert_non_null(service);
    assert_null(service->default_store);
    assert_null(service->named_store);
    capp_free(app);

    builder = quiet_builder(NULL);
    capp_configure(builder, capp_module_of("stores", publish_unnamed, NULL));
    capp_add_service(builder, &alpha_on_stores_opt);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    service = capp_get(app, alpha, NULL);
    assert_ptr_equal(service->default_store, &stores[2]);
    assert_null(service->named_store);
    capp_free(app);
}

static void cycle_shows_the_whole_path(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_add_service(builder, &alpha_on_beta);
    capp_add_service(builder, &beta_on_gamma);
    capp_add_service(builder, &gamma_on_alpha);
    capp_error error = expect_failure(builder, CAPP_E_CYCLE);
    assert_string_equal(error.message,
                        "services inject each other in a circle: alpha.needs_beta -> beta.needs_gamma -> "
                        "gamma_service.needs_alpha -> alpha");
}

static void cycle_leaves_out_the_way_to_it(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_add_service(builder, &gamma_on_alpha); /* leads to the circle, is not in it */
    capp_add_service(builder, &alpha_on_beta);
    capp_add_service(builder, &beta_on_alpha);
    capp_error error = expect_failure(builder, CAPP_E_CYCLE);
    assert_string_equal(error.message, "services inject each other in a circle: alpha.needs_beta -> "
                                       "beta.needs_alpha -> alpha");
}

static void optional_cycle_is_a_cycle(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_add_service(builder, &alpha_on_beta);
    capp_add_service(builder, &beta_on_alpha_opt);
    capp_error error = expect_failure(builder, CAPP_E_CYCLE);
    assert_has(error.message, "alpha.needs_beta -> beta.needs_alpha -> alpha");
}

typedef struct self_user {
    struct self_user *self;
} self_user;
CAPP_TYPE_DEFINE(self_user);
static const capp_inject self_rows[] = {CAPP_INJECT_NAMED(self_user, self, self_user, "me")};
static const capp_service self_service = CAPP_SERVICE(self_user, CAPP_INJECTS(self_rows), .name = "me",
                                                      .init = must_not_run);

static void a_service_cannot_inject_itself(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_add_service(builder, &self_service);
    capp_error error = expect_failure(builder, CAPP_E_CYCLE);
    assert_string_equal(error.message, "services inject each other in a circle: self_user 'me'.self -> "
                                       "self_user 'me'");
}

static capp_status alias_through(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    capp_alias(setup, &store_type, NULL, &store_type, "middle");
    capp_alias(setup, &store_type, "middle", &store_type, "blue");
    return capp_alias(setup, &store_type, "config", &store_type, "red");
}

static void aliases_lead_to_the_object(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    capp_configure(builder, capp_module_of("aliases", alias_through, NULL));
    capp_configure(builder, capp_module_of("stores", publish_two, NULL));
    capp_add_service(builder, &alpha_on_stores_opt);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    const alpha *service = capp_get(app, alpha, NULL);
    assert_ptr_equal(service->default_store, &stores[0]);
    assert_ptr_equal(service->named_store, &stores[1]);
    assert_ptr_equal(capp_get(app, store, NULL), &stores[0]);
    assert_ptr_equal(capp_get_named(app, store, "middle", NULL), &stores[0]);
    capp_free(app);
}

static void alias_to_nothing_is_reported_once(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_configure(builder, capp_module_of("aliases", alias_through, NULL));
    capp_add_service(builder, &alpha_on_stores);
    capp_error error = expect_failure(builder, CAPP_E_NOT_FOUND);
    assert_has(error.message, "3 mistakes: module aliases: alias store needs store 'blue'; registered: "
                              "the unnamed one, 'middle', 'config'");
    assert_null(strstr(error.message, "service alpha"));
}

static capp_status alias_circle(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    capp_alias(setup, &store_type, "a", &store_type, "b");
    return capp_alias(setup, &store_type, "b", &store_type, "a");
}

static void alias_circle_is_found(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_configure(builder, capp_module_of("aliases", alias_circle, NULL));
    capp_error error = expect_failure(builder, CAPP_E_CYCLE);
    assert_string_equal(error.message, "2 mistakes: module aliases: alias store 'a' leads back to itself; "
                                       "module aliases: alias store 'b' leads back to itself");
}

static capp_status require_config(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)reterr;
    capp_require(setup, &store_type, NULL, NULL);
    return capp_require(setup, &store_type, "red", module->user_data);
}

static void module_requirements_are_checked_and_filled(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    void *red = NULL;
    capp_app *app = NULL;

    (void)state;
    capp_configure(builder, capp_module_of("web", require_config, &red));
    capp_error error = expect_failure(builder, CAPP_E_NOT_FOUND);
    assert_string_equal(error.message, "2 mistakes: module web: needs the unnamed store; none is registered; "
                                       "module web: needs store 'red'; none is registered");
    assert_null(red);

    builder = quiet_builder(NULL);
    capp_configure(builder, capp_module_of("web", require_config, &red));
    capp_configure(builder, capp_module_of("stores", publish_two, NULL));
    capp_configure(builder, capp_module_of("stores2", publish_unnamed, NULL));
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_ptr_equal(red, &stores[1]);
    capp_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(missing_when_nothing_is_registered),
        cmocka_unit_test(missing_lists_what_there_is),
        cmocka_unit_test(missing_mentions_the_unnamed_one),
        cmocka_unit_test(optional_stays_null),
        cmocka_unit_test(cycle_shows_the_whole_path),
        cmocka_unit_test(cycle_leaves_out_the_way_to_it),
        cmocka_unit_test(optional_cycle_is_a_cycle),
        cmocka_unit_test(a_service_cannot_inject_itself),
        cmocka_unit_test(aliases_lead_to_the_object),
        cmocka_unit_test(alias_to_nothing_is_reported_once),
        cmocka_unit_test(alias_circle_is_found),
        cmocka_unit_test(module_requirements_are_checked_and_filled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
