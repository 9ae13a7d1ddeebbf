/* SPDX-License-Identifier: Apache-2.0 */
/* What capp_build() finds wrong with scoped and transient services, and where it says that they are. */
#include "fixture.h"

typedef struct api {
    int version;
} api;
typedef struct request {
    int number;
    api as_api;
} request;
typedef struct query {
    request *on;
} query;
typedef struct pool_deps {
    query *sample;
} pool_deps;
typedef struct pool pool;
typedef struct cache {
    query *sample;
    request *last;
    pool *from;
    api *through;
    capp_scope *scope;
    request *const *all;
} cache;

CAPP_TYPE_DEFINE(api);
CAPP_TYPE_DEFINE(request);
CAPP_TYPE_DEFINE(query);
CAPP_TYPE_DEFINE(pool);
CAPP_TYPE_DEFINE(cache);

static capp_status must_not_run(void *self, capp_error *reterr)
{
    (void)self;
    trace("constructor");
    return capp_fail(reterr, CAPP_E_INTERNAL, "a constructor ran");
}

static capp_status must_not_make(void *deps, void **ret_object, capp_error *reterr)
{
    (void)ret_object;
    return must_not_run(deps, reterr);
}

static const capp_provided request_as[] = {CAPP_PROVIDES(request, as_api, api)};
static const capp_inject query_rows[] = {CAPP_INJECT(query, on, request)};
static const capp_inject pool_rows[] = {CAPP_INJECT(pool_deps, sample, query)};

static const capp_service request_def = CAPP_SERVICE(request, CAPP_PROVIDED(request_as), .init = must_not_run,
                                                     .lifetime = CAPP_SCOPED);
static const capp_service query_def = CAPP_SERVICE(query, CAPP_INJECTS(query_rows), .init = must_not_run,
                                                   .lifetime = CAPP_TRANSIENT);
static const capp_service pool_def = CAPP_FACTORY(pool, pool_deps, CAPP_INJECTS(pool_rows),
                                                  .make = must_not_make, .lifetime = CAPP_TRANSIENT);

/* The build must fail before anything is made; gives back the error. */
static capp_error expect_failure(capp_builder *builder, capp_status expected)
{
    capp_app *app = NULL;
    capp_error error;

    trace_clear();
    assert_int_equal(capp_build(builder, &app, &error), expected);
    assert_null(app);
    assert_string_equal(the_trace.text, "");
    return error;
}

static capp_status rename_request(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    return capp_alias(setup, &request_type, "renamed", &request_type, NULL);
}

static void a_singleton_cannot_keep_what_is_scoped(void **state)
{
    static const struct {
        capp_inject row;
        const char *path;
    } ways[] = {
        {CAPP_INJECT(cache, last, request), "cache.last -> request"},
        {CAPP_INJECT_OPT(cache, last, request), "cache.last -> request"},
        {CAPP_INJECT_NAMED(cache, last, request, "renamed"), "cache.last -> request"},
        {CAPP_INJECT(cache, through, api), "cache.through -> request"},
        {CAPP_INJECT(cache, scope, capp_scope), "cache.scope -> capp_scope"},
        {CAPP_INJECT(cache, sample, query), "cache.sample -> query.on -> request"},
        {CAPP_INJECT(cache, from, pool), "cache.from -> pool.sample -> query.on -> request"},
    };
    char expected[256];

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const capp_service def = {.size = sizeof(def),
                                  .type = &cache_type,
                                  .object_size = sizeof(cache),
                                  .inject = &ways[i].row,
                                  .inject_count = 1,
                                  .init = must_not_run};
        capp_builder *builder = quiet_builder(NULL);

        capp_add_service(builder, &def);
        capp_add_service(builder, &pool_def);
        capp_add_service(builder, &query_def);
        capp_add_service(builder, &request_def);
        capp_configure(builder, capp_module_of("names", rename_request, NULL));
        capp_error error = expect_failure(builder, CAPP_E_INVALID_ARGUMENT);
        snprintf(expected, sizeof(expected), "a singleton cannot need what is scoped: %s", ways[i].path);
        assert_string_equal(without_places(error.message), expected);
    }
}

/* A list has no scoped services in it, so it keeps none; those that are in it are looked at by themselves. */
static void a_list_keeps_nothing_scoped(void **state)
{
    static const capp_inject rows[] = {CAPP_INJECT_LIST(cache, all, request)};
    static const capp_service def = CAPP_SERVICE(cache, CAPP_INJECTS(rows));
    capp_service scoped = request_def;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    scoped.init = NULL;
    capp_add_service(builder, &def);
    capp_add_service(builder, &scoped);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    assert_null(capp_get(app, cache, NULL)->all[0]);
    capp_free(app);
}

/* Every way is told, not only the first one. */
static void each_field_that_keeps_something_is_told(void **state)
{
    static const capp_inject rows[] = {CAPP_INJECT(cache, sample, query), CAPP_INJECT(cache, last, request)};
    static const capp_service def = CAPP_SERVICE(cache, CAPP_INJECTS(rows));
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_add_service(builder, &def);
    capp_add_service(builder, &query_def);
    capp_add_service(builder, &request_def);
    capp_error error = expect_failure(builder, CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(without_places(error.message),
                        "2 mistakes: a singleton cannot need what is scoped: cache.sample -> query.on -> "
                        "request; a singleton cannot need what is scoped: cache.last -> request");
}

static capp_status require_short_lived(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    capp_require(setup, &request_type, NULL, NULL);
    return capp_require(setup, &query_type, NULL, NULL);
}

static void a_module_can_only_need_what_exists_once(void **state)
{
    capp_builder *builder = quiet_builder(NULL);

    (void)state;
    capp_configure(builder, capp_module_of("web", require_short_lived, NULL));
    capp_add_service(builder, &query_def);
    capp_add_service(builder, &request_def);
    capp_error error = expect_failure(builder, CAPP_E_INVALID_ARGUMENT);
    assert_string_equal(without_places(error.message),
                        "2 mistakes: module web: needs request, which is scoped: a module can only need what "
                        "exists once; module web: needs query, which is transient: a module can only need "
                        "what exists once");
}

/* Nobody has to open a scope to learn that something is missing in it. */
static void what_is_missing_is_found_for_every_lifetime(void **state)
{
    static const capp_lifetime lifetimes[] = {CAPP_SINGLETON, CAPP_SCOPED, CAPP_TRANSIENT};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        capp_service def = query_def;
        capp_builder *builder = quiet_builder(NULL);

        def.lifetime = lifetimes[i];
        capp_add_service(builder, &def);
        capp_error error = expect_failure(builder, CAPP_E_NOT_FOUND);
        assert_string_equal(without_places(error.message),
                            "service query: field on needs the unnamed request; none is registered");
    }
}

typedef struct left left;
typedef struct right right;
struct left {
    right *other;
    api as_api;
};
struct right {
    left *other;
    api *interface;
};
CAPP_TYPE_DEFINE(left);
CAPP_TYPE_DEFINE(right);
static const capp_provided left_as[] = {CAPP_PROVIDES(left, as_api, api)};
static const capp_inject left_rows[] = {CAPP_INJECT_OPT(left, other, right)};
static const capp_inject right_rows[] = {CAPP_INJECT_OPT(right, other, left)};
static const capp_inject right_through[] = {CAPP_INJECT(right, interface, api)};

static void circles_are_found_for_every_lifetime(void **state)
{
    static const capp_lifetime lifetimes[] = {CAPP_SINGLETON, CAPP_SCOPED, CAPP_TRANSIENT};
    capp_service l = CAPP_SERVICE(left, CAPP_INJECTS(left_rows), CAPP_PROVIDED(left_as));
    capp_service r = CAPP_SERVICE(right, CAPP_INJECTS(right_rows));

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        capp_builder *builder = quiet_builder(NULL);

        l.lifetime = r.lifetime = lifetimes[i % 3];
        if (i == 3)
            r.inject = right_through;
        capp_add_service(builder, &l);
        capp_add_service(builder, &r);
        capp_error error = expect_failure(builder, CAPP_E_CYCLE);
        assert_string_equal(without_places(error.message),
                            i < 3
                                ? "services inject each other in a circle: left.other -> right.other -> left"
                                : "services inject each other in a circle: left.other -> right.interface -> "
                                  "left");
    }
}

/* ---- descriptions that are not sound --------------------------------------------------------------- */

static capp_status starts(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    return CAPP_OK;
}
static capp_status stops(void *self, int64_t limit_ms, capp_error *reterr)
{
    (void)limit_ms;
    return starts(self, reterr);
}
static capp_status runs(void *self, capp_worker *worker, capp_error *reterr)
{
    (void)worker;
    return starts(self, reterr);
}
static void says_how_it_is(void *self, capp_health *health)
{
    (void)self;
    (void)health;
}
static void ends(void *self)
{
    (void)self;
}
static void unmakes(void *deps, void *object)
{
    (void)deps;
    (void)object;
}

static void unsound_descriptions_are_refused_in_words(void **state)
{
    static const capp_provided no_type[] = {{NULL, NULL, 0, 0, 0}};
    static const capp_provided outside[] = {{&api_type, NULL, sizeof(request), 0, 0}};
    static const capp_provided flagged[] = {{&api_type, NULL, 0, 1, 0}};
    static const capp_provided misnamed[] = {{&api_type, "a b", 0, 0, 0}};
    static const capp_inject named_list[] = {{"on", &request_type, "x", 0, CAPP_INJECT_ALL, 0}};
    static const capp_inject optional_list[] = {
        {"on", &request_type, NULL, 0, CAPP_INJECT_ALL | CAPP_INJECT_OPTIONAL, 0}};
    static const struct {
        capp_service def;
        const char *message;
    } rows[] = {
        {CAPP_SERVICE(request, .lifetime = CAPP_SCOPED, .start = starts),
         "only a singleton can have start, stop or run"},
        {CAPP_SERVICE(request, .lifetime = CAPP_SCOPED, .stop = stops),
         "only a singleton can have start, stop or run"},
        {CAPP_SERVICE(request, .lifetime = CAPP_TRANSIENT, .run = runs),
         "only a singleton can have start, stop or run"},
        {CAPP_SERVICE(request, .lifetime = CAPP_TRANSIENT, .reload = starts),
         "only a singleton can have reload or health"},
        {CAPP_SERVICE(request, .lifetime = CAPP_SCOPED, .health = says_how_it_is),
         "only a singleton can have reload or health"},
        {CAPP_SERVICE(request, .lifetime = (capp_lifetime)-1), "lifetime is -1"},
        {CAPP_SERVICE(request, .make = must_not_make, .init = starts),
         "init and fini go with an object of the host's, make and unmake stand for them"},
        {CAPP_SERVICE(request, .make = must_not_make, .fini = ends),
         "init and fini go with an object of the host's, make and unmake stand for them"},
        {CAPP_SERVICE(request, .unmake = unmakes), "unmake needs make"},
        {CAPP_SERVICE(request, .provide_count = 1), "provides is NULL but provide_count is 1"},
        {CAPP_SERVICE(request, CAPP_PROVIDED(no_type)), "provides[0] has no type"},
        {CAPP_SERVICE(request, CAPP_PROVIDED(outside)),
         "interface api at byte 8 is outside of the object of 8 bytes"},
        {CAPP_SERVICE(request, CAPP_PROVIDED(flagged)), "interface api has unknown flags"},
        {CAPP_SERVICE(request, CAPP_PROVIDED(misnamed)),
         "interface api: name 'a b' is not 1-63 characters of A-Z a-z 0-9 _ -"},
        {CAPP_SERVICE(request, CAPP_INJECTS(named_list)),
         "field on is a list of all: it has no name and is never missing"},
        {CAPP_SERVICE(request, CAPP_INJECTS(optional_list)),
         "field on is a list of all: it has no name and is never missing"},
    };
    char expected[256];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        capp_builder *builder = quiet_builder(NULL);

        capp_add_service(builder, &rows[i].def);
        capp_error error = expect_failure(builder, CAPP_E_INVALID_ARGUMENT);
        snprintf(expected, sizeof(expected), "service request: %s", rows[i].message);
        assert_string_equal(without_places(error.message), expected);
    }
}

/* ---- places ---------------------------------------------------------------------------------------- */

static int alias_line, require_line;

static capp_status configure_faults(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    alias_line = __LINE__ + 1;
    capp_alias(setup, &api_type, "x", &api_type, "y");
    require_line = __LINE__ + 1;
    capp_require(setup, &pool_type, NULL, NULL);
    capp_setup_at(setup, "lib/web.lua", 7);
    return (capp_require)(setup, &pool_type, "second", NULL);
}

static capp_status configure_plainly(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    return (capp_require)(setup, &pool_type, "third", NULL);
}

__attribute__((format(printf, 2, 3))) static void log_has(const struct log_text *log, const char *format, ...)
{
    char expected[512];
    va_list args;

    va_start(args, format);
    vsnprintf(expected, sizeof(expected), format, args);
    va_end(args);
    assert_has(log->text, expected);
}

static void every_fault_says_where(void **state)
{
    static const capp_inject cache_rows[] = {CAPP_INJECT(cache, sample, query)};
    static const capp_service cache_def = CAPP_SERVICE(cache, CAPP_INJECTS(cache_rows));
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    int cache_line, query_line, request_line, twice_line, worker_line, module_line;

    (void)state;
    cache_line = __LINE__ + 1;
    capp_add_service(builder, &cache_def);
    query_line = __LINE__ + 1;
    capp_add_service(builder, &query_def);
    request_line = __LINE__ + 1;
    capp_add_service(builder, &request_def);
    twice_line = __LINE__ + 1;
    capp_add_service(builder, &request_def);
    worker_line = __LINE__ + 1;
    capp_add_worker(builder, "w", NULL, NULL);
    capp_configure(builder, capp_module_of("web", configure_faults, NULL));
    module_line = __LINE__ + 1;
    capp_configure(builder, capp_module_of("plain", configure_plainly, NULL));
    (capp_add_service)(capp_builder_at(builder, "/somewhere/else/main.cc", 12), NULL);
    expect_failure(builder, CAPP_E_DUPLICATE);

    log_has(&log,
            "request is registered twice, by the program (test_graph_lifetimes.c:%d) and by the program "
            "(test_graph_lifetimes.c:%d)\n",
            request_line, twice_line);
    log_has(&log, "capp_service is NULL (main.cc:12)\n");
    log_has(&log, "capp_add_worker: fn is NULL (test_graph_lifetimes.c:%d)\n", worker_line);
    log_has(&log, "module web: alias api 'x' (test_graph_lifetimes.c:%d) needs api 'y'", alias_line);
    log_has(&log, "module web (test_graph_lifetimes.c:%d): needs the unnamed pool", require_line);
    log_has(&log, "module web (web.lua:7): needs pool 'second'");
    log_has(&log, "module plain (test_graph_lifetimes.c:%d): needs pool 'third'", module_line);
    log_has(&log,
            "cache.sample (test_graph_lifetimes.c:%d) -> query.on (test_graph_lifetimes.c:%d) -> request "
            "(test_graph_lifetimes.c:%d)\n",
            cache_line, query_line, request_line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_singleton_cannot_keep_what_is_scoped),
        cmocka_unit_test(a_list_keeps_nothing_scoped),
        cmocka_unit_test(each_field_that_keeps_something_is_told),
        cmocka_unit_test(a_module_can_only_need_what_exists_once),
        cmocka_unit_test(what_is_missing_is_found_for_every_lifetime),
        cmocka_unit_test(circles_are_found_for_every_lifetime),
        cmocka_unit_test(unsound_descriptions_are_refused_in_words),
        cmocka_unit_test(every_fault_says_where),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
