/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolver.h"

#include "net/addr.h"
#include "support/alloc_fail.h"
#include "support/fake_env.h"
#include "support/name_server.h"
#include "support/socket_env.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIMIT_MS = 20000 };

/* ---- the world of a test ---- */

struct answer {
    size_t calls;
    size_t count;
    char addresses[4][ETCD__ADDR_TEXT_SIZE];
    char error[128];
};

struct world {
    struct socket_env *env;
    struct etcd__reactor reactor;
    struct etcd__resolver *resolver;
    struct name_server server;
    char conf[64]; /* a resolv.conf of our own */
};

static int start(void **state)
{
    static struct world world;
    int fd;

    memset(&world, 0, sizeof(world));
    snprintf(world.conf, sizeof(world.conf), "/tmp/etcdc-resolv-XXXXXX");
    fd = mkostemp(world.conf, O_CLOEXEC);
    if (fd < 0)
        return -1;
    close(fd);
    name_server_open(&world.server);
    name_server_host(&world.server, "both.test", "192.0.2.1");
    name_server_host(&world.server, "both.test", "2001:db8::1");
    name_server_host(&world.server, "four.test", "192.0.2.1");
    name_server_host(&world.server, "four.test", "192.0.2.2");
    name_server_host(&world.server, "none.test", NULL);
    name_server_service(&world.server, "_etcd-client._tcp.test", 20, 2379, "c.test");
    name_server_service(&world.server, "_etcd-client._tcp.test", 10, 2380, "a.test");
    name_server_service(&world.server, "_etcd-client._tcp.test", 10, 2381, "b.test.");
    name_server_service(&world.server, "_etcd-client-ssl._tcp.test", 0, 0, "");
    name_server_host(&world.server, "_etcd-client._tcp.none.test", NULL);
    world.env = socket_env_new();
    etcd__reactor_init(&world.reactor, socket_env_table(world.env));
    *state = &world;
    return etcd__resolver_new(&world.reactor, &world.resolver, NULL) == ETCD_OK ? 0 : -1;
}

static int stop(void **state)
{
    struct world *world = *state;

    etcd__resolver_free(world->resolver);
    assert_int_equal(socket_env_watched(world->env), 0);
    assert_int_equal(etcd__reactor_next_ms(&world->reactor), INT64_MAX);
    assert_int_equal(alloc_live(), 0);
    socket_env_free(world->env);
    name_server_close(&world->server);
    return unlink(world->conf);
}

static void on_answer(void *user, const struct etcd__addresses *addresses)
{
    struct answer *answer = user;

    answer->calls++;
    answer->count = addresses->count;
    for (size_t i = 0; i < addresses->count && i < 4; i++)
        etcd__addr_text(answer->addresses[i], sizeof(answer->addresses[i]), &addresses->list[i]);
    if (addresses->error != NULL)
        snprintf(answer->error, sizeof(answer->error), "%s", addresses->error);
    assert_int_equal(addresses->error == NULL, addresses->count > 0);
}

/* One turn in which the name server has its say too. */
static void turn(struct world *world)
{
    name_server_answer(&world->server);
    assert_int_equal(etcd__reactor_turn(&world->reactor, world->reactor.now_ms + 10), 0);
}

static void run_until_called(struct world *world, const struct answer *answer)
{
    struct etcd__env env = world->reactor.env;
    int64_t limit = env.ops->now_ms(env.self) + LIMIT_MS;

    while (answer->calls == 0) {
        assert_true(env.ops->now_ms(env.self) < limit);
        turn(world);
    }
}

static struct etcd__lookup *ask(struct world *world, const char *host, struct answer *answer)
{
    struct etcd__lookup *lookup = NULL;

    memset(answer, 0, sizeof(*answer));
    assert_int_equal(etcd__resolver_lookup(world->resolver, host, 2379, on_answer, answer, &lookup, NULL),
                     ETCD_OK);
    assert_int_equal(answer->calls, 0);
    return lookup;
}

/* ---- without a server ---- */

struct fixed {
    const char *host;
    size_t count;
    const char *first, *second;
};

static void some_hosts_need_no_server(void **state)
{
    static const struct fixed fixed[] = {
        {"127.0.0.1", 1, "127.0.0.1:2379", ""},
        {"::1", 1, "[::1]:2379", ""},
        {"2001:db8::5", 1, "[2001:db8::5]:2379", ""},
        {"localhost", 2, "127.0.0.1:2379", "[::1]:2379"},
        {"localhost.", 2, "127.0.0.1:2379", "[::1]:2379"},
        {"LocalHost", 2, "127.0.0.1:2379", "[::1]:2379"},
        {"etcd.localhost", 2, "127.0.0.1:2379", "[::1]:2379"},
    };
    struct world *world = *state;

    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        struct answer answer;

        ask(world, fixed[i].host, &answer);
        run_until_called(world, &answer);
        assert_int_equal(answer.calls, 1);
        assert_int_equal(answer.count, fixed[i].count);
        assert_string_equal(answer.addresses[0], fixed[i].first);
        assert_string_equal(answer.addresses[1], fixed[i].second);
    }
    assert_int_equal(world->server.questions, 0);
}

static void cancelled_answers_do_not_come(void **state)
{
    struct world *world = *state;
    struct answer first, second;
    struct etcd__lookup *lookup = ask(world, "127.0.0.1", &first);

    ask(world, "127.0.0.1", &second);
    etcd__lookup_cancel(lookup);
    etcd__lookup_cancel(NULL);
    run_until_called(world, &second);
    turn(world);
    assert_int_equal(first.calls, 0);
    /* One that nobody waits for when the resolver goes. */
    ask(world, "127.0.0.1", &first);
}

/* ---- with one ---- */

static bool has(const struct answer *answer, const char *address)
{
    for (size_t i = 0; i < answer->count && i < 4; i++) {
        if (strcmp(answer->addresses[i], address) == 0)
            return true;
    }
    return false;
}

static void servers_are_asked(void **state)
{
    struct world *world = *state;
    struct answer answer;

    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    ask(world, "both.test", &answer);
    run_until_called(world, &answer);
    assert_int_equal(answer.count, 2);
    assert_true(has(&answer, "192.0.2.1:2379"));
    assert_true(has(&answer, "[2001:db8::1]:2379"));

    ask(world, "four.test", &answer);
    run_until_called(world, &answer);
    assert_int_equal(answer.count, 2);
    assert_true(has(&answer, "192.0.2.1:2379"));
    assert_true(has(&answer, "192.0.2.2:2379"));

    ask(world, "none.test", &answer);
    run_until_called(world, &answer);
    assert_string_equal(answer.error, "the name has no address");

    ask(world, "nobody.test", &answer);
    run_until_called(world, &answer);
    assert_string_equal(answer.error, "no such host");
    assert_true(world->server.questions >= 8);
    /* Nothing is left that could wake an idle program. */
    assert_int_equal(socket_env_watched(world->env), 0);
    assert_int_equal(etcd__reactor_next_ms(&world->reactor), INT64_MAX);
}

/* ---- services ---- */

struct found {
    size_t calls, count;
    struct etcd__srv_record records[4];
    char error[128];
};

static void on_services(void *user, const struct etcd__services *services)
{
    struct found *found = user;

    found->calls++;
    found->count = services->count;
    for (size_t i = 0; i < services->count && i < 4; i++)
        found->records[i] = services->list[i];
    if (services->error != NULL)
        (void)snprintf(found->error, sizeof(found->error), "%s", services->error);
    assert_int_equal(services->error == NULL, services->count > 0);
}

static struct etcd__lookup *ask_service(struct world *world, const char *service, struct found *found)
{
    struct etcd__lookup *lookup = NULL;

    memset(found, 0, sizeof(*found));
    assert_int_equal(etcd__resolver_services(world->resolver, service, on_services, found, &lookup, NULL),
                     ETCD_OK);
    assert_int_equal(found->calls, 0);
    return lookup;
}

static void await_services(struct world *world, const struct found *found)
{
    struct etcd__env env = world->reactor.env;
    int64_t limit = env.ops->now_ms(env.self) + LIMIT_MS;

    while (found->calls == 0) {
        assert_true(env.ops->now_ms(env.self) < limit);
        turn(world);
    }
}

static void services_are_found(void **state)
{
    struct world *world = *state;
    struct found found;

    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    ask_service(world, "_etcd-client._tcp.test", &found);
    await_services(world, &found);
    assert_int_equal(found.calls, 1);
    assert_int_equal(found.count, 3);
    assert_string_equal(found.records[0].target, "c.test");
    assert_int_equal(found.records[0].priority, 20);
    assert_int_equal(found.records[0].port, 2379);
    assert_string_equal(found.records[1].target, "a.test");
    assert_string_equal(found.records[2].target, "b.test");
    assert_int_equal(found.records[2].port, 2381);
    assert_int_equal(socket_env_watched(world->env), 0);
    assert_int_equal(etcd__reactor_next_ms(&world->reactor), INT64_MAX);
}

static void services_that_are_not_there(void **state)
{
    static const char *const services[] = {
        "_etcd-client._tcp.nobody.test", /* no such name */
        "_etcd-client._tcp.none.test",   /* no record */
        "_etcd-client-ssl._tcp.test",    /* decidedly not here: the target is the root */
        "127.0.0.1",
    };
    struct world *world = *state;

    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        struct found found;

        ask_service(world, services[i], &found);
        await_services(world, &found);
        assert_int_equal(found.count, 0);
        assert_string_equal(found.error, "no SRV record");
    }
}

static void services_can_be_left(void **state)
{
    struct world *world = *state;
    struct found left, kept;
    struct etcd__lookup *lookup;

    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    lookup = ask_service(world, "_etcd-client._tcp.test", &left);
    ask_service(world, "_etcd-client._tcp.test", &kept);
    etcd__lookup_cancel(lookup);
    await_services(world, &kept);
    assert_int_equal(left.calls, 0);
    world->server.silent = true;
    ask_service(world, "_etcd-client._tcp.test", &left);
    turn(world); /* and the resolver goes */
}

static void no_server_is_a_reason(void **state)
{
    struct world *world = *state;
    struct name_server gone;
    struct answer answer;

    name_server_open(&gone);
    name_server_close(&gone);
    etcd__resolver_use(world->resolver, world->conf, gone.place);
    ask(world, "both.test", &answer);
    run_until_called(world, &answer);
    /* Kernels may keep the second of two refusals to themselves. */
    if (strcmp(answer.error, "the name servers do not answer") != 0)
        assert_string_equal(answer.error, "no name server can be reached");
}

static void lookups_under_way_can_be_left(void **state)
{
    struct world *world = *state;
    struct answer left, kept, forgotten;
    struct etcd__lookup *lookup;

    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    lookup = ask(world, "four.test", &left);
    ask(world, "four.test", &kept);
    etcd__lookup_cancel(lookup);
    run_until_called(world, &kept);
    assert_int_equal(kept.count, 2);
    assert_int_equal(left.calls, 0);

    world->server.silent = true;
    lookup = ask(world, "four.test", &left);
    ask(world, "both.test", &forgotten);
    turn(world);
    etcd__lookup_cancel(lookup);
    /* The resolver is freed with one under way, and one that c-ares holds for nobody. */
}

static void write_conf(struct world *world, const char *text)
{
    char path[80];
    FILE *file;

    snprintf(path, sizeof(path), "%s.new", world->conf);
    file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(path, world->conf), 0);
}

/* The search list shows which file was read. */
static void a_changed_resolv_conf_is_read(void **state)
{
    struct world *world = *state;
    struct answer answer, slow;

    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    ask(world, "both", &answer);
    run_until_called(world, &answer);
    assert_string_equal(answer.error, "no such host");

    world->server.silent = true;
    ask(world, "four.test", &slow);
    turn(world);
    world->server.silent = false;

    write_conf(world, "nameserver 127.0.0.1\nsearch test\n");
    ask(world, "both", &answer);
    run_until_called(world, &answer);
    assert_int_equal(answer.count, 2);
    /* What the old channel had to do ends too. */
    run_until_called(world, &slow);
    assert_int_equal(slow.count, 2);

    assert_int_equal(unlink(world->conf), 0);
    ask(world, "both", &answer);
    run_until_called(world, &answer);
    write_conf(world, "");
}

/* What cannot be opened is as good as empty: whoever is known by other means is asked. */
static void a_resolv_conf_that_cannot_be_read(void **state)
{
    struct world *world = *state;
    struct answer answer;

    assert_int_equal(unlink(world->conf), 0);
    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    ask(world, "four.test", &answer);
    run_until_called(world, &answer);
    assert_int_equal(answer.count, 2);
    assert_int_equal(symlink(world->conf, world->conf), 0); /* a loop: fopen() fails with ELOOP */
    ask(world, "both.test", &answer);
    run_until_called(world, &answer);
    assert_int_equal(answer.count, 2);
    assert_int_equal(unlink(world->conf), 0);
    write_conf(world, "");
}

struct chain {
    struct world *world;
    struct answer answer;
    size_t calls;
};

/* Frees the resolver from inside an answer. */
static void on_last_answer(void *user, const struct etcd__addresses *addresses)
{
    struct chain *chain = user;

    (void)addresses;
    chain->calls++;
    etcd__resolver_free(chain->world->resolver);
    chain->world->resolver = NULL;
}

static void an_answer_may_free_the_resolver(void **state)
{
    struct world *world = *state;
    struct chain chain = {.world = world};
    struct etcd__lookup *lookup;
    struct answer other;

    etcd__resolver_use(world->resolver, world->conf, world->server.place);
    assert_int_equal(
        etcd__resolver_lookup(world->resolver, "four.test", 1, on_last_answer, &chain, &lookup, NULL),
        ETCD_OK);
    ask(world, "both.test", &other);
    for (int i = 0; i < 1000 && chain.calls == 0; i++)
        turn(world);
    assert_int_equal(chain.calls, 1);
    assert_true(world->resolver == NULL);
}

/* ---- lack of memory ---- */

static void resolve_once(size_t n, void *user)
{
    struct world *world = user;
    struct etcd__resolver *resolver = NULL;
    struct etcd__lookup *lookup;
    struct answer answer = {0};

    if (etcd__resolver_new(&world->reactor, &resolver, NULL) == ETCD_OK) {
        etcd__resolver_use(resolver, world->conf, world->server.place);
        if (etcd__resolver_lookup(resolver, "both.test", 1, on_answer, &answer, &lookup, NULL) == ETCD_OK)
            run_until_called(world, &answer);
    }
    if (alloc_count() < n)
        assert_int_equal(answer.count, 2);
    etcd__resolver_free(resolver);
}

static void survives_lack_of_memory(void **state)
{
    assert_true(alloc_fail_each(resolve_once, *state) >= 5);
}

static void services_once(size_t n, void *user)
{
    struct world *world = user;
    struct etcd__resolver *resolver = NULL;
    struct etcd__lookup *lookup;
    struct found found = {0};

    if (etcd__resolver_new(&world->reactor, &resolver, NULL) == ETCD_OK) {
        etcd__resolver_use(resolver, world->conf, world->server.place);
        if (etcd__resolver_services(resolver, "_etcd-client._tcp.test", on_services, &found, &lookup, NULL) ==
            ETCD_OK)
            await_services(world, &found);
    }
    if (alloc_count() < n)
        assert_int_equal(found.count, 3);
    etcd__resolver_free(resolver);
}

static void services_survive_lack_of_memory(void **state)
{
    assert_true(alloc_fail_each(services_once, *state) >= 5);
}

/* ---- the environment's names ---- */

static void the_environment_goes_first(void **state)
{
    struct fake_env *fake = fake_env_new(1);
    struct etcd__reactor reactor;
    struct etcd__resolver *resolver;
    struct answer answer = {0}, numeric = {0}, left = {0}, missing = {0};
    struct etcd__lookup *lookup;

    (void)state;
    fake_name_add(fake, "localhost", "192.0.2.9");
    fake_name_script(fake, "missing", 5, "scripted failure");
    etcd__reactor_init(&reactor, fake_env_table(fake));
    assert_int_equal(etcd__resolver_new(&reactor, &resolver, NULL), ETCD_OK);
    assert_int_equal(etcd__resolver_lookup(resolver, "localhost", 5, on_answer, &left, &lookup, NULL),
                     ETCD_OK);
    etcd__lookup_cancel(lookup);
    assert_int_equal(etcd__resolver_lookup(resolver, "localhost", 5, on_answer, &answer, &lookup, NULL),
                     ETCD_OK);
    assert_int_equal(etcd__resolver_lookup(resolver, "192.0.2.7", 5, on_answer, &numeric, &lookup, NULL),
                     ETCD_OK);
    assert_int_equal(etcd__resolver_lookup(resolver, "missing", 5, on_answer, &missing, &lookup, NULL),
                     ETCD_OK);
    while (answer.calls == 0 || numeric.calls == 0 || missing.calls == 0)
        assert_int_equal(etcd__reactor_turn(&reactor, INT64_MAX), 0);
    assert_string_equal(answer.addresses[0], "192.0.2.9:5");
    assert_string_equal(numeric.addresses[0], "192.0.2.7:5");
    assert_string_equal(missing.error, "scripted failure");
    assert_int_equal(left.calls, 0);
    assert_int_equal(etcd__resolver_lookup(resolver, "localhost", 5, on_answer, &left, &lookup, NULL),
                     ETCD_OK);
    etcd__resolver_free(resolver);
    fake_env_free(fake);
    assert_int_equal(left.calls, 0);
    assert_int_equal(alloc_live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(some_hosts_need_no_server, start, stop),
        cmocka_unit_test_setup_teardown(cancelled_answers_do_not_come, start, stop),
        cmocka_unit_test_setup_teardown(servers_are_asked, start, stop),
        cmocka_unit_test_setup_teardown(no_server_is_a_reason, start, stop),
        cmocka_unit_test_setup_teardown(lookups_under_way_can_be_left, start, stop),
        cmocka_unit_test_setup_teardown(a_changed_resolv_conf_is_read, start, stop),
        cmocka_unit_test_setup_teardown(a_resolv_conf_that_cannot_be_read, start, stop),
        cmocka_unit_test_setup_teardown(an_answer_may_free_the_resolver, start, stop),
        cmocka_unit_test_setup_teardown(survives_lack_of_memory, start, stop),
        cmocka_unit_test_setup_teardown(services_are_found, start, stop),
        cmocka_unit_test_setup_teardown(services_that_are_not_there, start, stop),
        cmocka_unit_test_setup_teardown(services_can_be_left, start, stop),
        cmocka_unit_test_setup_teardown(services_survive_lack_of_memory, start, stop),
        cmocka_unit_test(the_environment_goes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
