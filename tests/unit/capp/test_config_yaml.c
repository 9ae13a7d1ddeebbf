/* SPDX-License-Identifier: Apache-2.0 */
#include "capp/config_yaml.h"

#include "fixture.h"

struct file {
    struct capp__tree tree;
    struct capp__mistakes mistakes;
};

static void read_yaml(struct file *file, const char *text)
{
    *file = (struct file){.tree = {.root = {.kind = CAPP__NODE_MAP}}};
    capp__yaml_read("f", text, strlen(text), &file->tree, &file->mistakes);
}

static void end(struct file *file)
{
    capp__mistakes_deinit(&file->mistakes);
    capp__tree_deinit(&file->tree);
}

static void assert_text(const struct file *file, const char *path, const char *text, unsigned line,
                        unsigned column)
{
    const struct capp__node *node = capp__tree_find(&file->tree, path);

    assert_non_null(node);
    assert_int_equal(node->kind, CAPP__NODE_TEXT);
    assert_string_equal(node->text, text);
    assert_int_equal(node->place.line, line);
    assert_int_equal(node->place.column, column);
}

static void texts_stay_as_they_are_written(void **state)
{
    struct file file;

    (void)state;
    read_yaml(&file, "a: 0123\nb: true\nc: 1e5\nd: ' x '\ne: \"\\u00e4\\n\"\nf: ''\ng: |\n  two\n  lines\n");
    assert_false(capp__mistakes_any(&file.mistakes));
    assert_text(&file, "a", "0123", 1, 4);
    assert_text(&file, "b", "true", 2, 4);
    assert_text(&file, "c", "1e5", 3, 4);
    assert_text(&file, "d", " x ", 4, 4);
    assert_text(&file, "e", "\xc3\xa4\n", 5, 4);
    assert_text(&file, "f", "", 6, 4);
    assert_text(&file, "g", "two\nlines\n", 7, 4);
    end(&file);
}

static void levels_lists_and_nothing(void **state)
{
    struct file file;
    const struct capp__node *list;

    (void)state;
    read_yaml(
        &file,
        "etcd:\n  clients:\n    default: {endpoints: [a, b], user: ~, x: , y: null}\nhttp.Listen-On: z\n");
    assert_false(capp__mistakes_any(&file.mistakes));
    list = capp__tree_find(&file.tree, "ETCD.clients.DEFAULT.endpoints");
    assert_non_null(list);
    assert_int_equal(list->kind, CAPP__NODE_LIST);
    assert_string_equal(list->first->text, "a");
    assert_string_equal(list->last->text, "b");
    assert_null(capp__tree_find(&file.tree, "etcd.clients.default.user"));
    assert_null(capp__tree_find(&file.tree, "etcd.clients.default.x"));
    assert_text(&file, "http.listen_on", "z", 4, 17);
    end(&file);
}

static void json_is_read(void **state)
{
    struct file file;

    (void)state;
    read_yaml(&file, "{\n\t\"http\": {\"listen\": \"127.0.0.1:80\", \"on\": true, \"n\": 12, \"none\": null, "
                     "\"l\": [\"a\"]}\n}\n");
    assert_false(capp__mistakes_any(&file.mistakes));
    assert_text(&file, "http.listen", "127.0.0.1:80", 2, 21);
    assert_text(&file, "http.n", "12", 2, 54);
    assert_null(capp__tree_find(&file.tree, "http.none"));
    end(&file);
}

static void nothing_is_fine(void **state)
{
    static const char *const texts[] = {"", "# nothing\n", "---\n", "~\n", "{}", "---\n...\n"};
    struct file file;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        read_yaml(&file, texts[i]);
        assert_false(capp__mistakes_any(&file.mistakes));
        assert_null(file.tree.root.first);
        end(&file);
    }
}

static void what_is_wrong_has_a_place(void **state)
{
    static const struct {
        const char *text, *report;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "f:3:1: the key is there already, in line 1: 'a'"},
        {"dial-timeout: 1\nDial_Timeout: 2\n", "f:2:1: the key is there already, in line 1: 'Dial_Timeout'"},
        {"a.b: 1\na: {b: 2}\n", "f:2:1: the key is there already, in line 1: 'a'"},
        {"a: 1\na.b: 2\n", "f:2:1: the key is there already, in line 1: 'a.b'"},
        {"a: &x 1\n", "f:1:4: anchors are not read: anchor 'x'"},
        {"a: *x\n", "f:1:4: aliases are not read: alias 'x'"},
        {"a: !!int 1\n", "f:1:4: tags are not read: tag 'tag:yaml.org,2002:int'"},
        {"a: 1\n---\nb: 2\n", "f:2:1: a second document"},
        {"- a\n", "f:1:1: a configuration is a map of names"},
        {"just text\n", "f:1:1: a configuration is a map of names"},
        {"a: [1\n", "f:2:1: "},
        {"a: b: c\n", "f:1:5: "},
        {"? [x, y]\n: 1\nb: 2\n", "f:1:3: a key must be a name"},
        {"a..b: 1\n", "f:1:1: this is no key: 'a..b'"},
        {"a: \"x\\0y\"\n", "f:1:4: a value with a NUL in it"},
    };
    struct file file;
    capp_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        read_yaml(&file, cases[i].text);
        assert_int_equal(file.mistakes.list.count, 1);
        capp__mistakes_get(&file.mistakes, 0, &error);
        assert_has(error.message, cases[i].report);
        end(&file);
    }
}

static void several_mistakes_are_all_found(void **state)
{
    struct file file;

    (void)state;
    read_yaml(&file, "a: &x 1\nb: *x\na: !t 2\nc: [*x, {d: *x}]\ne: 1\n");
    assert_int_equal(file.mistakes.list.count, 6);
    assert_text(&file, "e", "1", 5, 4);
    end(&file);
}

static void levels_have_an_end(void **state)
{
    char text[4096] = "";
    struct file file;
    capp_error error;

    (void)state;
    for (int i = 0; i < 1000; i++)
        strcat(text, "[");
    memmove(text + 3, text, strlen(text) + 1);
    memcpy(text, "a: ", 3);
    read_yaml(&file, text);
    assert_true(capp__mistakes_any(&file.mistakes));
    capp__mistakes_get(&file.mistakes, 0, &error);
    assert_has(error.message, "more levels than anybody can read");
    end(&file);
    read_yaml(&file, "a: \xff\n");
    assert_int_equal(file.mistakes.list.count, 1);
    end(&file);
}

/* Two escapes for one character, which YAML has not; what stands behind it stays in its column. */
static void json_has_pairs_of_escapes(void **state)
{
    struct file file;
    capp_error error;

    (void)state;
    read_yaml(&file,
              "\n{\"a\": \"x\\uD83D\\uDE00\\ud83d\\ude01y\", \"b\\ud83d\\ude00\": \"\\/\", \"c\": 1}\n");
    assert_false(capp__mistakes_any(&file.mistakes));
    assert_text(&file, "a", "x\xf0\x9f\x98\x80\xf0\x9f\x98\x81y", 2, 7);
    assert_text(&file, "b\xf0\x9f\x98\x80", "/", 2, 54);
    assert_text(&file, "c", "1", 2, 65);
    end(&file);
    read_yaml(&file,
              "{\"a\": \"\\\\ud83d\\\\ude00\", \"b\": \"\\\"\\ud83d\\ude00\\\"\", \"c\": \"\\u00e4\"}");
    assert_false(capp__mistakes_any(&file.mistakes));
    assert_text(&file, "a", "\\ud83d\\ude00", 1, 7);
    assert_text(&file, "b", "\"\xf0\x9f\x98\x80\"", 1, 30);
    assert_text(&file, "c", "\xc3\xa4", 1, 55);
    end(&file);
    for (size_t i = 0; i < 3; i++) {
        static const char *const halves[] = {"{\"a\": \"\\ud83d\"}", "{\"a\": \"\\ude00\\ud83d\"}",
                                             "{\"a\": \"\\ud83d\\u0041\"}"};

        read_yaml(&file, halves[i]);
        assert_int_equal(file.mistakes.list.count, 1);
        capp__mistakes_get(&file.mistakes, 0, &error);
        assert_has(error.message, "f:1:");
        end(&file);
    }
    read_yaml(&file, "a: '\\ud83d\\ude00'\n"); /* no JSON: as it is written */
    assert_text(&file, "a", "\\ud83d\\ude00", 1, 4);
    end(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_stay_as_they_are_written),
        cmocka_unit_test(levels_lists_and_nothing),
        cmocka_unit_test(json_is_read),
        cmocka_unit_test(json_has_pairs_of_escapes),
        cmocka_unit_test(nothing_is_fine),
        cmocka_unit_test(what_is_wrong_has_a_place),
        cmocka_unit_test(several_mistakes_are_all_found),
        cmocka_unit_test(levels_have_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
