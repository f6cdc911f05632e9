/* Runs a command and appends one line to a file: wall time and CPU time in microseconds, peak resident
 * memory in KiB, exit status. Small and static, because a child's peak includes what its parent had at fork.
 *   meter FILE COMMAND ARG... */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long micros(struct timeval t) { return t.tv_sec * 1000000L + t.tv_usec; }

int main(int argc, char **argv) {
    struct timespec before, after;
    struct rusage used;
    int status;
    if (argc < 3) return 2;
    clock_gettime(CLOCK_MONOTONIC, &before);
    pid_t child = vfork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child) return 2;
    clock_gettime(CLOCK_MONOTONIC, &after);
    FILE *file = fopen(argv[1], "a");
    if (!file) return 2;
    long wall = (after.tv_sec - before.tv_sec) * 1000000L + (after.tv_nsec - before.tv_nsec) / 1000;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    fprintf(file, "%ld %ld %ld %d\n", wall, micros(used.ru_utime) + micros(used.ru_stime), used.ru_maxrss, code);
    return fclose(file) == 0 ? 0 : 2;
}
