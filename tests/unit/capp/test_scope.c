/* SPDX-License-Identifier: Apache-2.0 */
/* Scoped and transient services: when they are made, for whom, and in which order they end. */
#include "fixture.h"

#include "support/alloc_fail.h"

#include <stdatomic.h>

/*
 * clock: a singleton. ticket: transient, numbered. session: scoped, with two tickets of its own. order:
 * scoped, on the session, with a ticket. shop: a singleton with a ticket.
 */
typedef struct tick_clock {
    atomic_int tickets;
} tick_clock;
typedef struct ticket {
    tick_clock *clock;
    int number;
} ticket;
typedef struct session {
    tick_clock *clock;
    ticket *in, *out;
    capp_scope *scope;
} session;
typedef struct order {
    session *on;
    session *again;
    ticket *paper;
} order;
typedef struct shop {
    ticket *sign;
} shop;

CAPP_TYPE_DEFINE(tick_clock);
CAPP_TYPE_DEFINE(ticket);
CAPP_TYPE_DEFINE(session);
CAPP_TYPE_DEFINE(order);
CAPP_TYPE_DEFINE(shop);

static bool quiet; /* of many threads: no trace */

static capp_status ticket_init(void *self, capp_error *reterr)
{
    ticket *t = self;

    (void)reterr;
    t->number = atomic_fetch_add(&t->clock->tickets, 1) + 1;
    if (!quiet)
        trace("ticket %d", t->number);
    return CAPP_OK;
}

static void ticket_fini(void *self)
{
    if (!quiet)
        trace("end ticket %d", ((ticket *)self)->number);
}

static capp_status session_init(void *self, capp_error *reterr)
{
    session *s = self;

    if (s->in == NULL || s->out == NULL || s->in == s->out || s->scope == NULL)
        return capp_fail(reterr, CAPP_E_INTERNAL, "not wired");
    if (!quiet)
        trace("session");
    return CAPP_OK;
}

static void session_fini(void *self)
{
    assert_non_null(((session *)self)->in->clock); /* still there */
    if (!quiet)
        trace("end session");
}

static capp_status order_init(void *self, capp_error *reterr)
{
    (void)self;
    (void)reterr;
    if (!quiet)
        trace("order");
    return CAPP_OK;
}

static void order_fini(void *self)
{
    assert_non_null(((order *)self)->on->in);
    if (!quiet)
        trace("end order");
}

static capp_status fails(void *self, capp_error *reterr)
{
    (void)self;
    trace("fails");
    return capp_fail(reterr, CAPP_E_DENIED, "not today");
}

static const capp_inject ticket_rows[] = {CAPP_INJECT(ticket, clock, tick_clock)};
static const capp_inject session_rows[] = {
    CAPP_INJECT(session, clock, tick_clock),
    CAPP_INJECT(session, in, ticket),
    CAPP_INJECT(session, out, ticket),
    CAPP_INJECT(session, scope, capp_scope),
};
static const capp_inject order_rows[] = {
    CAPP_INJECT(order, on, session),
    CAPP_INJECT(order, again, session),
    CAPP_INJECT(order, paper, ticket),
};
static const capp_inject shop_rows[] = {CAPP_INJECT(shop, sign, ticket)};

static const capp_service clock_def = CAPP_SERVICE(tick_clock, .lifetime = CAPP_SINGLETON);
static const capp_service ticket_def = CAPP_SERVICE(ticket, CAPP_INJECTS(ticket_rows), .init = ticket_init,
                                                    .fini = ticket_fini, .lifetime = CAPP_TRANSIENT);
static const capp_service session_def = CAPP_SERVICE(
    session, CAPP_INJECTS(session_rows), .init = session_init, .fini = session_fini, .lifetime = CAPP_SCOPED);
static const capp_service order_def = CAPP_SERVICE(order, CAPP_INJECTS(order_rows), .init = order_init,
                                                   .fini = order_fini, .lifetime = CAPP_SCOPED);
static const capp_service failing_order_def = CAPP_SERVICE(order, CAPP_INJECTS(order_rows), .init = fails,
                                                           .fini = order_fini, .lifetime = CAPP_SCOPED);
static const capp_service shop_def = CAPP_SERVICE(shop, CAPP_INJECTS(shop_rows), .lifetime = CAPP_SINGLETON);

/* The order of registration is not that of making. */
static capp_app *build_with(const capp_service *orders)
{
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;
    capp_error error;

    capp_add_service(builder, orders);
    capp_add_service(builder, &shop_def);
    capp_add_service(builder, &session_def);
    capp_add_service(builder, &ticket_def);
    capp_add_service(builder, &clock_def);
    if (capp_build(builder, &app, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return app;
}

static capp_scope *open_scope(capp_app *app)
{
    capp_scope *scope = NULL;
    capp_error error;

    if (capp_scope_new(app, &scope, &error) != CAPP_OK)
        fail_msg("%s", error.message);
    return scope;
}

static void a_scope_makes_each_once_and_ends_in_reverse(void **state)
{
    capp_app *app;
    capp_scope *scope;

    (void)state;
    trace_clear();
    app = build_with(&order_def);
    assert_string_equal(the_trace.text, "ticket 1, "); /* the shop's */
    trace_clear();
    scope = open_scope(app);
    assert_ptr_equal(capp_scope_app(scope), app);
    assert_string_equal(the_trace.text, "");
    const order *o = capp_scope_get(scope, order, NULL);
    assert_non_null(o);
    assert_string_equal(the_trace.text, "ticket 2, ticket 3, session, ticket 4, order, ");
    assert_ptr_equal(capp_scope_get(scope, order, NULL), o);
    assert_ptr_equal(capp_scope_get(scope, session, NULL), o->on);
    assert_ptr_equal(o->again, o->on);
    assert_ptr_equal(o->on->scope, scope);
    assert_ptr_equal(capp_scope_get(scope, capp_scope, NULL), scope);
    assert_ptr_equal(capp_scope_get(scope, tick_clock, NULL), capp_get(app, tick_clock, NULL));
    assert_ptr_equal(o->on->clock, capp_get(app, tick_clock, NULL));
    trace_clear();
    capp_scope_free(scope);
    assert_string_equal(the_trace.text, "end order, end ticket 4, end session, end ticket 3, end ticket 2, ");
    trace_clear();
    capp_free(app);
    assert_string_equal(the_trace.text, "end ticket 1, ");
}

static void scopes_are_apart(void **state)
{
    capp_app *app = build_with(&order_def);
    capp_scope *one = open_scope(app), *two = open_scope(app);
    const session *first = capp_scope_get(one, session, NULL);
    const session *second = capp_scope_get(two, session, NULL);

    (void)state;
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
    capp_scope_free(one); /* in any order */
    assert_non_null(second->in->clock);
    capp_scope_free(two);
    capp_scope_free(NULL);
    capp_free(app);
}

static void a_transient_is_made_for_each_who_asks(void **state)
{
    capp_app *app = build_with(&order_def);
    capp_scope *scope = open_scope(app);
    const ticket *one = capp_scope_get(scope, ticket, NULL), *two = capp_scope_get(scope, ticket, NULL);

    (void)state;
    assert_non_null(one);
    assert_non_null(two);
    assert_ptr_not_equal(one, two);
    trace_clear();
    capp_scope_free(scope);
    assert_string_equal(the_trace.text, "end ticket 3, end ticket 2, ");
    capp_free(app);
}

static void the_application_has_only_singletons(void **state)
{
    capp_app *app = build_with(&order_def);
    capp_error error;
    void *one = NULL;

    (void)state;
    assert_null(capp_get(app, session, &error));
    assert_int_equal(error.status, CAPP_E_STATE);
    assert_string_equal(error.message, "session is scoped: open a scope and ask that");
    assert_null(capp_get(app, ticket, &error));
    assert_int_equal(error.status, CAPP_E_STATE);
    assert_string_equal(error.message, "ticket is transient: open a scope and ask that");
    assert_null(capp_get(app, capp_scope, &error));
    assert_int_equal(error.status, CAPP_E_STATE);
    assert_int_equal(capp_resolve_all(app, &session_type, &one, 1), 0);
    assert_int_equal(capp_resolve_all(app, &ticket_type, &one, 1), 0);
    assert_null(one);
    capp_free(app);
}

static void bad_calls_are_refused(void **state)
{
    capp_app *app = build_with(&order_def);
    capp_scope *scope = NULL;
    capp_error error;

    (void)state;
    assert_int_equal(capp_scope_new(NULL, &scope, &error), CAPP_E_INVALID_ARGUMENT);
    assert_int_equal(capp_scope_new(app, NULL, &error), CAPP_E_INVALID_ARGUMENT);
    assert_null(scope);
    scope = open_scope(app);
    assert_null(capp_scope_resolve(NULL, &order_type, NULL, &error));
    assert_int_equal(error.status, CAPP_E_INVALID_ARGUMENT);
    assert_null(capp_scope_resolve(scope, NULL, NULL, &error));
    assert_int_equal(error.status, CAPP_E_INVALID_ARGUMENT);
    assert_null(capp_scope_get_named(scope, order, "big", &error));
    assert_int_equal(error.status, CAPP_E_NOT_FOUND);
    assert_string_equal(error.message, "there is no order 'big'; registered: the unnamed one");
    capp_scope_free(scope);
    capp_free(app);
}

static void a_failed_resolve_leaves_the_scope_as_it_was(void **state)
{
    capp_app *app = build_with(&failing_order_def);
    capp_scope *scope = open_scope(app);
    capp_error error;

    (void)state;
    trace_clear();
    assert_null(capp_scope_get(scope, order, &error));
    assert_int_equal(error.status, CAPP_E_DENIED);
    assert_string_equal(error.message, "init of order: not today");
    assert_string_equal(the_trace.text, "ticket 2, ticket 3, session, ticket 4, fails, "
                                        "end ticket 4, end session, end ticket 3, end ticket 2, ");
    trace_clear();
    const session *s = capp_scope_get(scope, session, NULL); /* what was there before stays */
    assert_null(capp_scope_get(scope, order, NULL));
    assert_string_equal(the_trace.text, "ticket 5, ticket 6, session, ticket 7, fails, end ticket 7, ");
    assert_ptr_equal(capp_scope_get(scope, session, NULL), s);
    trace_clear();
    capp_scope_free(scope);
    assert_string_equal(the_trace.text, "end session, end ticket 6, end ticket 5, ");
    capp_free(app);
}

/* Optional is what may be missing, not what may fail. */
typedef struct guest {
    order *maybe;
} guest;
CAPP_TYPE_DEFINE(guest);
static const capp_inject guest_rows[] = {CAPP_INJECT_OPT(guest, maybe, order)};

static void an_optional_field_does_not_hide_a_failure(void **state)
{
    static const capp_service scoped = CAPP_SERVICE(guest, CAPP_INJECTS(guest_rows), .lifetime = CAPP_SCOPED);
    static const capp_service single = CAPP_SERVICE(guest, CAPP_INJECTS(guest_rows), .name = "single");
    capp_service failing = failing_order_def;
    capp_app *app = NULL;
    capp_scope *scope;
    capp_error error;

    (void)state;
    failing.inject_count = 0;
    for (int i = 0; i < 2; i++) {
        capp_builder *builder = quiet_builder(NULL);

        failing.lifetime = i == 0 ? CAPP_SCOPED : CAPP_SINGLETON;
        capp_add_service(builder, i == 0 ? &scoped : &single);
        capp_add_service(builder, &failing);
        assert_int_equal(capp_build(builder, &app, &error), i == 0 ? CAPP_OK : CAPP_E_DENIED);
        if (i == 1)
            break;
        scope = open_scope(app);
        assert_null(capp_scope_get(scope, guest, &error));
        assert_int_equal(error.status, CAPP_E_DENIED);
        capp_scope_free(scope);
        capp_free(app);
    }
    assert_string_equal(error.message, "init of order: not today");
}

static void an_open_scope_keeps_the_application(void **state)
{
    static struct log_text log;
    capp_builder *builder = quiet_builder(&log);
    capp_app *app = NULL;
    capp_scope *scope;

    (void)state;
    capp_add_service(builder, &session_def);
    capp_add_service(builder, &ticket_def);
    capp_add_service(builder, &clock_def);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    scope = open_scope(app);
    assert_non_null(capp_scope_get(scope, session, NULL));
    capp_free(app);
    assert_has(log.text, "ERROR app: capp_free: 1 scope is still open; nothing is freed\n");
    capp_scope_free(scope);
    capp_free(app);
}

/* ---- asking from inside ---------------------------------------------------------------------------- */

typedef struct asker {
    capp_scope *scope;
    capp_app *app;
    void *got;
} asker;
CAPP_TYPE_DEFINE(asker);
static const capp_inject asker_rows[] = {CAPP_INJECT(asker, scope, capp_scope)};

static capp_status asks_for_a_session(void *self, capp_error *reterr)
{
    asker *a = self;

    a->got = capp_scope_get(a->scope, session, reterr);
    trace("asker");
    return a->got == NULL ? reterr->status : CAPP_OK;
}

static capp_error seen;

static capp_status asks_for_itself(void *self, capp_error *reterr)
{
    asker *a = self;

    (void)reterr;
    a->got = capp_scope_get(a->scope, asker, &seen);
    return CAPP_OK;
}

static void asks_at_the_end(void *self)
{
    assert_null(capp_scope_get(((asker *)self)->scope, session, &seen));
    trace("end asker");
}

static capp_app *build_asker(capp_init_fn *init, capp_fini_fn *fini, capp_lifetime lifetime)
{
    capp_service def = CAPP_SERVICE(asker, CAPP_INJECTS(asker_rows), .init = init, .fini = fini,
                                    .lifetime = lifetime);
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    capp_add_service(builder, &def);
    capp_add_service(builder, &session_def);
    capp_add_service(builder, &ticket_def);
    capp_add_service(builder, &clock_def);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    return app;
}

static void an_init_may_ask_its_scope(void **state)
{
    capp_app *app = build_asker(asks_for_a_session, asks_at_the_end, CAPP_SCOPED);
    capp_scope *scope = open_scope(app);

    (void)state;
    trace_clear();
    const asker *a = capp_scope_get(scope, asker, NULL);
    assert_non_null(a);
    assert_ptr_equal(a->got, capp_scope_get(scope, session, NULL));
    assert_string_equal(the_trace.text, "ticket 1, ticket 2, session, asker, ");
    trace_clear();
    capp_scope_free(scope);
    assert_string_equal(the_trace.text, "end asker, end session, end ticket 2, end ticket 1, ");
    assert_int_equal(seen.status, CAPP_E_STATE);
    assert_string_equal(seen.message, "session: the scope is ending");
    capp_free(app);
}

static void who_asks_for_itself_is_told(void **state)
{
    static const capp_lifetime lifetimes[] = {CAPP_SCOPED, CAPP_TRANSIENT};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        capp_app *app = build_asker(asks_for_itself, NULL, lifetimes[i]);
        capp_scope *scope = open_scope(app);
        const asker *a = capp_scope_get(scope, asker, NULL);

        assert_non_null(a);
        assert_null(a->got);
        assert_int_equal(seen.status, CAPP_E_CYCLE);
        assert_string_equal(without_places(seen.message), "asker is being made, and asks for itself");
        capp_scope_free(scope);
        capp_free(app);
    }
}

typedef struct early {
    capp_app *app;
} early;
CAPP_TYPE_DEFINE(early);
static const capp_inject early_rows[] = {CAPP_INJECT(early, app, capp_app)};

static capp_status opens_too_early(void *self, capp_error *reterr)
{
    capp_scope *scope = NULL;

    (void)reterr;
    assert_int_equal(capp_scope_new(((early *)self)->app, &scope, &seen), CAPP_E_STATE);
    assert_string_equal(seen.message, "capp_scope_new: the application is not built yet");
    trace("early");
    return CAPP_OK;
}

static void opens_too_late(void *self)
{
    capp_scope *scope = NULL;

    assert_int_equal(capp_scope_new(((early *)self)->app, &scope, &seen), CAPP_E_STATE);
    assert_string_equal(seen.message, "capp_scope_new: the application is being freed");
    trace("late");
}

static void scopes_are_opened_in_the_life_of_the_application(void **state)
{
    static const capp_service def = CAPP_SERVICE(early, CAPP_INJECTS(early_rows), .init = opens_too_early,
                                                 .fini = opens_too_late);
    capp_builder *builder = quiet_builder(NULL);
    capp_app *app = NULL;

    (void)state;
    trace_clear();
    capp_add_service(builder, &def);
    assert_int_equal(capp_build(builder, &app, NULL), CAPP_OK);
    capp_free(app);
    assert_string_equal(the_trace.text, "early, late, ");
}

/* ---- a long chain ---------------------------------------------------------------------------------- */

enum { LINKS = 5000, SMALL_STACK = 256 * 1024 };
typedef struct link_of_chain {
    struct link_of_chain *next;
} link_of_chain;
CAPP_TYPE_DEFINE(link_of_chain);
static size_t links_ended;

static void link_fini(void *self)
{
    (void)self;
    links_ended++;
}

/* Each link needs the next one, by its name. */
static void add_links(capp_builder *builder)
{
    static capp_inject rows[LINKS];
    static char names[LINKS][8];

    for (int i = 0; i < LINKS; i++) {
        capp_service def = CAPP_SERVICE(link_of_chain, .fini = link_fini, .lifetime = CAPP_SCOPED);

        snprintf(names[i], sizeof(names[i]), "n%d", i);
        def.name = names[i];
        if (i > 0) {
            rows[i] = (capp_inject)CAPP_INJECT_NAMED(link_of_chain, next, link_of_chain, names[i - 1]);
            def.inject = &rows[i];
            def.inject_count = 1;
        }
        capp_add_service(builder, &def);
    }
}

static void *build_and_resolve(void *arg)
{
    capp_app *app = NULL;
    capp_scope *scope;
    char last[16];

    assert_int_equal(capp_build(arg, &app, NULL), CAPP_OK);
    scope = open_scope(app);
    snprintf(last, sizeof(last), "n%d", LINKS - 1);
    assert_non_null(capp_scope_get_named(scope, link_of_chain, last, NULL));
    capp_scope_free(scope);
    capp_free(app);
    return NULL;
}

static void a_long_chain_costs_no_stack(void **state)
{
    capp_builder *builder = quiet_builder(NULL);
    pthread_attr_t attr;
    pthread_t thread;

    (void)state;
    add_links(builder);
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstacksize(&attr, SMALL_STACK), 0);
    assert_int_equal(pthread_create(&thread, &attr, build_and_resolve, builder), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attr);
    assert_int_equal(links_ended, LINKS);
}

/* ---- many threads ---------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 2000 };

static void *open_and_close(void *arg)
{
    capp_app *app = arg;
    size_t wrong = 0;

    for (int i = 0; i < ROUNDS; i++) {
        capp_scope *scope = NULL;

        if (capp_scope_new(app, &scope, NULL) != CAPP_OK)
            return (void *)(uintptr_t)1;
        const order *o = capp_scope_get(scope, order, NULL);
        wrong += o == NULL || o->on->in == o->on->out || o->on->clock != capp_get(app, tick_clock, NULL);
        wrong += capp_get(app, shop, NULL) == NULL;
        wrong += capp_scope_get(scope, session, NULL) != (o == NULL ? NULL : o->on);
        capp_scope_free(scope);
    }
    return (void *)wrong;
}

static void many_threads_have_scopes(void **state)
{
    capp_app *app = build_with(&order_def);
    pthread_t threads[THREADS];

    (void)state;
    quiet = true;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_and_close, app), 0);
    for (int i = 0; i < THREADS; i++) {
        void *wrong = NULL;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(atomic_load(&capp_get(app, tick_clock, NULL)->tickets), 1 + 3 * THREADS * ROUNDS);
    capp_free(app);
    quiet = false;
}

/* ---- out of memory --------------------------------------------------------------------------------- */

/* One allocation fails; whatever happens, what was made is ended, and nothing leaks. */
static void scope_with_a_failing_allocation(size_t n, void *user)
{
    capp_app *app = user;
    capp_scope *scope = NULL;
    capp_error error = {0};
    const order *o = NULL;

    trace_clear();
    capp_status status = capp_scope_new(app, &scope, &error);
    if (status == CAPP_OK) {
        o = capp_scope_get(scope, order, &error);
        status = o == NULL ? error.status : CAPP_OK;
    }
    assert_int_equal(status, n <= 6 ? CAPP_E_NO_MEMORY : CAPP_OK);
    capp_scope_free(scope);

    size_t made = 0, ended = 0;
    for (const char *s = the_trace.text; (s = strstr(s, ", ")) != NULL; s += 2)
        made++;
    for (const char *s = the_trace.text; (s = strstr(s, "end ")) != NULL; s++)
        ended++;
    assert_int_equal(made, 2 * ended);
}

static void scopes_survive_failing_allocations(void **state)
{
    capp_app *app = build_with(&order_def);

    (void)state;
    size_t live = alloc_live();
    /* The scope, two sessions' tickets, the session, the order and its ticket. */
    assert_int_equal(alloc_fail_each(scope_with_a_failing_allocation, app), 6);
    assert_int_equal(alloc_live(), live);
    capp_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_makes_each_once_and_ends_in_reverse),
        cmocka_unit_test(scopes_are_apart),
        cmocka_unit_test(a_transient_is_made_for_each_who_asks),
        cmocka_unit_test(the_application_has_only_singletons),
        cmocka_unit_test(bad_calls_are_refused),
        cmocka_unit_test(a_failed_resolve_leaves_the_scope_as_it_was),
        cmocka_unit_test(an_optional_field_does_not_hide_a_failure),
        cmocka_unit_test(an_open_scope_keeps_the_application),
        cmocka_unit_test(an_init_may_ask_its_scope),
        cmocka_unit_test(who_asks_for_itself_is_told),
        cmocka_unit_test(scopes_are_opened_in_the_life_of_the_application),
        cmocka_unit_test(a_long_chain_costs_no_stack),
        cmocka_unit_test(many_threads_have_scopes),
        cmocka_unit_test(scopes_survive_failing_allocations),
    };

    unsetenv("CAPP_ENV");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
