/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values of the stock as text, and back. */
#ifndef INVENTORY_KEYS_H
#define INVENTORY_KEYS_H

#include "settings.h"
#include "stock.h"

enum {
    KEY_SIZE = PREFIX_LEN_MAX + NAME_LEN_MAX + 32,
    QUANTITY_SIZE = 24,
    RECORD_SIZE = NAME_LEN_MAX + 2 * QUANTITY_SIZE,
};

void item_key(const char *prefix, const char *item, char key[KEY_SIZE]);
void request_key(const char *prefix, const char *request, char key[KEY_SIZE]);

void format_quantity(char text[QUANTITY_SIZE], int64_t quantity);
/* Decimal digits and nothing else. */
bool parse_quantity(const char *text, int64_t *ret_quantity);

/* What a request did: "<item> <delta> <quantity after it>". */
void format_record(char text[RECORD_SIZE], const stock_change *change, int64_t quantity);
/* False: it did something else than this change. */
bool parse_record(const char *text, const stock_change *change, int64_t *ret_quantity);

#endif
