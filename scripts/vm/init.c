// SPDX-License-Identifier: MIT
// init: process 1 of the test VM. Makes the root writable (an overlay in memory over the host's own files),
// mounts what programs expect, runs one command and hands its output and status to scripts/vm/run through
// the first serial line. Built by scripts/vm/run with the system's C compiler; never installed.
//
// On the line, both ways, are frames: type (1 byte), length (3 bytes, little-endian), that many bytes.
//   from here: 'r' ready for input; 'a' the last input was taken; 'o', 'e' output; 'x' exit status (1 byte);
//              'f' why init failed
//   to here:   'i' input of the command, empty at its end; 'w' rows and columns (2 bytes each)
// The next input comes after 'a' only: this kernel's serial lines stop for good when their buffer of 4096 bytes
// fills up while nobody reads.
// The job is a file of strings that end with NUL: see read_job().
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { max_frame = 32768 };

static int line = -1; // the serial line to the runner

static void power_off(void) {
    sync();
    if (line >= 0) tcdrain(line);
    reboot(RB_POWER_OFF);
    _exit(1);
}

static void write_all(int fd, const void* data, size_t size) {
    const char* at = data;
    while (size > 0) {
        const ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        at += n;
        size -= (size_t)n;
    }
}

static void send_frame(char type, const void* data, size_t size) {
    unsigned char frame[4 + max_frame];
    frame[0] = (unsigned char)type;
    frame[1] = size & 0xff;
    frame[2] = size >> 8 & 0xff;
    frame[3] = size >> 16 & 0xff;
    if (size > 0) memcpy(frame + 4, data, size);
    write_all(line, frame, 4 + size);
}

static _Noreturn void die(const char* format, ...) {
    char text[512];
    va_list arguments;
    const int error = errno;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n >= 0 && (size_t)n < sizeof text)
        n += snprintf(text + n, sizeof text - (size_t)n, ": %s", strerror(error));
    fprintf(stderr, "init: %s\n", text);
    if (line >= 0) send_frame('f', text, strlen(text));
    power_off();
    _exit(1);
}

// --- The job ----------------------------------------------------------------------------------------------

struct job {
    char* text;
    size_t size, at;
    int use_pty;
    const char* directory;
    char** writable;
    char** environment;
    char** command;
};

static char* next_string(struct job* job) {
    if (job->at >= job->size) die("the job file is too short");
    char* text = job->text + job->at;
    job->at += strlen(text) + 1;
    return text;
}

static char** next_list(struct job* job) {
    const size_t count = strtoul(next_string(job), NULL, 10);
    char** list = calloc(count + 1, sizeof *list);
    if (!list) die("memory");
    for (size_t i = 0; i < count; ++i)
        list[i] = next_string(job);
    return list;
}

// "1" for a terminal, the directory, then three lists, each its count and its strings: writable directories,
// environment, command.
static struct job read_job(const char* path) {
    struct job job = {0};
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) die("reading %s", path);
    job.text = malloc((size_t)st.st_size + 1);
    if (!job.text) die("memory");
    while (job.size < (size_t)st.st_size) {
        const ssize_t n = read(fd, job.text + job.size, (size_t)st.st_size - job.size);
        if (n <= 0) die("reading %s", path);
        job.size += (size_t)n;
    }
    job.text[job.size] = 0;
    close(fd);
    job.use_pty = *next_string(&job) == '1';
    job.directory = next_string(&job);
    job.writable = next_list(&job);
    job.environment = next_list(&job);
    job.command = next_list(&job);
    return job;
}

// --- The system -------------------------------------------------------------------------------------------

static void must_mount(const char* type, const char* where, const char* data) {
    if (mount(type, where, type, 0, data) < 0) die("mounting %s on %s", type, where);
}

static void make_directories(const char* path) {
    char part[4096];
    for (size_t i = 1; i < sizeof part - 1; ++i) {
        if (path[i] == '/' || path[i] == 0) {
            memcpy(part, path, i);
            part[i] = 0;
            mkdir(part, 0755);
        }
        if (path[i] == 0) return;
    }
}

static void make_root(void) {
    static const char* const places[] = {"/mnt", "/tmp", "/var"};
    size_t i = 0;
    while (i < 3 && mount("tmpfs", places[i], "tmpfs", 0, "mode=755") < 0)
        ++i;
    if (i == 3) die("mounting a tmpfs for the overlay");
    if (chdir(places[i]) < 0) die("entering %s", places[i]);
    char options[128];
    snprintf(options, sizeof options, "lowerdir=/,upperdir=%s/u,workdir=%s/w", places[i], places[i]);
    if (mkdir("u", 0755) < 0 || mkdir("w", 0755) < 0 || mkdir("r", 0755) < 0) die("making the overlay");
    if (mount("overlay", "r", "overlay", 0, options) < 0) die("mounting the overlay");
    // pivot_root and not chroot: programs that make user namespaces are refused in a chroot.
    if (chdir("r") < 0 || syscall(SYS_pivot_root, ".", ".") < 0) die("entering the overlay");
    umount2(".", MNT_DETACH);
    if (chdir("/") < 0) die("entering /");
}

static void mount_all(void) {
    static const char* const directories[] = {"/proc", "/sys", "/dev", "/run", "/tmp"};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; ++i)
        mkdir(directories[i], 0755);
    must_mount("proc", "/proc", NULL);
    must_mount("sysfs", "/sys", NULL);
    must_mount("devtmpfs", "/dev", NULL);
    mkdir("/dev/pts", 0755);
    mkdir("/dev/shm", 01777);
    must_mount("devpts", "/dev/pts", "ptmxmode=666,mode=620");
    must_mount("tmpfs", "/dev/shm", "mode=1777");
    must_mount("tmpfs", "/run", "mode=755");
    must_mount("debugfs", "/sys/kernel/debug", NULL);
    must_mount("configfs", "/sys/kernel/config", NULL);
    make_directories("/run/user/0");
    make_directories("/run/lock");
    chmod("/run/user/0", 0700);
    if (symlink("/proc/self/fd", "/dev/fd") < 0 || symlink("/proc/self/fd/0", "/dev/stdin") < 0 ||
        symlink("/proc/self/fd/1", "/dev/stdout") < 0 || symlink("/proc/self/fd/2", "/dev/stderr") < 0)
        die("making /dev/fd");
}

static void loopback_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0) die("starting the loopback interface");
    close(fd);
}

static void open_line(void) {
    struct termios settings;
    line = open("/dev/ttyS0", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (line < 0) die("opening /dev/ttyS0");
    if (tcgetattr(line, &settings) < 0) die("reading the settings of /dev/ttyS0");
    cfmakeraw(&settings);
    if (tcsetattr(line, TCSANOW, &settings) < 0) die("setting /dev/ttyS0");
}

// --- The command ------------------------------------------------------------------------------------------

struct child {
    pid_t pid;
    int in, out, err; // our ends; -1: none. With a terminal, in and out are the terminal.
};

static _Noreturn void become_command(const struct job* job) {
    const struct rlimit files = {1024, 1 << 20};
    const struct rlimit core = {0, RLIM_INFINITY};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setrlimit(RLIMIT_NOFILE, &files);
    setrlimit(RLIMIT_CORE, &core);
    if (chdir(job->directory) < 0) {
        fprintf(stderr, "vm: cannot enter %s: %s\n", job->directory, strerror(errno));
        _exit(126);
    }
    environ = job->environment;
    execvp(job->command[0], job->command);
    fprintf(stderr, "vm: cannot run %s: %s\n", job->command[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

static struct child start_on_terminal(const struct job* job) {
    int terminal = -1;
    const pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (pid < 0) die("making a terminal");
    if (pid == 0) become_command(job);
    return (struct child){pid, terminal, terminal, -1};
}

static struct child start_on_pipes(const struct job* job) {
    int in[2], out[2], err[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        die("making pipes");
    const pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
        setsid();
        if (dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0) _exit(126);
        become_command(job);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    return (struct child){pid, in[1], out[0], err[0]};
}

// Sends what there is; false at the end of the stream.
static int forward(char type, int fd) {
    char data[max_frame];
    const ssize_t n = read(fd, data, sizeof data);
    if (n > 0) send_frame(type, data, (size_t)n);
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static int readable(int fd) {
    struct pollfd entry = {fd, POLLIN, 0};
    return fd >= 0 && poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

// Frames that arrive in pieces, and input that the command has not taken yet.
struct input {
    unsigned char data[4 + max_frame];
    size_t have;    // bytes of the frame at hand
    size_t written; // of its content, to the command
};

static size_t frame_size(const struct input* input) {
    if (input->have < 4) return 4;
    return 4 + ((size_t)input->data[1] | (size_t)input->data[2] << 8 | (size_t)input->data[3] << 16);
}

static int frame_complete(const struct input* input) {
    return input->have >= 4 && input->have == frame_size(input);
}

static void receive(struct input* input) {
    const size_t wanted = frame_size(input);
    if (wanted > sizeof input->data) die("a frame of %zu bytes", wanted);
    const ssize_t n = read(line, input->data + input->have, wanted - input->have);
    if (n > 0) input->have += (size_t)n;
}

static void close_input(struct child* child) {
    if (child->in >= 0 && child->in != child->out) close(child->in);
    child->in = -1;
}

// Handles a complete frame; leaves it in place while the command takes no more.
static void deliver(struct input* input, struct child* child) {
    const size_t size = input->have - 4;
    if (input->data[0] == 'w' && size == 4) {
        struct winsize window = {.ws_row = (unsigned short)(input->data[4] | input->data[5] << 8),
                                 .ws_col = (unsigned short)(input->data[6] | input->data[7] << 8)};
        ioctl(child->in, TIOCSWINSZ, &window);
    } else if (input->data[0] == 'i' && child->in >= 0) {
        if (size == 0) close_input(child);
        while (child->in >= 0 && input->written < size) {
            const ssize_t n = write(child->in, input->data + 4 + input->written, size - input->written);
            if (n < 0 && errno == EAGAIN) return;
            if (n < 0 && errno != EINTR) close_input(child);
            if (n > 0) input->written += (size_t)n;
        }
    }
    if (input->data[0] == 'i') send_frame('a', NULL, 0);
    input->have = input->written = 0;
}

// Reaps everybody (this is process 1); true when the command itself ended.
static int reap(pid_t command, int* status) {
    int ended = 0, one = 0;
    pid_t pid;
    while ((pid = waitpid(-1, &one, WNOHANG)) > 0) {
        if (pid != command) continue;
        *status = one;
        ended = 1;
    }
    return ended;
}

static int serve(struct child* child, int signals) {
    static struct input input;
    int status = 0, ended = 0;
    while (!ended) {
        const int full = frame_complete(&input);
        struct pollfd entries[] = {
            {signals, POLLIN, 0},
            {child->out, POLLIN, 0},
            {child->err, POLLIN, 0},
            {full ? -1 : line, POLLIN, 0},
            {full ? child->in : -1, POLLOUT, 0},
        };
        if (poll(entries, 5, -1) < 0) continue;
        if (entries[0].revents) {
            struct signalfd_siginfo info;
            if (read(signals, &info, sizeof info) > 0) ended = reap(child->pid, &status);
        }
        if (entries[1].revents && !forward('o', child->out)) child->out = -1;
        if (entries[2].revents && !forward('e', child->err)) child->err = -1;
        if (entries[3].revents) receive(&input);
        if (frame_complete(&input)) deliver(&input, child);
    }
    // What the command wrote before it ended lies in the pipes. What it left running is not waited for.
    while (readable(child->out) && forward('o', child->out)) {
    }
    while (readable(child->err) && forward('e', child->err)) {
    }
    return status;
}

int main(void) {
    const char* path = getenv("vm_job");
    if (getpid() != 1 || !path) {
        fprintf(stderr, "This is process 1 of the test VM: see scripts/vm/run.\n");
        return 2;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    const int signals = signalfd(-1, &set, SFD_CLOEXEC);
    const struct job job = read_job(path);
    make_root();
    mount_all();
    open_line();
    for (char** directory = job.writable; *directory; ++directory) {
        make_directories(*directory);
        must_mount("hostfs", *directory, *directory);
    }
    loopback_up();
    sethostname("vm", 2);
    struct child child = job.use_pty ? start_on_terminal(&job) : start_on_pipes(&job);
    send_frame('r', NULL, 0);
    const int status = serve(&child, signals);
    const unsigned char code =
        (unsigned char)(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    send_frame('x', &code, 1);
    power_off();
}
