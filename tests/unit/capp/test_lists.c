/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces, lists of all objects of a type, and objects that a factory function makes. */
#include "fixture.h"

#include "support/alloc_fail.h"

/* ---- an interface and two who have it -------------------------------------------------------------- */

typedef struct check check;
struct check {
    int (*look)(check *self);
};
typedef struct disk {
    int free_bytes;
    check as_check;
} disk;
typedef struct net {
    check as_check;
    int links;
} net;
typedef struct report {
    check *const *checks;
    check **same;
    const check *const *constant;
    check *disk_check;
} report;

CAPP_TYPE_DEFINE(check);
CAPP_TYPE_DEFINE(disk);
CAPP_TYPE_DEFINE(net);
CAPP_TYPE_DEFINE(report);

static int disk_look(check *self)
{
    return CAPP_SELF(disk, as_check, self)->free_bytes;
}

static int net_look(check *self)
{
    return CAPP_SELF(net, as_check, self)->links;
}

static capp_status disk_init(void *self, capp_error *reterr)
{
    disk *d = self;

    (void)reterr;
    *d = (disk){.free_bytes = 42, .as_check = {disk_look}};
    trace("disk");
    return CAPP_OK;
}

static capp_status net_init(void *self, capp_error *reterr)
{
    net *n = self;

    (void)reterr;
    *n = (net){.links = 7, .as_check = {net_look}};
    trace("net");
    return CAPP_OK;
}

static capp_status report_init(void *self, capp_error *reterr)
{
    report *r = self;

    (void)reterr;
    trace("report of");
    for (check *const *each = r->checks; *each != NULL; each++)
        trace("%d", (*each)->look(*each));
    return CAPP_OK;
}

static const capp_provided disk_as[] = {CAPP_PROVIDES_AS(disk, as_check, check, "disk")};
static const capp_provided net_as[] = {CAPP_PROVIDES(net, as_check, check)};
static const capp_service disk_def = CAPP_SERVICE(disk, CAPP_PROVIDED(disk_as), .init = disk_init);
static const capp_service net_def = CAPP_SERVICE(net, CAPP_PROVIDED(net_as), .init = net_init,
                                                 .name = "eth0");
static const capp_inject report_rows[] = {
    CAPP_INJECT_LIST(report, checks, check),
    CAPP_INJECT_LIST(report, same, check),
    CAPP_INJECT_LIST(report, constant, check),
    CAPP_INJECT_NAMED(report, disk_check, check, "disk"),
};
static const capp_inject lists_only[] = {CAPP_INJECT_LIST(report, checks, check)};
static const capp_service report_def = CAPP_SERVICE(report, CAPP_INJECTS(report_rows), .init = report_init);

static check published = {NULL};

static int published_look(check *self)
{
    assert_ptr_equal(self, &published);
    return 1;
}

/* One object under two names, and another name for one of the services. */
static capp_status publish_twice(capp_setup *setup, const capp_module *module, capp_error *reterr)
{
    (void)module;
    (void)reterr;
    published.look = published_look;
    capp_publish(setup, &check_type, NULL, &published);
    capp_publish(setup, &check_type, "twice", &published);
    return capp_alias(setup, &check_type, "alias", &check_type, "eth0");
}

static capp_app *build(capp_builder *builder)
{
    capp_app *app = NULL;
    capp_error error;

    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

static void an_interface_is_a_member_of_its_service(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app;

    (void)state;
    trace_clear();
    capp_add_service(builder, &report_def);
    capp_add_service(builder, &net_def);
    capp_add_service(builder, &disk_def);
    app = build(builder);
    disk *d = capp_get(app, disk, NULL);
    net *n = capp_get_named(app, net, "eth0", NULL);
    const report *r = capp_get(app, report, NULL);
    assert_ptr_equal(capp_get_named(app, check, "disk", NULL), &d->as_check);
    assert_ptr_equal(capp_get_named(app, check, "eth0", NULL), &n->as_check);
    assert_ptr_equal(r->disk_check, &d->as_check);
    assert_null(capp_get(app, check, NULL));
    /* One object each, whichever way it is asked for; made before who lists it. */
    assert_string_equal(the_trace.text, "net, disk, report of, 7, 42, ");
    capp_free(app);
}

static void a_list_has_each_object_once_in_order(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app;
    void *all[8] = {NULL};

    (void)state;
    trace_clear();
    capp_configure(builder, capp_module_of("twice", publish_twice, NULL));
    capp_add_service(builder, &disk_def);
    capp_add_service(builder, &report_def);
    capp_add_service(builder, &net_def);
    app = build(builder);
    const report *r = capp_get(app, report, NULL);
    const disk *d = capp_get(app, disk, NULL);
    const net *n = capp_get_named(app, net, "eth0", NULL);
    assert_ptr_equal(r->checks[0], &d->as_check); /* services of the program are registered first */
    assert_ptr_equal(r->checks[1], &n->as_check);
    assert_ptr_equal(r->checks[2], &published);
    assert_null(r->checks[3]);
    assert_ptr_equal(r->same, r->checks);
    assert_ptr_equal(r->constant, r->checks);
    assert_int_equal(capp_resolve_all(app, &check_type, all, 8), 3);
    assert_memory_equal(all, r->checks, 4 * sizeof(void *));
    memset(all, 0, sizeof(all));
    assert_int_equal(capp_resolve_all(app, &check_type, all, 1), 3);
    assert_ptr_equal(all[0], &d->as_check);
    assert_null(all[1]);
    assert_int_equal(capp_resolve_all(app, &check_type, NULL, 0), 3);
    assert_int_equal(capp_resolve_all(NULL, &check_type, all, 8), 0);
    assert_int_equal(capp_resolve_all(app, NULL, all, 8), 0);
    capp_free(app);
}

static void a_list_may_be_empty(void **state)
{
    static const capp_service def = CAPP_SERVICE(report, CAPP_INJECTS(lists_only));
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app;

    (void)state;
    capp_add_service(builder, &def);
    app = build(builder);
    const report *r = capp_get(app, report, NULL);
    assert_non_null(r->checks);
    assert_null(r->checks[0]);
    assert_null(r->constant);
    assert_int_equal(capp_resolve_all(app, &check_type, NULL, 0), 0);
    capp_free(app);
}

/* What lives shorter than the application is in no list; and lists come into scoped services, too. */
static void a_list_has_only_singletons(void **state)
{
    capp_service scoped_disk = disk_def, transient_net = net_def, scoped_report = report_def;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app;
    capp_scope *scope = NULL;

    (void)state;
    scoped_disk.lifetime = scoped_report.lifetime = CAPP_SCOPED;
    transient_net.lifetime = CAPP_TRANSIENT;
    capp_configure(builder, capp_module_of("twice", publish_twice, NULL));
    capp_add_service(builder, &scoped_report);
    capp_add_service(builder, &scoped_disk);
    capp_add_service(builder, &transient_net);
    app = build(builder);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(capp_scope_new(app, &scope, NULL), CAPP_OK);
        const report *r = capp_scope_get(scope, report, NULL);
        const disk *d = capp_scope_get(scope, disk, NULL);
        assert_ptr_equal(r->checks[0], &published);
        assert_null(r->checks[1]);
        assert_ptr_equal(r->disk_check, &d->as_check); /* the member of the scope's own */
        assert_ptr_equal(capp_scope_get_named(scope, check, "disk", NULL), &d->as_check);
        check *fresh = capp_scope_get_named(scope, check, "alias", NULL); /* of a transient service */
        assert_int_equal(fresh->look(fresh), 7);
        assert_ptr_not_equal(capp_scope_get_named(scope, check, "alias", NULL), fresh);
        capp_scope_free(scope);
    }
    capp_free(app);
}

/* Who lists itself would have to exist before it is made. */
static void who_lists_itself_is_a_circle(void **state)
{
    static const capp_provided as[] = {{&check_type, NULL, 0, 0, 0}};
    capp_service def = CAPP_SERVICE(report, CAPP_INJECTS(lists_only), CAPP_PROVIDED(as));
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    capp_add_service(builder, &def);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_CYCLE);
    assert_string_equal(without_places(error.message),
                        "services inject each other in a circle: report.checks -> report");
}

static void interfaces_collide_like_everything_else(void **state)
{
    capp_service other = disk_def;
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    (void)state;
    other.name = "second";
    capp_add_service(builder, &disk_def);
    capp_add_service(builder, &other);
    assert_int_equal(capp_build(builder, &app, &error), CAPP_E_DUPLICATE);
    assert_string_equal(without_places(error.message),
                        "check 'disk' is registered twice, by the program and by the program");
}

/* ---- factory functions ----------------------------------------------------------------------------- */

typedef struct pool pool; /* opaque to the host */
struct pool {
    int size;
    const disk *on;
};
typedef struct pool_deps {
    disk *on;
    check *const *checks;
} pool_deps;
CAPP_TYPE_DEFINE(pool);
static const capp_inject pool_rows[] = {
    CAPP_INJECT(pool_deps, on, disk),
    CAPP_INJECT_LIST(pool_deps, checks, check),
};

static pool the_pool;
static int pool_faults; /* 1: fails, 2: makes nothing */

static capp_status pool_make(void *deps, void **ret_object, capp_error *reterr)
{
    const pool_deps *d = deps;

    trace("make pool");
    if (pool_faults == 1)
        return capp_fail(reterr, CAPP_E_UNAVAILABLE, "no water");
    the_pool = (pool){.size = d->checks[0] == NULL ? 0 : 1, .on = d->on};
    *ret_object = pool_faults == 2 ? NULL : &the_pool;
    return CAPP_OK;
}

static void pool_unmake(void *deps, void *object)
{
    assert_ptr_equal(object, &the_pool);
    assert_ptr_equal(((pool_deps *)deps)->on, the_pool.on); /* as long as the object */
    trace("unmake pool");
}

static capp_status pool_start(void *self, capp_error *reterr)
{
    (void)reterr;
    assert_ptr_equal(self, &the_pool);
    trace("start pool");
    return CAPP_OK;
}

static const capp_service pool_def = CAPP_FACTORY(pool, pool_deps, CAPP_INJECTS(pool_rows), .make = pool_make,
                                                  .unmake = pool_unmake, .start = pool_start);

static void a_factory_function_makes_the_object(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app;

    (void)state;
    pool_faults = 0;
    trace_clear();
    capp_add_service(builder, &pool_def);
    capp_add_service(builder, &disk_def);
    app = build(builder);
    assert_ptr_equal(capp_get(app, pool, NULL), &the_pool);
    assert_ptr_equal(the_pool.on, capp_get(app, disk, NULL));
    assert_int_equal(the_pool.size, 1);
    capp_free(app);
    assert_string_equal(the_trace.text, "disk, make pool, unmake pool, ");
}

static capp_status stops_at_once(capp_worker *worker, void *user_data, capp_error *reterr)
{
    (void)user_data;
    (void)reterr;
    capp_stop(capp_worker_app(worker));
    return CAPP_OK;
}

static void what_a_factory_made_is_started(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app;

    (void)state;
    pool_faults = 0;
    trace_clear();
    capp_add_service(builder, &pool_def);
    capp_add_service(builder, &disk_def);
    capp_add_worker(builder, "stopper", stops_at_once, NULL);
    app = build(builder);
    assert_int_equal(capp_run(app, NULL), CAPP_OK);
    capp_free(app);
    assert_string_equal(the_trace.text, "disk, make pool, start pool, unmake pool, ");
}

static void a_factory_function_may_fail(void **state)
{
    static const struct {
        capp_status status;
        const char *message;
    } rows[] = {
        {CAPP_E_UNAVAILABLE, "make of pool: no water"},
        {CAPP_E_INTERNAL, "make of pool: it made nothing"},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        capp_builder *builder = quiet_builder(NULL);
        capp_app *app = NULL;
        capp_error error;

        pool_faults = (int)i + 1;
        trace_clear();
        capp_add_service(builder, &pool_def);
        capp_add_service(builder, &disk_def);
        assert_int_equal(capp_build(builder, &app, &error), rows[i].status);
        assert_string_equal(error.message, rows[i].message);
        assert_string_equal(the_trace.text, "disk, make pool, ");
    }
    pool_faults = 0;
}

static int needs_nothing_calls;

static capp_status make_of_nothing(void *deps, void **ret_object, capp_error *reterr)
{
    (void)reterr;
    needs_nothing_calls += deps == NULL;
    *ret_object = &the_pool;
    return CAPP_OK;
}

static void end_of_nothing(void *deps, void *object)
{
    (void)object;
    needs_nothing_calls += deps == NULL;
}

static void a_factory_may_need_nothing_and_be_scoped(void **state)
{
    static const capp_service def = {.size = sizeof(capp_service),
                                     .type = &pool_type,
                                     .make = make_of_nothing,
                                     .unmake = end_of_nothing,
                                     .lifetime = CAPP_SCOPED};
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app;
    capp_scope *scope = NULL;

    (void)state;
    capp_add_service(builder, &def);
    app = build(builder);
    assert_int_equal(capp_scope_new(app, &scope, NULL), CAPP_OK);
    assert_ptr_equal(capp_scope_get(scope, pool, NULL), &the_pool);
    assert_ptr_equal(capp_scope_get(scope, pool, NULL), &the_pool);
    capp_scope_free(scope);
    assert_int_equal(needs_nothing_calls, 2);
    capp_free(app);
}

/* ---- out of memory --------------------------------------------------------------------------------- */

/* One allocation of a build with all kinds of things fails. */
static void build_with_a_failing_allocation(size_t n, void *user)
{
    size_t *succeeded = user;
    capp_builder *builder;
    capp_app *app = NULL;
    capp_error error;

    (void)n;
    builder = capp_builder_new();
    capp_use_log(builder, log_nowhere, NULL);
    capp_configure(builder, capp_module_of("twice", publish_twice, NULL));
    capp_add_service(builder, &report_def);
    capp_add_service(builder, &pool_def);
    capp_add_service(builder, &net_def);
    capp_add_service(builder, &disk_def);
    trace_clear();
    capp_status status = capp_build(builder, &app, &error);
    if (status == CAPP_OK)
        (*succeeded)++;
    else
        assert_int_equal(status, CAPP_E_NO_MEMORY);
    capp_free(app);
    assert_int_equal(trace_has("make pool"), trace_has("unmake pool"));
}

static void builds_survive_failing_allocations(void **state)
{
    size_t succeeded = 0, live = alloc_live();

    (void)state;
    pool_faults = 0;
    assert_true(alloc_fail_each(build_with_a_failing_allocation, &succeeded) > 40);
    assert_int_equal(succeeded, 1);
    assert_int_equal(alloc_live(), live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_interface_is_a_member_of_its_service),
        cmocka_unit_test(a_list_has_each_object_once_in_order),
        cmocka_unit_test(a_list_may_be_empty),
        cmocka_unit_test(a_list_has_only_singletons),
        cmocka_unit_test(who_lists_itself_is_a_circle),
        cmocka_unit_test(interfaces_collide_like_everything_else),
        cmocka_unit_test(a_factory_function_makes_the_object),
        cmocka_unit_test(what_a_factory_made_is_started),
        cmocka_unit_test(a_factory_function_may_fail),
        cmocka_unit_test(a_factory_may_need_nothing_and_be_scoped),
        cmocka_unit_test(builds_survive_failing_allocations),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
