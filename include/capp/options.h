/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file options.h
 * Typed options: a struct of the program's, filled from the configuration.
 *
 *     typedef struct http_options {
 *         const char *listen;
 *         int64_t timeout_ms;
 *         capp_secret token;
 *     } http_options;
 *     CAPP_TYPE_DEFINE(http_options);
 *
 *     static const capp_option http_fields[] = {
 *         CAPP_TEXT(http_options, listen, "listen", .fallback = "127.0.0.1:8080", .help = "Where to
 * listen."), CAPP_DURATION(http_options, timeout_ms, "timeout", .fallback = "5s", .min = 1, .help = "How long
 * a request may take."), CAPP_SECRET(http_options, token, "token", .flags = CAPP_OPTION_REQUIRED),
 *     };
 *     static const capp_options http_options_def = CAPP_OPTIONS(http_options, "http",
 * CAPP_FIELDS(http_fields));
 *
 *     capp_add_options(builder, &http_options_def);       // and a service injects it:
 *     CAPP_INJECT(http_server, options, http_options)
 *
 * One table drives everything: what is read and checked, the names of environment variables and arguments
 * (`MYAPP_HTTP__TIMEOUT`, `--http.timeout`), the dump and the help. The text of a value is kept as it was
 * written until a table says how it is to be read: a password `0123` stays `0123`.
 */
#ifndef CAPP_OPTIONS_H
#define CAPP_OPTIONS_H

#include <capp/error.h>
#include <capp/export.h>
#include <capp/type.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

CAPP_BEGIN_DECLS

/** How the text of an option is read, and what its field is. */
typedef enum capp_option_kind {
    CAPP_KIND_TEXT = 1,     /**< `const char *`: the text as it is. Not NULL unless there is none at all. */
    CAPP_KIND_BOOL = 2,     /**< `bool`: true, yes, on, 1; false, no, off, 0; whatever the case. */
    CAPP_KIND_INT = 3,      /**< `int64_t`: decimal. */
    CAPP_KIND_DURATION = 4, /**< `int64_t`, milliseconds: `5s`, `250ms`, `1h30m`, `0`. Units: ms s m h d. */
    CAPP_KIND_SIZE = 5,     /**< `size_t`, bytes: `512`, `4MiB`, `64kB`. Units: B kB MB GB KiB MiB GiB. */
    /** `const char *const *`, NULL at its end: a list in a file; elsewhere with commas between. */
    CAPP_KIND_LIST = 6,
    CAPP_KIND_CHOICE = 7, /**< `int`: the value of one of the choices, whose names are written. */
    CAPP_KIND_SECRET = 8, /**< `capp_secret`: text, or below it `env: NAME` or `file: PATH`. */
    CAPP_KIND_FORCE_INT32 = 0x7fffffff
} capp_option_kind;

/** Where a secret comes from. */
typedef enum capp_secret_kind {
    CAPP_SECRET_NONE = 0, /**< No secret. */
    CAPP_SECRET_TEXT = 1, /**< `ref` is the secret itself. */
    CAPP_SECRET_ENV = 2,  /**< `ref` names an environment variable. */
    CAPP_SECRET_FILE = 3, /**< `ref` is the path of a file. */
    CAPP_SECRET_KIND_FORCE_INT32 = 0x7fffffff
} capp_secret_kind;

/** A reference to a secret. No function of the host prints one. Frozen. */
typedef struct capp_secret {
    const char *ref; /**< NULL for CAPP_SECRET_NONE. */
    capp_secret_kind kind;
    int32_t reserved; /**< Zero. */
} capp_secret;

/**
 * Reads a secret from where it is, for a program that has one of its own; those of etcd clients are read by
 * the clients. Read it when it is needed, not once: who rotates it replaces the file. Wipe `dst` afterwards
 * (explicit_bzero()).
 *
 * @param secret        A field that capp_add_options() filled.
 * @param[out] dst      The bytes and a NUL; on success only. One newline at the end of a file is not part of
 * it.
 * @param size          Of @p dst, at least 2; 64 KiB hold every secret.
 * @param[out] ret_len  Bytes without the NUL; on success only. NULL if not wanted.
 * @param[out] reterr   Set on failure only; names the source, never the secret. NULL if not wanted.
 *
 * @retval CAPP_OK
 * @retval CAPP_E_INVALID_ARGUMENT  There is none, the variable is not set, it is empty, it does not fit, or
 *                                  an argument is NULL.
 * @retval CAPP_E_IO                The file cannot be read, or has more than 64 KiB; see sys_errno.
 * @retval CAPP_E_NO_MEMORY
 *
 * @par Threads
 * Any; a variable while nobody changes the environment.
 * @since 0.1
 */
CAPP_API CAPP_NODISCARD capp_status capp_secret_read(const capp_secret *secret, char *dst, size_t size,
                                                     size_t *ret_len, capp_error *reterr);

/** One name of a CAPP_KIND_CHOICE. Frozen. */
typedef struct capp_choice {
    const char *name;
    int value;
    int32_t reserved; /**< Zero. */
} capp_choice;

/** There must be a value, from anywhere. */
#define CAPP_OPTION_REQUIRED (UINT32_C(1) << 0)

/** One option. Made by CAPP_TEXT and its sisters. Frozen: what comes later has reserved room. */
typedef struct capp_option {
    const char *key;            /**< Below the section; a dot leads a level down. */
    const char *help;           /**< One sentence or more, for people. */
    const char *fallback;       /**< The value when there is none, as it would be written; NULL: zero. */
    const capp_choice *choices; /**< CAPP_KIND_CHOICE: `choice_count` of them. */
    size_t choice_count;
    size_t offset;         /**< Of the field. */
    int64_t min, max;      /**< Inclusive bounds of a number; both 0: none but those of the field. */
    capp_option_kind kind; /**< What the field is. */
    uint32_t flags;        /**< CAPP_OPTION_… */
    const void *reserved;  /**< NULL. */
} capp_option;

/**
 * A key that is not one of a table's, but that people who know another program may write: the mistake then
 * says what to write instead. Frozen.
 */
typedef struct capp_other_key {
    const char *key;     /**< As of capp_option. */
    const char *instead; /**< What to do, for people: "write trusted_ca_file". */
} capp_other_key;

/**
 * Looks at a whole struct of options. Runs inside capp_build() and at each reload, on the thread that
 * does it; what it complains of becomes one mistake of the section.
 */
typedef capp_status capp_check_fn(const void *options, capp_error *reterr);

/** A struct of options. A constant table, made by CAPP_OPTIONS; must live as long as the application. */
typedef struct capp_options {
    size_t size;           /**< sizeof this struct; set by CAPP_OPTIONS. */
    const capp_type *type; /**< Of the struct. */
    size_t object_size;    /**< Of the struct. */
    const char *section;   /**< "http", "etcd.clients.*": a star is a name of the configuration's choice. */
    const capp_option *option; /**< `count` of them. */
    size_t count;
    capp_check_fn *check;            /**< NULL: none. */
    const char *help;                /**< What the section is about, for people; NULL: nothing. */
    const capp_other_key *other_key; /**< `other_count` of them; NULL: none. */
    size_t other_count;
} capp_options;

#ifndef __cplusplus
/* The offset of a field, if it is of this type; else no program. */
#define CAPP_FIELD_OF_(T, field, type) _Generic(&((T *)0)->field, type * : offsetof(T, field))
/** A CAPP_KIND_TEXT: the struct, its field, the key, and more members of capp_option. */
#define CAPP_TEXT(T, field, ...)                                                                     \
    {                                                                                                \
        .kind = CAPP_KIND_TEXT, .offset = CAPP_FIELD_OF_(T, field, const char *), .key = __VA_ARGS__ \
    }
/** A CAPP_KIND_BOOL. */
#define CAPP_BOOL(T, field, ...)                                                             \
    {                                                                                        \
        .kind = CAPP_KIND_BOOL, .offset = CAPP_FIELD_OF_(T, field, bool), .key = __VA_ARGS__ \
    }
/** A CAPP_KIND_INT. */
#define CAPP_INT(T, field, ...)                                                                \
    {                                                                                          \
        .kind = CAPP_KIND_INT, .offset = CAPP_FIELD_OF_(T, field, int64_t), .key = __VA_ARGS__ \
    }
/** A CAPP_KIND_DURATION. */
#define CAPP_DURATION(T, field, ...)                                                                \
    {                                                                                               \
        .kind = CAPP_KIND_DURATION, .offset = CAPP_FIELD_OF_(T, field, int64_t), .key = __VA_ARGS__ \
    }
/** A CAPP_KIND_SIZE. */
#define CAPP_SIZE(T, field, ...)                                                               \
    {                                                                                          \
        .kind = CAPP_KIND_SIZE, .offset = CAPP_FIELD_OF_(T, field, size_t), .key = __VA_ARGS__ \
    }
/** A CAPP_KIND_LIST. */
#define CAPP_TEXTS(T, field, ...)                                                                           \
    {                                                                                                       \
        .kind = CAPP_KIND_LIST, .offset = CAPP_FIELD_OF_(T, field, const char *const *), .key = __VA_ARGS__ \
    }
/** A CAPP_KIND_CHOICE; `list`, before the key, is an array of capp_choice. */
#define CAPP_CHOICE(T, field, list, ...)                                                      \
    {                                                                                         \
        .kind = CAPP_KIND_CHOICE, .offset = CAPP_FIELD_OF_(T, field, int), .choices = (list), \
        .choice_count = sizeof(list) / sizeof((list)[0]), .key = __VA_ARGS__                  \
    }
/** A CAPP_KIND_SECRET. */
#define CAPP_SECRET(T, field, ...)                                                                    \
    {                                                                                                 \
        .kind = CAPP_KIND_SECRET, .offset = CAPP_FIELD_OF_(T, field, capp_secret), .key = __VA_ARGS__ \
    }
/** The fields of a table, from an array of capp_option. */
#define CAPP_FIELDS(list) .option = (list), .count = sizeof(list) / sizeof((list)[0])
/** The table of a struct: the struct, its section, CAPP_FIELDS(list), and more members of capp_options. */
#define CAPP_OPTIONS(T, in_section, ...)                                                                    \
    {                                                                                                       \
        .size = sizeof(capp_options), .type = &T##_type, .object_size = sizeof(T), .section = (in_section), \
        __VA_ARGS__                                                                                         \
    }
#endif

/** An application that is being put together; see builder.h. */
typedef struct capp_builder capp_builder;
/** A built application; see app.h. */
typedef struct capp_app capp_app;

/**
 * Adds a struct of options. It is read by capp_build() and can be injected (unnamed). A singleton sees it
 * change once at most, when a source such as etcd has something to say before the first service is started; a
 * scope has it as it was when the scope was opened; monitor.h has it as it is. Mistakes are reported by
 * capp_build(), all together, each with where the value came from: file, line and column, variable, or
 * argument.
 *
 * @param builder  Borrowed; NULL is accepted.
 * @param options  Not copied: must live as long as the application. No star in its section.
 * @since 0.1
 */
CAPP_API void capp_add_options(capp_builder *builder, const capp_options *options);

CAPP_END_DECLS

#endif
