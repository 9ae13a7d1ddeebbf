/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include "counters.h"
#include "http.h"
#include "keys.h"
#include "settings.h"
#include "stock.h"

#include <inttypes.h>
#include <string.h>

struct api {
    capp_app *app;
    capp_logger *log;
    stock *stock;
    const instance_settings *instance;
    counters *counters;
    capp_monitor *rules;
    http_listener listener;
};

CAPP_TYPE_DEFINE(api);

/* ---- answers ------------------------------------------------------------------------------------------ */

/* Which code says best what the client may do next. */
static int code_of(const capp_error *error)
{
    if ((error->flags & CAPP_ERROR_MAYBE_APPLIED) != 0)
        return 504;
    switch (error->status) {
    case CAPP_E_INVALID_ARGUMENT:
        return 400;
    case CAPP_E_NOT_FOUND:
        return 404;
    case CAPP_E_UNAVAILABLE:
    case CAPP_E_TIMEOUT:
    case CAPP_E_CANCELLED:
    case CAPP_E_CLOSED:
        return 503;
    default:
        return 500;
    }
}

/* A failure says whether the change may have happened; if so, the same request finds out. */
static void answer_error(api *self, http_answer *answer, const capp_error *error)
{
    bool maybe = (error->flags & CAPP_ERROR_MAYBE_APPLIED) != 0;

    answer->code = code_of(error);
    if (answer->code >= 500)
        capp_log(self->log, CAPP_LOG_WARN, "api", "%d: %s", answer->code, error->message);
    fputs("{\"error\":", answer->content);
    http_json_text(answer->content, error->message);
    fprintf(answer->content, ",\"changed\":\"%s\"}\n", maybe ? "unknown: repeat the request" : "no");
}

static void count_change(api *self, change_result result)
{
    atomic_fetch_add(&self->counters->changes[result], 1);
}

static void answer_change(api *self, http_answer *answer, const stock_change *change,
                          const stock_answer *result)
{
    bool repeated = result->outcome == STOCK_DONE_BEFORE;

    switch (result->outcome) {
    case STOCK_DONE:
    case STOCK_DONE_BEFORE:
        fprintf(answer->content, "{\"item\":\"%s\",\"quantity\":%" PRId64 ",\"repeated\":%s}\n", change->item,
                result->quantity, repeated ? "true" : "false");
        count_change(self, repeated ? CHANGE_REPEATED : CHANGE_DONE);
        return;
    case STOCK_TOO_FEW:
        http_refuse(answer, 409, "there are not so many");
        break;
    case STOCK_TOO_MANY:
        http_refuse(answer, 409, "there would be too many");
        break;
    case STOCK_OTHER_REQUEST:
        http_refuse(answer, 422, "this Idempotency-Key was used before");
        break;
    }
    count_change(self, CHANGE_REFUSED);
}

/* ---- requests ----------------------------------------------------------------------------------------- */

static void change_item(api *self, const stock_settings *rules, const http_request *request, const char *item,
                        int sign, http_answer *answer)
{
    char count[QUANTITY_SIZE];
    stock_answer result;
    capp_error error;
    int64_t number;

    if (!http_query(request, "count", count, sizeof(count)) || !parse_quantity(count, &number) ||
        number < 1 || number > STOCK_QUANTITY_MAX) {
        http_refuse(answer, 400, "count must be a number from 1 to 1000000000000");
    } else if (!name_is_valid(request->key)) {
        http_refuse(answer, 400, "Idempotency-Key must be a name of 1 to 64 of A-Z a-z 0-9 _ -");
    } else {
        stock_change change = {.item = item, .delta = sign * number, .request = request->key};

        if (stock_apply(self->stock, rules, &change, &result, &error) == CAPP_OK) {
            answer_change(self, answer, &change, &result);
        } else {
            count_change(self,
                         (error.flags & CAPP_ERROR_MAYBE_APPLIED) != 0 ? CHANGE_UNKNOWN : CHANGE_FAILED);
            answer_error(self, answer, &error);
        }
    }
}

static void show_item(api *self, const stock_settings *rules, const char *item, http_answer *answer)
{
    capp_error error;
    int64_t quantity;

    if (stock_read(self->stock, rules, item, &quantity, &error) == CAPP_OK)
        fprintf(answer->content, "{\"item\":\"%s\",\"quantity\":%" PRId64 "}\n", item, quantity);
    else
        answer_error(self, answer, &error);
}

struct listing {
    FILE *content;
    const char *separator;
};

static bool list_one(const char *item, int64_t quantity, int64_t mod_revision, void *user_data)
{
    struct listing *listing = user_data;

    (void)mod_revision;
    fputs(listing->separator, listing->content);
    http_json_text(listing->content, item);
    fprintf(listing->content, ":%" PRId64, quantity);
    listing->separator = ",";
    return true;
}

static void list_items(api *self, const stock_settings *rules, http_answer *answer)
{
    struct listing listing = {.content = answer->content, .separator = "{"};
    capp_error error;

    if (stock_each(self->stock, rules, list_one, &listing, &error) != CAPP_OK) {
        rewind(answer->content); /* what was listed is no answer */
        answer_error(self, answer, &error);
    } else {
        fputs(listing.separator[0] == '{' ? "{}\n" : "}\n", answer->content);
    }
}

/* "/items/<item>" and "/items/<item>/<verb>". */
static void handle_item(api *self, const stock_settings *rules, const http_request *request, const char *rest,
                        http_answer *answer)
{
    size_t len = strcspn(rest, "/");
    const char *verb = rest[len] == '/' ? rest + len + 1 : "";
    char item[NAME_LEN_MAX + 2];

    snprintf(item, sizeof(item), "%.*s", (int)(len < sizeof(item) ? len : sizeof(item)), rest);
    if (!name_is_valid(item))
        http_refuse(answer, 400, "an item has a name of 1 to 64 of A-Z a-z 0-9 _ -");
    else if (strcmp(request->method, "GET") == 0 && *verb == '\0')
        show_item(self, rules, item, answer);
    else if (strcmp(request->method, "POST") == 0 && strcmp(verb, "add") == 0)
        change_item(self, rules, request, item, 1, answer);
    else if (strcmp(request->method, "POST") == 0 && strcmp(verb, "take") == 0)
        change_item(self, rules, request, item, -1, answer);
    else
        http_refuse(answer, 405, "GET an item, or POST to its add or take");
}

static void route(api *self, const stock_settings *rules, const http_request *request, http_answer *answer)
{
    if (strncmp(request->path, "/items/", 7) == 0)
        handle_item(self, rules, request, request->path + 7, answer);
    else if (strcmp(request->path, "/items") != 0)
        http_refuse(answer, 404, "there is /items");
    else if (strcmp(request->method, "GET") != 0)
        http_refuse(answer, 405, "GET the items");
    else
        list_items(self, rules, answer);
}

/* The whole of a request goes by the settings of its beginning, whatever is reloaded meanwhile. */
static void handle(void *object, const http_request *request, http_answer *answer)
{
    api *self = object;
    const stock_settings *rules = capp_current(self->rules, stock_settings);

    route(self, rules, request, answer);
    capp_monitor_release(self->rules, rules);
}

/* ---- the service -------------------------------------------------------------------------------------- */

static capp_status api_start(void *object, capp_error *reterr)
{
    api *self = object;
    capp_status status = http_open(&self->listener, self->instance->listen, capp_app_cancel(self->app),
                                   reterr);

    if (status == CAPP_OK)
        capp_log(self->log, CAPP_LOG_INFO, "api", "clients are served at %s", self->instance->listen);
    return status;
}

static capp_status api_stop(void *object, int64_t limit_ms, capp_error *reterr)
{
    api *self = object;

    (void)limit_ms;
    (void)reterr;
    http_close(&self->listener);
    return CAPP_OK;
}

capp_status api_run(capp_worker *worker, void *user_data, capp_error *reterr)
{
    api *self = capp_get(capp_worker_app(worker), api, reterr);

    (void)user_data;
    if (self == NULL)
        return CAPP_E_NOT_FOUND;
    http_serve(&self->listener, handle, self);
    return CAPP_OK;
}

static const capp_inject api_deps[] = {
    CAPP_INJECT(api, app, capp_app),      CAPP_INJECT(api, log, capp_logger),
    CAPP_INJECT(api, stock, stock),       CAPP_INJECT(api, instance, instance_settings),
    CAPP_INJECT(api, counters, counters), CAPP_INJECT_MONITOR(api, rules, stock_settings),
};
const capp_service api_service = CAPP_SERVICE(api, CAPP_INJECTS(api_deps), .start = api_start,
                                              .stop = api_stop);
