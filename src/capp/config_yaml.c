/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML by libyaml's events; JSON is a subset of it. What would make a configuration hard to read is refused:
 * aliases and anchors, tags, several documents, keys that are no plain names, and the same key twice.
 */
#include "config_yaml.h"

#include "base/str.h"

#include <string.h>
#include <yaml.h>

struct reading {
    yaml_parser_t parser;
    const char *name;
    struct capp__tree *tree;
    struct capp__mistakes *mistakes;
    bool broken; /* nothing more can be read */
};

/* ---- what is wrong --------------------------------------------------------------------------------- */

static void complain(struct reading *reading, const yaml_mark_t *mark, const char *what, const char *detail)
{
    char shown[128];

    if (detail != NULL)
        etcd__escape(shown, sizeof(shown), detail, strlen(detail));
    capp__mistakes_add(reading->mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s:%zu:%zu: %s%s%s%s", reading->name,
                       mark->line + 1, mark->column + 1, what, detail == NULL ? "" : " '",
                       detail == NULL ? "" : shown, detail == NULL ? "" : "'");
}

static void no_memory(struct reading *reading)
{
    reading->mistakes->no_memory = true;
    reading->broken = true;
}

/* libyaml's own words, which point at what it could not read. */
static void complain_of_syntax(struct reading *reading)
{
    const yaml_parser_t *parser = &reading->parser;
    yaml_mark_t mark = parser->problem_mark;

    reading->broken = true;
    if (parser->error == YAML_MEMORY_ERROR) {
        no_memory(reading);
        return;
    }
    if (parser->error == YAML_READER_ERROR) {
        capp__mistakes_add(reading->mistakes, "", CAPP_E_INVALID_ARGUMENT, "%s: byte %zu: %s", reading->name,
                           parser->problem_offset, parser->problem);
        return;
    }
    complain(reading, &mark, parser->problem == NULL ? "no YAML" : parser->problem, NULL);
}

static bool next_event(struct reading *reading, yaml_event_t *event)
{
    if (reading->broken)
        return false;
    if (yaml_parser_parse(&reading->parser, event) == 1)
        return true;
    complain_of_syntax(reading);
    return false;
}

/* ---- values ---------------------------------------------------------------------------------------- */

static struct capp__place place_of(const struct reading *reading, const yaml_mark_t *mark)
{
    return (struct capp__place){reading->name, (unsigned)mark->line + 1, (unsigned)mark->column + 1};
}

static bool is_null(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;

    if (event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    return len == 0 || strcmp(text, "~") == 0 || etcd__equal_nocase(text, len, "null");
}

static void read_text(struct reading *reading, struct capp__node *node, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;

    if (is_null(event)) {
        node->kind = CAPP__NODE_NULL;
        return;
    }
    if (memchr(text, '\0', len) != NULL) {
        complain(reading, &event->start_mark, "a value with a NUL in it", NULL);
        len = strlen(text);
    }
    node->kind = CAPP__NODE_TEXT;
    node->text = etcd__arena_memdup(&reading->tree->arena, text, len);
    if (node->text == NULL)
        no_memory(reading);
}

/* Anchors and tags; the value is read all the same. */
static void check_decoration(struct reading *reading, const yaml_event_t *event, const yaml_char_t *anchor,
                             const yaml_char_t *tag)
{
    if (anchor != NULL)
        complain(reading, &event->start_mark, "anchors are not read: anchor", (const char *)anchor);
    if (tag != NULL && strcmp((const char *)tag, "!") != 0)
        complain(reading, &event->start_mark, "tags are not read: tag", (const char *)tag);
}

static void read_value(struct reading *reading, struct capp__node *node, const yaml_event_t *event,
                       unsigned depth);

/* Reads on to the end of what has been begun, to find what else is wrong. */
static void skip(struct reading *reading, unsigned open)
{
    yaml_event_t event;

    while (open > 0 && next_event(reading, &event)) {
        if (event.type == YAML_MAPPING_START_EVENT || event.type == YAML_SEQUENCE_START_EVENT)
            open++;
        else if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT)
            open--;
        yaml_event_delete(&event);
    }
}

static struct capp__node *new_entry(struct reading *reading, struct capp__node *map, const char *key,
                                    size_t len, const yaml_event_t *event)
{
    struct capp__node *node = capp__node_add(reading->tree, map, key, len,
                                             place_of(reading, &event->start_mark));

    if (node == NULL)
        no_memory(reading);
    return node;
}

static struct capp__node *twice(struct reading *reading, const struct capp__node *before,
                                const yaml_event_t *event)
{
    char text[96];

    etcd__format(text, sizeof(text), "the key is there already, in line %u:", before->place.line);
    complain(reading, &event->start_mark, text, (const char *)event->data.scalar.value);
    return NULL;
}

static bool is_key(const char *key, size_t len)
{
    return len > 0 && len < CAPP__PATH_SIZE / 2 && strlen(key) == len && key[0] != '.' &&
           key[len - 1] != '.' && strstr(key, "..") == NULL;
}

/*
 * The node for a key, or NULL when it is none; a second one of the same name is noted and read apart. A dot
 * leads a level down: "http.timeout: 5s" is short for a map in a map.
 */
static struct capp__node *begin_entry(struct reading *reading, struct capp__node *map,
                                      const yaml_event_t *event)
{
    const char *key = (const char *)event->data.scalar.value;
    size_t len = strcspn(key, ".");
    struct capp__node *node = map;

    check_decoration(reading, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (!is_key(key, event->data.scalar.length)) {
        complain(reading, &event->start_mark, "this is no key:", key);
        return NULL;
    }
    for (; key[len] == '.' && node != NULL; len = strcspn(key, ".")) {
        struct capp__node *below = capp__node_child(node, key, len);

        if (below == NULL)
            below = new_entry(reading, node, key, len, event); /* a map: the zero of its kind */
        else if (below->kind != CAPP__NODE_MAP)
            return twice(reading, below, event);
        node = below;
        key += len + 1;
    }
    if (node == NULL)
        return NULL;
    const struct capp__node *before = capp__node_child(node, key, len);
    return before == NULL ? new_entry(reading, node, key, len, event) : twice(reading, before, event);
}

static void read_map(struct reading *reading, struct capp__node *map, unsigned depth)
{
    struct capp__node ignored;
    yaml_event_t event;

    map->kind = CAPP__NODE_MAP;
    while (next_event(reading, &event)) {
        struct capp__node *node = NULL;
        bool end = event.type == YAML_MAPPING_END_EVENT;

        if (event.type == YAML_SCALAR_EVENT) {
            node = begin_entry(reading, map, &event);
        } else if (!end) {
            complain(reading, &event.start_mark, "a key must be a name", NULL);
            skip(reading, event.type == YAML_ALIAS_EVENT ? 0 : 1);
        }
        yaml_event_delete(&event);
        if (end || !next_event(reading, &event))
            return;
        ignored = (struct capp__node){.key = ""};
        read_value(reading, node == NULL ? &ignored : node, &event, depth);
        yaml_event_delete(&event);
    }
}

static void read_list(struct reading *reading, struct capp__node *list, unsigned depth)
{
    yaml_event_t event;

    list->kind = CAPP__NODE_LIST;
    while (next_event(reading, &event)) {
        struct capp__node *node;

        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return;
        }
        node = capp__node_add(reading->tree, list, "", 0, place_of(reading, &event.start_mark));
        if (node == NULL)
            no_memory(reading);
        else
            read_value(reading, node, &event, depth);
        yaml_event_delete(&event);
    }
}

static void read_value(struct reading *reading, struct capp__node *node, const yaml_event_t *event,
                       unsigned depth)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;

    node->place = place_of(reading, &event->start_mark);
    if (event->type == YAML_ALIAS_EVENT) {
        complain(reading, &event->start_mark, "aliases are not read: alias",
                 (const char *)event->data.alias.anchor);
        node->kind = CAPP__NODE_NULL;
    } else if (event->type == YAML_SCALAR_EVENT) {
        check_decoration(reading, event, event->data.scalar.anchor, event->data.scalar.tag);
        read_text(reading, node, event);
    } else if (depth == CAPP__DEPTH_MAX) {
        complain(reading, &event->start_mark, "more levels than anybody can read", NULL);
        skip(reading, 1);
    } else if (is_map) {
        check_decoration(reading, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        read_map(reading, node, depth + 1);
    } else {
        check_decoration(reading, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        read_list(reading, node, depth + 1);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------------ */

/* The value of "\uXXXX"; 0: there is no such escape. */
static unsigned escape_at(const char *text, size_t left)
{
    unsigned value = 0;

    if (left < 6 || text[0] != '\\' || text[1] != 'u')
        return 0;
    for (size_t i = 2; i < 6; i++) {
        const char *digits = "0123456789abcdef", *digit;
        char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] - 'A' + 'a') : text[i];

        digit = c == '\0' ? NULL : strchr(digits, c);
        if (digit == NULL)
            return 0;
        value = value * 16 + (unsigned)(digit - digits);
    }
    return value;
}

/* The character that two escapes are together; 0: none. */
static unsigned pair_at(const char *text, size_t left)
{
    unsigned high = escape_at(text, left), low = left < 12 ? 0 : escape_at(text + 6, left - 6);

    if (high < 0xd800 || high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0;
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/*
 * JSON is YAML but for one thing: a character beyond U+FFFF is written as two escapes, which YAML takes for
 * what is no character. They become one; what follows the text in its line stays where it was.
 */
static void join_pairs(char *text, size_t len)
{
    enum { PAIR = 12, JOINED = 10 };
    bool quoted = false;
    size_t to = 0, owed = 0; /* spaces, to be put after the text */

    for (size_t from = 0; from < len;) {
        unsigned joined = quoted ? pair_at(text + from, len - from) : 0;
        char escape[JOINED + 1];

        if (joined != 0) {
            etcd__format(escape, sizeof(escape), "\\U%08x", joined);
            memcpy(text + to, escape, JOINED);
            to += JOINED;
            from += PAIR;
            owed += PAIR - JOINED;
            continue;
        }
        if (quoted && text[from] == '\\' && from + 1 < len)
            text[to++] = text[from++];
        else if (text[from] == '"')
            quoted = !quoted;
        text[to++] = text[from++];
        for (; !quoted && owed > 0; owed--)
            text[to++] = ' ';
    }
    memset(text + to, ' ', owed);
}

static bool is_json(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n'))
        at++;
    return at < len && text[at] == '{';
}

/* ---- the document ---------------------------------------------------------------------------------- */

static void read_document(struct reading *reading)
{
    yaml_event_t event;

    if (!next_event(reading, &event))
        return;
    if (event.type == YAML_MAPPING_START_EVENT) {
        check_decoration(reading, &event, event.data.mapping_start.anchor, event.data.mapping_start.tag);
        read_map(reading, &reading->tree->root, 1);
    } else if (event.type != YAML_SCALAR_EVENT || !is_null(&event)) {
        complain(reading, &event.start_mark, "a configuration is a map of names", NULL);
        reading->broken = true;
    }
    yaml_event_delete(&event);
}

static void read_stream(struct reading *reading)
{
    unsigned documents = 0;
    bool end = false;
    yaml_event_t event;

    while (!end && next_event(reading, &event)) {
        yaml_mark_t mark = event.start_mark;
        yaml_event_type_t type = event.type;

        yaml_event_delete(&event);
        end = type == YAML_STREAM_END_EVENT;
        if (type != YAML_DOCUMENT_START_EVENT)
            continue;
        if (documents++ > 0) {
            complain(reading, &mark, "a second document", NULL);
            return;
        }
        read_document(reading);
    }
}

static void parse(struct reading *reading, const char *text, size_t len)
{
    if (yaml_parser_initialize(&reading->parser) == 0) {
        no_memory(reading);
        return;
    }
    yaml_parser_set_encoding(&reading->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reading->parser, (const unsigned char *)text, len);
    read_stream(reading);
    yaml_parser_delete(&reading->parser);
}

void capp__yaml_read(const char *name, const char *text, size_t len, struct capp__tree *tree,
                     struct capp__mistakes *mistakes)
{
    struct reading reading = {.name = name, .tree = tree, .mistakes = mistakes};
    char *json;

    tree->root.kind = CAPP__NODE_MAP;
    if (!is_json(text, len)) {
        parse(&reading, text, len);
        return;
    }
    json = etcd__memdup(text, len);
    if (json == NULL) {
        no_memory(&reading);
        return;
    }
    join_pairs(json, len);
    parse(&reading, json, len);
    etcd__wipe(json, len); /* there may be a password in it */
    etcd__free(json);
}
