/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of HTTP/1.1 as this daemon needs: one request per connection, without a body, answered whole.
 * Threads take turns at one listening socket; a client that is slow costs one of them HTTP_PATIENCE_MS at
 * most.
 */
#ifndef INVENTORY_HTTP_H
#define INVENTORY_HTTP_H

#include <capp.h>

#include <stdio.h>

enum { HTTP_HEAD_MAX = 4096, HTTP_PATIENCE_MS = 5000 };

/* All texts are in `head`. */
typedef struct http_request {
    const char *method;
    const char *path;
    const char *query; /* what stands behind '?'; "" without */
    const char *key;   /* the header Idempotency-Key; "" without */
    char head[HTTP_HEAD_MAX + 1];
} http_request;

typedef struct http_answer {
    int code;
    const char *type; /* of the content; JSON unless it is set */
    FILE *content;    /* to be written to */
} http_answer;

typedef void http_handle_fn(void *self, const http_request *request, http_answer *answer);

/* Where to listen; embedded in a service. */
typedef struct http_listener {
    int socket;
    int wake; /* readable once the application stops */
    capp_cancel_entry *entry;
} http_listener;

/* `address` is numeric: "127.0.0.1:7070", "[::1]:7070". */
capp_status http_open(http_listener *self, const char *address, capp_cancel *cancel, capp_error *reterr);
void http_close(http_listener *self);
/* Serves one client after the other until the application stops. */
void http_serve(http_listener *self, http_handle_fn *handle, void *handler);

/* The value of a field of the query, copied; false: it is not there, or too long. */
bool http_query(const http_request *request, const char *name, char *value, size_t size);
/* Writes `text` as a string of JSON, quotes included. */
void http_json_text(FILE *content, const char *text);
/* Answers {"error":"..."}. */
void http_refuse(http_answer *answer, int code, const char *message);

#endif
