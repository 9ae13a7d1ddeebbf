/* SPDX-License-Identifier: Apache-2.0 */
/* All memory of a client's life comes from the program's allocator and goes back to it. */
#include "support/fake_client.h"

#include <etcdc/memory.h>

#include <stdatomic.h>
#include <stdlib.h>

struct counts {
    atomic_size_t live, blocks;
    atomic_bool asked_for_nothing;
};

/* A block of ours is known by what stands in front of it. */
struct header {
    struct counts *owner;
    size_t size;
};

static void *own_malloc(void *user_data, size_t size)
{
    struct counts *counts = user_data;
    struct header *block = malloc(sizeof(*block) + size);

    if (size == 0)
        atomic_store(&counts->asked_for_nothing, true);
    if (block == NULL)
        return NULL;
    *block = (struct header){counts, size};
    atomic_fetch_add(&counts->live, 1);
    atomic_fetch_add(&counts->blocks, 1);
    return block + 1;
}

static void own_free(void *user_data, void *ptr)
{
    struct header *block = (struct header *)ptr - 1;

    assert_ptr_equal(block->owner, user_data);
    atomic_fetch_sub(&block->owner->live, 1);
    free(block);
}

static void *own_realloc(void *user_data, void *ptr, size_t size)
{
    const struct header *block = (const struct header *)ptr - 1;
    void *copy = own_malloc(user_data, size);

    if (copy == NULL)
        return NULL;
    memcpy(copy, ptr, block->size < size ? block->size : size);
    own_free(user_data, ptr);
    return copy;
}

static etcd_allocator allocator_of(struct counts *counts)
{
    etcd_allocator allocator = ETCD_ALLOCATOR_INIT;

    allocator.malloc_fn = own_malloc;
    allocator.realloc_fn = own_realloc;
    allocator.free_fn = own_free;
    allocator.user_data = counts;
    return allocator;
}

static void live(struct fake_etcd *fake)
{
    etcd_client *client = test_client_open(fake_etcd_endpoint(fake), NULL);
    etcd_get_result *result = NULL;
    etcd_keepalive *keepalive = NULL;
    etcd_lease lease = {0};
    etcd_error err;

    assert_status(fake_put(client, 5000, &err), ETCD_OK, &err);
    assert_status(etcd_get(client, etcd_cstr("k"), NULL, &result, &err), ETCD_OK, &err);
    assert_status(etcd_lease_grant(client, 30, NULL, &lease, &err), ETCD_OK, &err);
    assert_status(etcd_keepalive_start(client, lease, NULL, &keepalive, &err), ETCD_OK, &err);
    test_pump(client, 20);
    etcd_get_result_free(result);
    etcd_keepalive_close(keepalive);
    etcd_client_free(client);
}

static void test_all_memory_is_the_allocators(void **state)
{
    struct fake_etcd *fake = fake_etcd_start();
    struct counts counts = {.live = 0};
    etcd_allocator allocator = allocator_of(&counts);
    etcd_error err;

    (void)state;
    assert_status(etcd_set_allocator(&allocator, &err), ETCD_OK, &err);
    live(fake);
    assert_status(etcd_set_allocator(NULL, &err), ETCD_OK, &err);
    assert_true(atomic_load(&counts.blocks) > 50);
    assert_int_equal(atomic_load(&counts.live), 0);
    assert_false(atomic_load(&counts.asked_for_nothing));
    live(fake);
    fake_etcd_free(fake);
}

static void test_incomplete_allocators_are_refused(void **state)
{
    struct counts counts = {.live = 0};
    etcd_allocator allocator = allocator_of(&counts);
    etcd_error err;

    (void)state;
    allocator.realloc_fn = NULL;
    assert_status(etcd_set_allocator(&allocator, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_has_text(err.message, "realloc_fn is NULL");
    allocator = allocator_of(&counts);
    allocator.size = 3;
    assert_status(etcd_set_allocator(&allocator, &err), ETCD_E_INVALID_ARGUMENT, &err);
    assert_int_equal(atomic_load(&counts.blocks), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_memory_is_the_allocators),
        cmocka_unit_test(test_incomplete_allocators_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
