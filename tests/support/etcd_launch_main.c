/* SPDX-License-Identifier: Apache-2.0 */
/* etcd-launch: runs a command with a private etcd server. See usage(). */
#include "support/certs.h"
#include "support/etcd_server.h"
#include "support/process.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 32 };

static volatile sig_atomic_t child;  /* the command, for the handler */
static volatile sig_atomic_t caught; /* a signal that came before there was a command */

static int usage(FILE *out)
{
    fprintf(
        out,
        "usage: etcd-launch [option]... -- command [argument]...\n"
        "Starts a private etcd server on free loopback ports, runs the command, and stops the server again.\n"
        "\n"
        "  --version V     3.4, 3.5.16, 3.5.30 ... (default: the newest that is there; ETCD_BIN overrides)\n"
        "  --members N     1 to 5 (default: 1)\n"
        "  --tls | --mtls  with certificates made on the spot\n"
        "  --auth          enable authentication\n"
        "  --user NAME:PASSWORD:PREFIX   with --auth: a user who may read and write below PREFIX\n"
        "  --jwt           tokens are JWT\n"
        "  --token-ttl S   how long a token is good for\n"
        "  --arg FLAG      a further flag of etcd; may be repeated\n"
        "\n"
        "The command's environment: ETCDC_ENDPOINTS (with commas), ETCDC_VERSION, ETCDC_LAUNCHER (this\n"
        "program's pid), ETCDC_MEMBER_PIDS (with commas); with TLS ETCDC_CA_FILE, ETCDC_CERT_FILE,\n"
        "ETCDC_KEY_FILE; with --auth ETCDC_USERNAME and ETCDC_PASSWORD (of root).\n"
        "Exit status: the command's; 128 + signal if it was ended by one; 125 when the server does not "
        "start.\n");
    return out == stdout ? 0 : 2;
}

static void forward(int signal_number)
{
    if (child > 0)
        kill((pid_t)child, signal_number);
    else
        caught = signal_number;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = forward};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

struct launch {
    struct etcd_server_options options;
    struct etcd_server_user users[ARGS_MAX + 1];
    size_t user_count;
    const char *args[ARGS_MAX + 1];
    size_t arg_count;
};

/* Takes NAME:PASSWORD:PREFIX apart in place. */
static bool add_user(struct launch *launch, char *text)
{
    char *password = strchr(text, ':');
    char *prefix = password != NULL ? strchr(password + 1, ':') : NULL;
    if (prefix == NULL || launch->user_count == ARGS_MAX)
        return false;
    *password++ = '\0';
    *prefix++ = '\0';
    launch->users[launch->user_count++] = (struct etcd_server_user){text, password, prefix};
    return true;
}

static bool add_number(const char *text, long max, long *ret)
{
    char *end;
    errno = 0;
    *ret = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' && end != text && *ret >= 1 && *ret <= max;
}

static bool take_option(struct launch *launch, int option, char *value)
{
    struct etcd_server_options *options = &launch->options;
    long number;
    switch (option) {
    case 'v':
        options->version = value;
        return true;
    case 'm':
        if (!add_number(value, ETCD_SERVER_MEMBERS_MAX, &number))
            return false;
        options->members = (size_t)number;
        return true;
    case 't':
        options->tls = ETCD_SERVER_TLS;
        return true;
    case 'T':
        options->tls = ETCD_SERVER_MTLS;
        return true;
    case 'a':
        options->auth = true;
        return true;
    case 'u':
        return add_user(launch, value);
    case 'j':
        options->jwt = true;
        return true;
    case 'l':
        if (!add_number(value, 1000000, &number))
            return false;
        options->token_ttl_s = (int)number;
        return true;
    case 'x':
        if (launch->arg_count == ARGS_MAX)
            return false;
        launch->args[launch->arg_count++] = value;
        return true;
    default:
        return false;
    }
}

static bool parse(struct launch *launch, int argc, char **argv)
{
    static const struct option table[] = {
        {"version", required_argument, NULL, 'v'}, {"members", required_argument, NULL, 'm'},
        {"tls", no_argument, NULL, 't'},           {"mtls", no_argument, NULL, 'T'},
        {"auth", no_argument, NULL, 'a'},          {"user", required_argument, NULL, 'u'},
        {"jwt", no_argument, NULL, 'j'},           {"token-ttl", required_argument, NULL, 'l'},
        {"arg", required_argument, NULL, 'x'},     {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "+", table, NULL)) != -1)
        if (!take_option(launch, option, optarg))
            return false;
    launch->options.users = launch->users;
    launch->options.args = launch->args;
    return optind < argc;
}

static void export_settings(struct etcd_server *server, const struct etcd_server_options *options)
{
    char pids[16 * ETCD_SERVER_MEMBERS_MAX];
    int len = 0;
    for (size_t i = 0; i < etcd_server_members(server); i++)
        len += snprintf(pids + len, sizeof(pids) - (size_t)len, "%s%d", i == 0 ? "" : ",",
                        (int)etcd_server_pid(server, i));
    char self[16];
    snprintf(self, sizeof(self), "%d", (int)getpid());
    setenv("ETCDC_LAUNCHER", self, 1);
    setenv("ETCDC_MEMBER_PIDS", pids, 1);
    setenv("ETCDC_ENDPOINTS", etcd_server_endpoints(server), 1);
    setenv("ETCDC_VERSION", etcd_server_version(server), 1);
    if (options->tls != ETCD_SERVER_PLAIN) {
        setenv("ETCDC_CA_FILE", etcd_server_file(server, CERTS_CA), 1);
        setenv("ETCDC_CERT_FILE", etcd_server_file(server, CERTS_CLIENT), 1);
        setenv("ETCDC_KEY_FILE", etcd_server_file(server, CERTS_CLIENT_KEY), 1);
    }
    if (options->auth) {
        setenv("ETCDC_USERNAME", "root", 1);
        setenv("ETCDC_PASSWORD", ETCD_SERVER_ROOT_PASSWORD, 1);
    }
}

/* The command keeps our group and terminal: ^C reaches it as it would without us. */
static int run(char **command)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(127);
        execvp(command[0], command);
        perror(command[0]);
        _exit(errno == ENOENT ? 127 : 126);
    }
    if (pid < 0) {
        perror("fork");
        return 125;
    }
    child = pid;
    if (caught != 0)
        kill(pid, caught);
    return process_wait(pid);
}

int main(int argc, char **argv)
{
    struct launch launch = {.user_count = 0};
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (!parse(&launch, argc, argv))
        return usage(stderr);
    catch_signals();
    struct etcd_server *server = etcd_server_start(&launch.options);
    if (server == NULL)
        return 125;
    export_settings(server, &launch.options);
    int status = caught != 0 ? 128 + caught : run(argv + optind);
    etcd_server_free(server);
    return status;
}
