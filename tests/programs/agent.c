/* A stand-in for the Teleport agent, as far as an updater can see one: a compiled static program (a script's
 * /proc/PID/exe would be its shell) that tells its version, keeps a PID file, hands over to a successor on
 * HUP and drains. VERSION and TEMPER are set when it is compiled:
 *   CALM         behaves              CRASH       exits 1 at once        CRASH_LATER  exits 1 after 5 s
 *   HANG         starts, never ready  IGNORE_HUP  a reload does nothing
 * It drains for as many seconds as /etc/teleport-standin.drain says, else 2. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "/usr/local/bin/teleport"

enum temper { CALM, CRASH, CRASH_LATER, HANG, IGNORE_HUP };
#ifndef TEMPER
#define TEMPER CALM
#endif
#ifndef VERSION
#define VERSION "16.2.0"
#endif

static const char *pid_file;

static int number_in(const char *path, int otherwise) {
    int number = otherwise;
    FILE *file = fopen(path, "r");
    if (file) {
        if (fscanf(file, "%d", &number) != 1) number = otherwise;
        fclose(file);
    }
    return number;
}

/* In place, as the agent does it: whoever started last is in charge. */
static void take_charge(void) {
    FILE *file = pid_file ? fopen(pid_file, "w") : NULL;
    if (file) {
        fprintf(file, "%d\n", getpid());
        fclose(file);
    }
}

static void leave(int status) {
    if (pid_file && number_in(pid_file, 0) == getpid()) unlink(pid_file);
    printf("stand-in agent %s: %d leaves\n", VERSION, getpid());
    exit(status);
}

/* The successor is whatever is installed now, with our arguments and our (old) environment. */
static void start_successor(char **argv) {
    if (fork() == 0) {
        execv(PROGRAM, argv);
        perror(PROGRAM);
        _exit(1);
    }
}

static int start(char **argv) {
    sigset_t signals;
    struct timespec limit = { .tv_sec = TEMPER == CRASH_LATER ? 5 : 365 * 24 * 3600 };
    int draining = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    printf("stand-in agent %s: %d starts\n", VERSION, getpid());
    if (TEMPER == CRASH) return 1;
    if (TEMPER != HANG) take_charge();

    for (;;) {
        int signal = sigtimedwait(&signals, NULL, &limit);
        if (signal < 0) leave(TEMPER == CRASH_LATER && !draining); /* the time is up */
        if (signal != SIGHUP) leave(0);
        if (TEMPER == IGNORE_HUP || TEMPER == HANG || draining) continue;
        printf("stand-in agent %s: %d drains\n", VERSION, getpid());
        start_successor(argv);
        draining = 1;
        limit.tv_sec = number_in("/etc/teleport-standin.drain", 2);
    }
}

int main(int argc, char **argv) {
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "version") == 0) {
        if (argc > 2 && strcmp(argv[2], "--raw") == 0) puts(VERSION);
        else puts("Teleport Enterprise v" VERSION " git:v" VERSION "-0-gabc go1.22.6");
        return 0;
    }
    if (strcmp(command, "start") == 0) {
        for (int i = 2; i < argc; i++)
            if (strncmp(argv[i], "--pid-file=", 11) == 0) pid_file = argv[i] + 11;
        return start(argv);
    }
    fprintf(stderr, "usage: teleport version [--raw] | teleport start [--pid-file=FILE]\n");
    return 2;
}
