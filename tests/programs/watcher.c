/* Watches what a program does to its host, and with what it starts others:
 *   watcher FILE PROGRAM COMMAND ARG...
 * COMMAND may prepare as it likes (limits, descriptors, a user); from the moment on when it executes PROGRAM, FILE gets one line, parts
 * apart by tabs, for whatever that process, its threads and its children up to their own execve do:
 *   read PATH, write PATH       a file was opened, PATH is what was opened in the end, whatever links led there
 *   failed HOW PATH             one could not be opened
 *   change CALL PATH            a name, mode, owner, time or length was changed, or that was tried
 *   say DESCRIPTOR WHERE        something was written to descriptor 0, 1 or 2, once for each place in a row
 *   start PATH                  the word that execve was given
 *   started PATH                what runs then; then, of that process, `word`, `variable`, `descriptor N WHERE`, `umask`, `ignores`
 *   signal N, exit N            how the process ended
 * A program that is started is not watched any further: it runs at its own speed. Exits as the process did. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NONE = -1, MOST = 512, LONG_VALUE = 300, ROOM = 3 * PATH_MAX };

/* Calls that change what a path names: where their directories and paths stand among the arguments. */
static const struct change { long call; const char *name; int at[2], path[2]; } changes[] = {
#ifdef SYS_unlink /* what newer architectures do without */
    { SYS_rename, "rename", { NONE, NONE }, { 0, 1 } },
    { SYS_unlink, "unlink", { NONE, NONE }, { 0, NONE } },
    { SYS_rmdir, "rmdir", { NONE, NONE }, { 0, NONE } },
    { SYS_mkdir, "mkdir", { NONE, NONE }, { 0, NONE } },
    { SYS_mknod, "mknod", { NONE, NONE }, { 0, NONE } },
    { SYS_link, "link", { NONE, NONE }, { 0, 1 } },
    { SYS_symlink, "symlink", { NONE, NONE }, { 1, NONE } },
    { SYS_chmod, "chmod", { NONE, NONE }, { 0, NONE } },
    { SYS_chown, "chown", { NONE, NONE }, { 0, NONE } },
    { SYS_lchown, "lchown", { NONE, NONE }, { 0, NONE } },
#endif
#ifdef SYS_renameat
    { SYS_renameat, "renameat", { 0, 2 }, { 1, 3 } },
#endif
    { SYS_renameat2, "renameat2", { 0, 2 }, { 1, 3 } },
    { SYS_unlinkat, "unlinkat", { 0, NONE }, { 1, NONE } },
    { SYS_mkdirat, "mkdirat", { 0, NONE }, { 1, NONE } },
    { SYS_mknodat, "mknodat", { 0, NONE }, { 1, NONE } },
    { SYS_linkat, "linkat", { 0, 2 }, { 1, 3 } },
    { SYS_symlinkat, "symlinkat", { 1, NONE }, { 2, NONE } },
    { SYS_fchmodat, "fchmodat", { 0, NONE }, { 1, NONE } },
#ifdef SYS_fchmodat2
    { SYS_fchmodat2, "fchmodat2", { 0, NONE }, { 1, NONE } },
#endif
    { SYS_fchownat, "fchownat", { 0, NONE }, { 1, NONE } },
    { SYS_utimensat, "utimensat", { 0, NONE }, { 1, NONE } },
    { SYS_truncate, "truncate", { NONE, NONE }, { 0, NONE } },
    { SYS_setxattr, "setxattr", { NONE, NONE }, { 0, NONE } },
    { SYS_lsetxattr, "lsetxattr", { NONE, NONE }, { 0, NONE } },
    { SYS_mount, "mount", { NONE, NONE }, { 1, NONE } },
    { SYS_umount2, "umount", { NONE, NONE }, { 0, NONE } },
    { SYS_chroot, "chroot", { NONE, NONE }, { 0, NONE } },
    { SYS_fchmod, "fchmod", { 0, NONE }, { NONE, NONE } },
    { SYS_fchown, "fchown", { 0, NONE }, { NONE, NONE } },
    { SYS_ftruncate, "ftruncate", { 0, NONE }, { NONE, NONE } },
    { SYS_fsetxattr, "fsetxattr", { 0, NONE }, { NONE, NONE } },
};

static struct task { pid_t id; int inside, opening; long how; char path[ROOM]; } tasks[MOST];
static FILE *file;
static const char *program;
static int watching;
static pid_t first;

static struct task *task(pid_t id) {
    struct task *vacant = NULL;
    for (int i = 0; i < MOST; i++) {
        if (tasks[i].id == id) return &tasks[i];
        if (!tasks[i].id && !vacant) vacant = &tasks[i];
    }
    if (!vacant) { fprintf(stderr, "watcher: too many threads\n"); exit(2); }
    memset(vacant, 0, sizeof *vacant);
    vacant->id = id;
    return vacant;
}

/* One line; its parts end with NULL. */
static void note(const char *part, ...) {
    va_list parts;
    if (!watching) return;
    va_start(parts, part);
    for (const char *p = part; p; p = va_arg(parts, const char *)) {
        if (p != part) fputc('\t', file);
        for (int i = 0; p[i] && i < PATH_MAX; i++) fputc((unsigned char)p[i] < ' ' ? '?' : p[i], file);
    }
    va_end(parts);
    fputc('\n', file);
}

/* The string at that address of the process. */
static void text_of(pid_t id, uint64_t address, char *text, size_t room) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", id);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    while (length + 1 < room && pread(memory, text + length, 1, (off_t)(address + length)) == 1 && text[length]) length++;
    text[length] = 0;
    if (memory >= 0) close(memory);
}

static void link_of(pid_t id, const char *what, char *text, size_t room) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", id, what);
    ssize_t length = readlink(path, text, room - 1);
    text[length > 0 ? length : 0] = 0;
}

static void descriptor_of(pid_t id, int number, char *text, size_t room) {
    char what[32];
    snprintf(what, sizeof what, "fd/%d", number);
    link_of(id, what, text, room);
}

/* Where the name lies, with links on the way resolved, but not its last part. */
static void place_of(pid_t id, int at, const char *name, char *text) {
    char whole[2 * PATH_MAX + 2], above[PATH_MAX];
    if (*name == '/') snprintf(whole, sizeof whole, "%s", name);
    else {
        char from[PATH_MAX];
        if (at == AT_FDCWD) link_of(id, "cwd", from, sizeof from);
        else descriptor_of(id, at, from, sizeof from);
        snprintf(whole, sizeof whole, *name ? "%s/%s" : "%s", from, name);
    }
    char *last = strrchr(whole, '/');
    if (last && last != whole && last[1] && strcmp(last + 1, "..") && strcmp(last + 1, ".")) {
        *last = 0;
        if (realpath(whole, above)) { snprintf(text, ROOM, "%s/%s", strcmp(above, "/") ? above : "", last + 1); return; }
        *last = '/';
    }
    snprintf(text, ROOM, "%s", whole);
}

static int writes(long how) { return (how & O_ACCMODE) != O_RDONLY || how & (O_CREAT | O_TRUNC); }

static void entered(struct task *task, const struct __ptrace_syscall_info *info) {
    const uint64_t *args = info->entry.args;
    long call = (long)info->entry.nr;
    char name[PATH_MAX], path[ROOM];
    int at = AT_FDCWD, opens = NONE;
    task->opening = 0;
    if (!watching && call != SYS_execve) return;
    if (call == SYS_openat) { at = (int)args[0]; opens = 1; task->how = (long)args[2]; }
#ifdef SYS_open
    if (call == SYS_open) { opens = 0; task->how = (long)args[1]; }
    if (call == SYS_creat) { opens = 0; task->how = O_CREAT | O_WRONLY; }
#endif
#ifdef SYS_openat2
    if (call == SYS_openat2) { at = (int)args[0]; opens = 1; task->how = O_WRONLY; /* ours makes no such call */ }
#endif
    if (opens != NONE) {
        task->opening = 1;
        text_of(task->id, args[opens], name, sizeof name);
        place_of(task->id, at, name, task->path);
    } else if (call == SYS_execve || call == SYS_execveat) {
        text_of(task->id, args[call == SYS_execveat], name, sizeof name);
        note("start", name, NULL);
    } else if (call == SYS_write || call == SYS_writev || call == SYS_pwrite64 || call == SYS_sendfile) {
        static char before[ROOM + 16];
        char now[ROOM + 16], number[16];
        if (args[0] > 2) return;
        descriptor_of(task->id, (int)args[0], path, sizeof path);
        snprintf(number, sizeof number, "%d", (int)args[0]);
        snprintf(now, sizeof now, "%s %s", number, path);
        if (strcmp(now, before)) note("say", number, path, NULL);
        strcpy(before, now);
    }
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const struct change *change = &changes[i];
        if (change->call != call) continue;
        for (int j = 0; j < 2; j++) {
            if (change->path[j] != NONE) text_of(task->id, args[change->path[j]], name, sizeof name);
            else if (change->at[j] != NONE) *name = 0;
            else continue;
            at = change->at[j] == NONE ? AT_FDCWD : (int)args[change->at[j]];
            place_of(task->id, at, name, path);
            note("change", change->name, path, NULL);
        }
    }
}

static void left(struct task *task, const struct __ptrace_syscall_info *info) {
    char path[PATH_MAX];
    if (!task->opening) return;
    task->opening = 0;
    const char *how = writes(task->how) ? "write" : "read";
    if (info->exit.is_error) { note("failed", how, task->path, NULL); return; }
    descriptor_of(task->id, (int)info->exit.rval, path, sizeof path);
    note(how, path, NULL);
}

/* Strings that end with NUL, one a line, long ones cut. */
static void note_strings(pid_t id, const char *what, const char *name) {
    char path[64], *text = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", id, what);
    FILE *strings = fopen(path, "re");
    while (strings && getdelim(&text, &room, 0, strings) > 0) {
        if (strlen(text) > LONG_VALUE) text[LONG_VALUE] = 0;
        note(name, text, NULL);
    }
    free(text);
    if (strings) fclose(strings);
}

static void note_state(pid_t id) {
    char path[64], line[256], value[256];
    snprintf(path, sizeof path, "/proc/%d/status", id);
    FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "Umask: %255s", value) == 1) note("umask", value, NULL);
        if (sscanf(line, "SigIgn: %255s", value) == 1) note("ignores", value, NULL);
    }
    if (status) fclose(status);
    snprintf(path, sizeof path, "/proc/%d/fd", id);
    DIR *descriptors = opendir(path);
    for (struct dirent *entry; descriptors && (entry = readdir(descriptors));) {
        if (*entry->d_name == '.') continue;
        descriptor_of(id, atoi(entry->d_name), value, sizeof value);
        note("descriptor", entry->d_name, value, NULL);
    }
    if (descriptors) closedir(descriptors);
}

/* Whether the task is watched no more. */
static int executed(struct task *task) {
    char path[PATH_MAX];
    link_of(task->id, "exe", path, sizeof path);
    if (!watching && task->id == first) {
        watching = strcmp(path, program) == 0;
        return 0;
    }
    note("started", path, NULL);
    note_strings(task->id, "cmdline", "word");
    note_strings(task->id, "environ", "variable");
    note_state(task->id);
    if (task->id == first) return 0;
    task->id = 0;
    return 1;
}

int main(int argc, char **argv) {
    int status;
    if (argc < 4 || !(file = fopen(argv[1], "ae"))) return 2;
    program = argv[2];
    first = fork();
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    if (first < 0 || waitpid(first, &status, 0) != first) return 2;
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SETOPTIONS, first, 0, options) || ptrace(PTRACE_SYSCALL, first, 0, 0)) return 2;
    task(first);
    for (pid_t id; (id = waitpid(-1, &status, __WALL)) > 0;) {
        char number[16];
        long signal = 0;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            task(id)->id = 0;
            if (id != first) continue;
            snprintf(number, sizeof number, "%d", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
            note(WIFEXITED(status) ? "exit" : "signal", number, NULL);
            return fclose(file) ? 2 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        struct task *stopped = task(id);
        int how = WSTOPSIG(status), event = status >> 16;
        if (how == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            ptrace(PTRACE_GET_SYSCALL_INFO, id, sizeof info, &info);
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY) entered(stopped, &info);
            if (info.op == PTRACE_SYSCALL_INFO_EXIT) left(stopped, &info);
        } else if (event == PTRACE_EVENT_EXEC) {
            if (executed(stopped)) { ptrace(PTRACE_DETACH, id, 0, 0); continue; }
        } else if (!event && !(how == SIGSTOP && !stopped->inside)) signal = how;
        stopped->inside = 1; /* its first stop is how it comes to us, and no signal of its own */
        ptrace(PTRACE_SYSCALL, id, 0, signal);
    }
    return 2;
}
