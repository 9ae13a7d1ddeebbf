/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of instances: what events and differences make of them. */
#include "recipes/services.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#include <stdio.h>

#define DIR "/services/web/"
enum { DIR_LEN = sizeof(DIR) - 1 };

static struct etcd_services *none(void)
{
    struct etcd__entries entries = {.list = NULL};

    return etcd__services_new(&entries, 1);
}

static etcd_event event(const char *key, const char *value, int64_t revision)
{
    return (etcd_event){
        .kv = {.key = etcd_cstr(key), .value = etcd_cstr(value), .mod_revision = revision},
        .type = value == NULL ? ETCD_EVENT_DELETE : ETCD_EVENT_PUT,
    };
}

static void show(char *text, size_t size, const struct etcd_services *services)
{
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < etcd_services_count(services); i++) {
        const etcd_service *service = etcd_services_at(services, i);

        used += (size_t)snprintf(text + used, size - used, "%s=%s ", (const char *)service->instance.data,
                                 (const char *)service->address.data);
    }
}

static void show_changes(char *text, size_t size, const struct etcd__service_changes *changes)
{
    static const char signs[] = {
        [ETCD_SERVICE_JOINED] = '+', [ETCD_SERVICE_CHANGED] = '~', [ETCD_SERVICE_LEFT] = '-'};
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < changes->count; i++) {
        const etcd_service_change *change = &changes->list[i];

        used +=
            (size_t)snprintf(text + used, size - used, "%c%.*s=%.*s ", signs[change->event],
                             (int)change->service.instance.len, (const char *)change->service.instance.data,
                             (int)change->service.address.len, (const char *)change->service.address.data);
    }
}

/* Applies these; NULL when out of memory. */
static struct etcd_services *apply(const struct etcd_services *before, const etcd_event *events, size_t count,
                                   struct etcd__service_changes *changes)
{
    struct etcd__entries entries = {.list = NULL};
    struct etcd_services *after = NULL;
    bool ok = etcd__entries_copy(&entries, before);

    for (size_t i = 0; ok && i < count; i++)
        ok = etcd__entries_apply(&entries, &events[i], DIR_LEN, changes);
    if (ok)
        after = etcd__services_new(&entries, 9);
    etcd__entries_deinit(&entries);
    return after;
}

static void events_are_applied_in_order(void **state)
{
    const etcd_event first[] = {
        event(DIR "b", "1", 2),  event(DIR "a", "2", 3), event("/services/web", "3", 4),
        event(DIR "c", "4", 5),  event(DIR "b", "5", 6), event(DIR "c", NULL, 7),
        event(DIR "d", NULL, 8), event(DIR, "none", 8),
    };
    struct etcd__service_changes changes = {.list = NULL};
    struct etcd_services *empty = none(), *after;
    char text[256];

    (void)state;
    after = apply(empty, first, 8, &changes);
    show(text, sizeof(text), after);
    assert_string_equal(text, "=3 a=2 b=5 ");
    show_changes(text, sizeof(text), &changes);
    assert_string_equal(text, "+b=1 +a=2 +=3 +c=4 ~b=5 -c=4 ");
    assert_int_equal(etcd_services_revision(after), 9);
    assert_int_equal(etcd_services_at(after, 2)->mod_revision, 6);
    assert_null(etcd_services_at(after, 3));
    etcd__service_changes_deinit(&changes);
    etcd_services_free(after);
    etcd_services_free(empty);
}

static void differences_are_found(void **state)
{
    const etcd_event one[] = {event(DIR "a", "1", 2), event(DIR "b", "2", 3), event(DIR "c", "3", 4)};
    const etcd_event two[] = {event(DIR "b", "4", 5), event(DIR "c", "3", 4), event(DIR "d", "5", 6)};
    struct etcd__service_changes changes = {.list = NULL};
    struct etcd_services *empty = none(), *before, *after;
    char text[256];

    (void)state;
    before = apply(empty, one, 3, &changes);
    after = apply(empty, two, 3, &changes);
    etcd__service_changes_deinit(&changes);
    assert_true(etcd__services_compare(before, after, &changes));
    show_changes(text, sizeof(text), &changes);
    assert_string_equal(text, "-a=1 ~b=4 +d=5 ");
    etcd__service_changes_deinit(&changes);
    assert_true(etcd__services_compare(after, after, &changes));
    assert_int_equal(changes.count, 0);
    assert_true(etcd__services_compare(empty, after, &changes));
    assert_int_equal(changes.count, 3);
    etcd__service_changes_deinit(&changes);
    etcd_services_free(before);
    etcd_services_free(after);
    etcd_services_free(empty);
}

static void without_memory(size_t n, void *user)
{
    size_t live = alloc_live();
    struct etcd__service_changes changes = {.list = NULL};
    struct etcd_services *empty = none(), *after = NULL;
    etcd_event events[20];
    char keys[20][32];

    (void)n;
    (void)user;
    for (int i = 0; i < 20; i++) {
        snprintf(keys[i], sizeof(keys[i]), DIR "%d", i);
        events[i] = event(keys[i], "x", i + 2);
    }
    if (empty != NULL)
        after = apply(empty, events, 20, &changes);
    etcd__service_changes_deinit(&changes);
    if (after != NULL && !etcd__services_compare(empty, after, &changes))
        assert_true(changes.count < 20);
    etcd__service_changes_deinit(&changes);
    etcd_services_free(after);
    etcd_services_free(empty);
    assert_int_equal(alloc_live(), live);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(alloc_fail_each(without_memory, NULL) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_applied_in_order),
        cmocka_unit_test(differences_are_found),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
