/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stock, in etcd:
 *
 *     <prefix>items/<item>        how many there are, in decimal
 *     <prefix>requests/<request>  what a request did; goes after a time
 *     <prefix>locks/restock/...   the lock of the job that restocks
 *     <prefix>restocker           who holds it, for people
 *
 * Every change is one transaction whose conditions are what it was computed from, so that two writers never
 * undo each other, and a change that arrives twice happens once.
 *
 * `rules` are the settings to go by, those of the moment: the caller holds them.
 */
#ifndef INVENTORY_STOCK_H
#define INVENTORY_STOCK_H

#include "settings.h"

#include <capp/etcd.h>

typedef struct stock stock;
CAPP_TYPE_DECLARE(stock);
extern const capp_service stock_service;

/* The largest change, and the most that `stock.max_quantity` can be. */
#define STOCK_QUANTITY_MAX INT64_C(1000000000000)

typedef enum stock_outcome {
    STOCK_DONE,
    STOCK_DONE_BEFORE, /* this request was carried out earlier; the answer is the one of then */
    STOCK_TOO_FEW,     /* the rest change nothing */
    STOCK_TOO_MANY,
    STOCK_OTHER_REQUEST, /* the name of the request belongs to a different one */
} stock_outcome;

typedef struct stock_change {
    const char *item;
    int64_t delta;
    const char *request; /* chosen by the client; the same for each repetition */
} stock_change;

typedef struct stock_answer {
    stock_outcome outcome;
    int64_t quantity; /* after the change; for TOO_FEW and TOO_MANY what there is */
} stock_answer;

/*
 * A failure says by CAPP_ERROR_MAYBE_APPLIED whether the change may have happened. Repeating it with the same
 * `request` is safe in every case, and finds out.
 */
capp_status stock_apply(stock *self, const stock_settings *rules, const stock_change *change,
                        stock_answer *ret_answer, capp_error *reterr);

/* CAPP_E_NOT_FOUND: there is no such item. */
capp_status stock_read(stock *self, const stock_settings *rules, const char *item, int64_t *ret_quantity,
                       capp_error *reterr);

/* One item, as of `mod_revision`; false ends the walk. */
typedef bool stock_each_fn(const char *item, int64_t quantity, int64_t mod_revision, void *user_data);
/* All items, as of one revision, sorted by name. */
capp_status stock_each(stock *self, const stock_settings *rules, stock_each_fn *fn, void *user_data,
                       capp_error *reterr);

/* ---- for the one who restocks ------------------------------------------------------------------------- */

/* The name of the lock; lives as long as the stock. */
etcd_bytes stock_lock_name(const stock *self);

typedef enum stock_fenced {
    STOCK_FENCED_DONE,
    STOCK_FENCED_CHANGED, /* somebody else changed the item in between */
    STOCK_FENCED_OUT,     /* the lock is another one's by now */
} stock_fenced;

/*
 * Sets the quantity, if the item is still as of `mod_revision` and the lock is still held. That is decided by
 * the server, not by what this process believes.
 */
capp_status stock_set_fenced(stock *self, const stock_settings *rules, const etcd_lock *lock,
                             const char *item, int64_t quantity, int64_t mod_revision,
                             stock_fenced *ret_outcome, capp_error *reterr);
/* Says who holds the lock, for as long as it is held. */
capp_status stock_claim(stock *self, const stock_settings *rules, const etcd_lock *lock,
                        stock_fenced *ret_outcome, capp_error *reterr);

#endif
