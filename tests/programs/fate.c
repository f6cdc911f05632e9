/* What strace(1) cannot say: runs a program and lets fate strike at one exact call of it, or of whatever it starts.
 *   fate points FILE ours|all COMMAND...               nothing happens; FILE has every point, a line each: NUMBER ours|theirs CALL ON-WHAT
 *   fate kill FILE ours|theirs N alone|all|it COMMAND...  kill -9 before the N-th point: of the program alone, or of all that it has started, too
 *   fate fail FILE N[+] ERROR COMMAND...               the N-th point of the program itself fails with ENOSPC, EIO, EROFS or EINTR, or a
 *                                                      `short` write writes half; with + so does each later one below our state directory
 * In the last two FILE has the line of the point that was struck, or nothing if it did not come to it.
 * A point is a call that changes something or may wait for it: open for writing, write, rename, sync, unlink, make, lock, spawn, execute, wait.
 * To wait or to say something once more is no new point, so points have the same numbers in every run. What is struck down has not made the
 * call.
 * Exits as the program did; 137 when it was killed. */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the arguments of a call say of the file: NONE, a PATH in the first, a path AT a directory in the second, a descriptor FD in the
 * first, two paths (TWO, TWO_AT). */
enum what { NONE, PATH, AT, FD, TWO, TWO_AT, EXEC, LOCK, OPEN, OPEN_AT, CLONE, WAIT };
struct call { long number; const char *name; enum what what; };
#define CALL(name, what) { SYS_##name, #name, what }
static const struct call calls[] = {
    CALL(openat, OPEN_AT), CALL(write, FD), CALL(pwrite64, FD), CALL(writev, FD), CALL(sendfile, FD), CALL(copy_file_range, NONE),
    CALL(ftruncate, FD), CALL(truncate, PATH), CALL(fallocate, FD), CALL(fsync, FD), CALL(fdatasync, FD), CALL(msync, NONE),
    CALL(renameat2, TWO_AT), CALL(linkat, TWO_AT), CALL(symlinkat, NONE), CALL(unlinkat, AT), CALL(mkdirat, AT),
    CALL(fchmod, FD), CALL(fchmodat, AT), CALL(fchown, FD), CALL(fchownat, AT), CALL(utimensat, AT), CALL(flock, FD), CALL(fcntl, LOCK),
    CALL(kill, NONE), CALL(clone, CLONE), CALL(clone3, NONE), CALL(execve, EXEC), CALL(wait4, WAIT), CALL(waitid, WAIT),
#ifdef SYS_renameat
    CALL(renameat, TWO_AT),
#endif
#ifdef SYS_open
    CALL(open, OPEN), CALL(creat, PATH), CALL(rename, TWO), CALL(link, TWO), CALL(symlink, TWO), CALL(unlink, PATH), CALL(rmdir, PATH),
    CALL(mkdir, PATH), CALL(chmod, PATH), CALL(chown, PATH), CALL(lchown, PATH), CALL(fork, NONE), CALL(vfork, NONE),
#endif
};
static const struct { const char *name; int number; } errors[] = {
    { "ENOSPC", ENOSPC }, { "EIO", EIO }, { "EROFS", EROFS }, { "EINTR", EINTR }, { "short", 0 },
};

static pid_t leader;
static long ours, theirs; /* points so far */
static pid_t refused; /* whose call is not made */
static int was_idle; /* the last point of ours changed nothing but what others read on our standard streams */

static void stop(const char *what) {
    fprintf(stderr, "fate: %s: %s\n", what, strerror(errno));
    exit(125);
}

/* --- what a stopped process is about to do ------------------------------------------------------------ */

static void text_at(pid_t pid, unsigned long address, char *text, size_t size) {
    size_t got = 0;
    while (address && got + 1 < size) {
        size_t chunk = 256 - (address + got) % 256;
        if (chunk > size - 1 - got) chunk = size - 1 - got;
        struct iovec here = { text + got, chunk }, there = { (void *)(address + got), chunk };
        ssize_t more = process_vm_readv(pid, &here, 1, &there, 1, 0);
        if (more <= 0) break;
        got += (size_t)more;
        if (memchr(text + got - more, 0, (size_t)more)) break;
    }
    text[got < size ? got : size - 1] = 0;
    for (char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c)) *c = '?';
}

static void name_of(pid_t pid, long descriptor, char *text, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%ld", pid, descriptor);
    ssize_t got = readlink(link, text, size - 1);
    text[got > 0 ? got : 0] = 0;
}

/* A path relative to a directory that is open; absolute ones say all. */
static void path_at(pid_t pid, int directory, unsigned long address, char *text, size_t size) {
    char path[PATH_MAX], in[PATH_MAX] = "";
    text_at(pid, address, path, sizeof path);
    if (*path != '/' && directory != AT_FDCWD) name_of(pid, directory, in, sizeof in);
    snprintf(text, size, "%s%s%s", in, *in ? "/" : "", path);
}

static void words_of(pid_t pid, unsigned long path, unsigned long words, char *text, size_t size) {
    char word[256];
    text_at(pid, path, word, sizeof word);
    size_t used = (size_t)snprintf(text, size, "%s", word);
    for (int i = 1; i < 60 && used < size; i++) {
        unsigned long address = 0;
        struct iovec here = { &address, sizeof address }, there = { (void *)(words + (unsigned long)i * sizeof address), sizeof address };
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != sizeof address || !address) break;
        text_at(pid, address, word, sizeof word);
        used += (size_t)snprintf(text + used, size - used, " %s", word);
    }
}

static int opens_for_writing(unsigned long flags) { return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0; }

/* Whether the call is a point; then what it is on, in words. */
static const struct call *point(pid_t pid, const struct __ptrace_syscall_info *info, int is_ours, char *on, size_t size) {
    const uint64_t *argument = info->entry.args;
    const struct call *call = NULL;
    char from[PATH_MAX], to[PATH_MAX];
    int idle = 0;
    for (size_t i = 0; i < sizeof calls / sizeof *calls && !call; i++)
        if ((unsigned long)calls[i].number == info->entry.nr) call = &calls[i];
    *on = 0;
    if (!call) return NULL;
    switch (call->what) {
        case NONE: break;
        case PATH: text_at(pid, argument[0], on, size); break;
        case AT: path_at(pid, (int)argument[0], argument[1], on, size); break;
        case FD:
            name_of(pid, (long)argument[0], on, size);
            idle = argument[0] <= STDERR_FILENO;
            break;
        case OPEN:
            if (!opens_for_writing(argument[1])) return NULL;
            text_at(pid, argument[0], on, size);
            break;
        case OPEN_AT:
            if (!opens_for_writing(argument[2])) return NULL;
            path_at(pid, (int)argument[0], argument[1], on, size);
            break;
        case TWO:
        case TWO_AT:
            if (call->what == TWO) {
                text_at(pid, argument[0], from, sizeof from);
                text_at(pid, argument[1], to, sizeof to);
            } else {
                path_at(pid, (int)argument[0], argument[1], from, sizeof from);
                path_at(pid, (int)argument[2], argument[3], to, sizeof to);
            }
            snprintf(on, size, "%s -> %s", from, to);
            break;
        case EXEC: words_of(pid, argument[0], argument[1], on, size); break;
        case LOCK:
            if (argument[1] != F_SETLK && argument[1] != F_SETLKW && argument[1] != F_OFD_SETLK && argument[1] != F_OFD_SETLKW) return NULL;
            name_of(pid, (long)argument[0], on, size);
            break;
        case CLONE:
            if (argument[0] & CLONE_THREAD) return NULL;
            break;
        case WAIT:
            if (!is_ours) return NULL;
            idle = 1;
            break;
    }
    if (!is_ours) return call;
    if (idle && was_idle) return NULL;
    was_idle = idle;
    return call;
}

/* --- striking ----------------------------------------------------------------------------------------- */

static pid_t parent_of(pid_t pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[got] = 0;
    char *end = strrchr(text, ')');
    int parent = 0;
    if (!end || sscanf(end + 1, " %*c %d", &parent) != 1) return 0;
    return parent;
}

/* Whatever was started becomes our child when its parent dies, so nobody escapes. */
static void kill_all(void) {
    for (int quiet = 0; quiet < 3;) {
        int found = 0;
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        while (proc && (entry = readdir(proc))) {
            pid_t pid = atoi(entry->d_name), above = pid;
            while (above > 1 && above != getpid()) above = parent_of(above);
            if (pid > 1 && pid != getpid() && above == getpid()) {
                kill(pid, SIGKILL);
                found = 1;
            }
        }
        closedir(proc);
        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0) continue;
        if (found) quiet = 0;
        else quiet++;
        usleep(1000);
    }
}

/* At its entry: the call is not made, or of its bytes only half. */
static void refuse(pid_t pid, int error) {
    struct user_regs_struct registers;
    struct iovec all = { &registers, sizeof registers };
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all)) stop("registers");
#if defined(__x86_64__)
    if (error) registers.orig_rax = (unsigned long)-1;
    else registers.rdx = registers.rdx > 1 ? registers.rdx / 2 : 1;
#elif defined(__aarch64__)
    int no_call = -1;
    struct iovec call = { &no_call, sizeof no_call };
    if (error && ptrace(PTRACE_SETREGSET, pid, NT_ARM_SYSTEM_CALL, &call)) stop("registers");
    if (!error) registers.regs[2] = registers.regs[2] > 1 ? registers.regs[2] / 2 : 1;
#else
#error "which registers?"
#endif
    if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all)) stop("registers");
}

/* At its end: this is what the call came to. */
static void answer(pid_t pid, int error) {
    struct user_regs_struct registers;
    struct iovec all = { &registers, sizeof registers };
    if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &all)) stop("registers");
#if defined(__x86_64__)
    registers.rax = (unsigned long)-error;
#else
    registers.regs[0] = (unsigned long)-error;
#endif
    if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &all)) stop("registers");
}

/* --- the whole of it ---------------------------------------------------------------------------------- */

enum deed { POINTS, KILL, FAIL };
struct wish { enum deed deed; FILE *file; int on_ours, all, it, onwards, error; long number; };

static int thread_of_leader(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d", leader, pid);
    return access(path, F_OK) == 0;
}

/* Whether a later point fails, too: a full or broken disk does not mend itself. */
static int same_disk(const struct call *call, const char *on) {
    static const char state[] = "/var/lib/teleport-upgrade";
    return strncmp(on, state, sizeof state - 1) == 0 && call->what != LOCK && call->number != SYS_flock;
}

static void at_entry(pid_t pid, const struct __ptrace_syscall_info *info, const struct wish *wish) {
    static int struck;
    static char on[2 * PATH_MAX + 8];
    int status, is_ours = pid == leader || thread_of_leader(pid);
    const struct call *call = point(pid, info, is_ours, on, sizeof on);
    if (!call) return;
    long number = is_ours ? ++ours : ++theirs;
    int hit = wish->deed != POINTS && is_ours == wish->on_ours && number == wish->number;
    if (wish->deed == POINTS || hit) fprintf(wish->file, "%ld %s %s %s\n", number, is_ours ? "ours" : "theirs", call->name, on);
    if (wish->deed == FAIL && (hit || (struck && wish->onwards && is_ours && same_disk(call, on)))) {
        struck = 1;
        refuse(pid, wish->error);
        refused = wish->error ? pid : 0;
    }
    if (wish->deed != KILL || !hit) return;
    if (wish->it) {
        fflush(wish->file);
        kill(pid, SIGKILL);
        return;
    }
    fclose(wish->file);
    kill(leader, SIGKILL);
    if (wish->all) kill_all();
    else while (waitpid(-1, &status, __WALL) != leader || WIFSTOPPED(status)) continue;
    _exit(137); /* and let go of whoever else is traced */
}

static void watch(const struct wish *wish) {
    for (;;) {
        int status, signal = 0;
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0) stop("wait");
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (pid != leader) continue;
            fclose(wish->file);
            exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
        if (!WIFSTOPPED(status)) continue;
        int event = status >> 16;
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            struct __ptrace_syscall_info info;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) info.op = PTRACE_SYSCALL_INFO_NONE;
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
                at_entry(pid, &info, wish);
            } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && pid == refused) {
                answer(pid, wish->error);
                refused = 0;
            }
        } else if (event == PTRACE_EVENT_STOP && WSTOPSIG(status) != SIGTRAP) {
            ptrace(PTRACE_LISTEN, pid, NULL, NULL); /* stopped by a signal, and to stay so */
            continue;
        } else if (!event) {
            signal = WSTOPSIG(status);
        }
        ptrace(PTRACE_SYSCALL, pid, NULL, signal);
    }
}

static int usage(void) {
    fputs("usage: fate points FILE ours|all COMMAND... | fate kill FILE ours|theirs N alone|all|it COMMAND... | fate fail FILE N[+] ERROR COMMAND...\n", stderr);
    return 64;
}

int main(int argc, char **argv) {
    struct wish wish = { .deed = POINTS, .on_ours = 1 };
    int begin[2], at = 4;
    if (argc < 5) return usage();
    if (strcmp(argv[1], "kill") == 0 && argc > 6) {
        wish.deed = KILL;
        wish.on_ours = strcmp(argv[3], "ours") == 0;
        wish.number = atol(argv[4]);
        wish.all = strcmp(argv[5], "all") == 0;
        wish.it = strcmp(argv[5], "it") == 0;
        at = 6;
    } else if (strcmp(argv[1], "fail") == 0 && argc > 5) {
        wish.deed = FAIL;
        wish.number = atol(argv[3]);
        wish.onwards = strchr(argv[3], '+') != NULL;
        wish.error = -1;
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
            if (strcmp(argv[4], errors[i].name) == 0) wish.error = errors[i].number;
        if (wish.error < 0) return usage();
        at = 5;
    } else if (strcmp(argv[1], "points") == 0) {
        wish.on_ours = strcmp(argv[3], "ours") == 0;
    } else {
        return usage();
    }
    wish.file = fopen(argv[2], "we");
    if (!wish.file) stop(argv[2]);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) || pipe2(begin, O_CLOEXEC)) stop("begin");

    leader = fork();
    if (leader < 0) stop("fork");
    if (leader == 0) {
        char go;
        close(begin[1]);
        if (read(begin[0], &go, 1) < 0) _exit(125);
        execv(argv[at], argv + at);
        _exit(127);
    }
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACECLONE;
    if (!wish.on_ours) options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK;
    if (ptrace(PTRACE_SEIZE, leader, NULL, options)) stop("trace");
    /* Its first stop is the one at the end of execve. */
    close(begin[1]);
    close(begin[0]);
    watch(&wish);
}
