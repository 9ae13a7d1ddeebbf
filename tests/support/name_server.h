/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A name server on a UDP port of loopback. It answers when it is told to (between two turns of a reactor), or
 * in a thread of its own. What it knows is said before; other names do not exist.
 */
#ifndef TESTS_SUPPORT_NAME_SERVER_H
#define TESTS_SUPPORT_NAME_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_SERVER_RECORDS = 32 };

struct name_record {
    char name[128];
    uint16_t type; /* 0: the name exists, and that is all */
    uint8_t data[160];
    size_t len;
};

struct name_server {
    int fd;
    char place[32]; /* "127.0.0.1:port" */
    struct name_record records[NAME_SERVER_RECORDS];
    size_t count;
    size_t questions;
    bool silent;
    pthread_t thread;
    int stop_fds[2];
    bool running;
};

void name_server_open(struct name_server *server);
void name_server_close(struct name_server *server);

/* A numeric address, IPv4 or IPv6; NULL: the name has none. */
void name_server_host(struct name_server *server, const char *name, const char *ip);
void name_server_service(struct name_server *server, const char *service, uint16_t priority, uint16_t port,
                         const char *target);

/* Answers what has come in. */
void name_server_answer(struct name_server *server);
/* Answers in a thread until it is closed. */
void name_server_run(struct name_server *server);

#endif
