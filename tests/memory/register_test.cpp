// SPDX-License-Identifier: MIT
// Registration: what comes from outside is held against a party's needs when it comes in, and what is no
// memory is refused by its name, with what to do instead.
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <sstream>

#include <share/import.hpp>

#include "process.hpp"

using namespace share;

namespace {

constexpr std::uint64_t page = 4096;
constexpr int no_shrinking = F_SEAL_SHRINK, read_only = F_SEAL_SHRINK | 0x10 /* F_SEAL_FUTURE_WRITE */;

UniqueFd memfd(std::uint64_t size, int seals = no_shrinking) {
    UniqueFd fd(memfd_create("peer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(fd);
    REQUIRE(ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    REQUIRE(fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    return fd;
}

/// The text of the refusal; the fd is gone then.
std::string refusal(UniqueFd fd, Code code = Code::unsupported) {
    REQUIRE(fd);
    const int number = fd.get();
    auto memory = import_fd(std::move(fd), {.accept_shrinkable = true});
    REQUIRE_FALSE(memory);
    CHECK(memory.error().code == code);
    CHECK(fcntl(number, F_GETFD) < 0);
    return memory.error().text();
}
std::string refusal(int fd, Code code = Code::unsupported) {
    return refusal(UniqueFd(fd), code);
}

bool says(const std::string& text, std::string_view word) {
    INFO(text);
    CHECK(text.find(word) != std::string::npos);
    return text.find(word) != std::string::npos;
}

std::string unmet_text(const Requirements& party, UniqueFd fd, const Registration& told = {}) {
    auto memory = import_fd(party, std::move(fd), told);
    if (memory) return "registered";
    CHECK(memory.error().code == Code::unsupported);
    return memory.error().text();
}

/// The file behind a mapping of ours, as one with the right to trace reaches a stranger's.
UniqueFd map_file(const void* address, std::size_t size) {
    std::ostringstream path;
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    path << "/proc/self/map_files/" << std::hex << begin << '-' << begin + size;
    return UniqueFd(open(path.str().c_str(), O_RDWR | O_CLOEXEC));
}

Layout picture(std::uint32_t stride_align = 4) {
    auto layout =
        Layout::linear(100, 10, format::xrgb8888, {.stride_align = stride_align, .offset_align = 1});
    REQUIRE(layout);
    return *layout;
}

} // namespace

TEST_CASE("kernel objects that are no memory are refused by name, with what to give instead", "[register]") {
    const auto before = testing::count_fds();
    says(refusal(epoll_create1(EPOLL_CLOEXEC)), "eventpoll");
    says(refusal(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)), "timerfd");
    says(refusal(inotify_init1(IN_CLOEXEC)), "inotify");
    sigset_t none;
    sigemptyset(&none);
    says(refusal(signalfd(-1, &none, SFD_CLOEXEC)), "signalfd");
    if (const int self = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)); self >= 0)
        says(refusal(self), "anonymous kernel object");
    const auto device = refusal(open("/dev/null", O_RDWR | O_CLOEXEC));
    says(device, "a character device (/dev/null)");
    says(device, "give a dma-buf, a memfd");
    says(refusal(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), "directory");
    says(refusal(open("/proc/self/status", O_RDONLY | O_CLOEXEC)), "a file of /proc");
    const auto memory = refusal(open("/proc/self/mem", O_RDWR | O_CLOEXEC));
    says(memory, "a process's memory as a file");
    says(memory, "let it give a memfd");
    CHECK(testing::count_fds() == before);
}

TEST_CASE("a file of a disk is refused by its file system, with the way into memory", "[register]") {
    std::string path;
    for (const std::string folder : {".", "/var/tmp", "/usr"}) {
        struct statfs fs{};
        if (statfs(folder.c_str(), &fs) == 0 && fs.f_type != 0x01021994) {
            path = folder;
            break;
        }
    }
    if (path.empty()) SKIP("everything here lies on tmpfs");
    UniqueFd file(open(path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (!file) file.reset(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    struct statfs fs{};
    REQUIRE(fstatfs(file.get(), &fs) == 0);
    const auto text = refusal(std::move(file));
    if (fs.f_type == 0xef53) says(text, "a file of a disk (ext2, ext3 or ext4)");
    says(text, "copy it into a memfd");
}

TEST_CASE("a name that a stranger chose comes into the text without control characters", "[register]") {
    const testing::TempDir dir;
    const std::string path = dir / "a\x1b[31m\nb";
    if (mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0) SKIP("only root can give a device a name");
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!fd) SKIP("no devices can be opened in temporary folders here");
    const auto text = refusal(std::move(fd));
    says(text, "a?[31m?b");
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
}

TEST_CASE("secret memory is refused as what it is", "[register]") {
#ifdef SYS_memfd_secret
    const int fd = static_cast<int>(syscall(SYS_memfd_secret, O_CLOEXEC));
    if (fd < 0) SKIP("this kernel makes no secret memory (memfd_secret)");
    REQUIRE(ftruncate(fd, page) == 0);
    says(refusal(fd), "memfd_secret");
#else
    SKIP("these headers know no memfd_secret");
#endif
}

TEST_CASE("another process's mapping is refused, also when it is shared memory", "[register]") {
    void* const anonymous = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(anonymous != MAP_FAILED);
    if (auto fd = map_file(anonymous, page))
        says(refusal(std::move(fd)), "another process's anonymous mapping");
    else
        WARN("/proc/PID/map_files can be opened by root only");
    munmap(anonymous, page);
    const int id = shmget(IPC_PRIVATE, page, IPC_CREAT | 0600);
    REQUIRE(id >= 0);
    void* const segment = shmat(id, nullptr, 0);
    shmctl(id, IPC_RMID, nullptr);
    REQUIRE(segment != reinterpret_cast<void*>(-1));
    if (auto fd = map_file(segment, page)) {
        const auto text = refusal(std::move(fd));
        says(text, "the System V segment " + std::to_string(id));
        says(text, "import_sysv");
    }
    shmdt(segment);
}

TEST_CASE("a party that needs nothing takes any memory on the list, and its writing needs a writable one",
          "[register]") {
    const auto before = testing::count_fds();
    {
        auto any = import_fd(Requirements{}, memfd(page));
        REQUIRE(any);
        CHECK((*any)->size() == page);
        const Requirements writer{.party = "painter", .cpu_write = Pattern::sequential};
        CHECK(import_fd(writer, memfd(page)));
        auto refused = import_fd(writer, memfd(page, read_only));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::denied);
        CHECK_FALSE(import_fd(Requirements{}, memfd(page, F_SEAL_GROW))); // it can shrink
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("each need that memory does not meet is named, with what the memory is like", "[register]") {
    const auto before = testing::count_fds();
    says(unmet_text({.party = "camera", .size_align = 8192}, memfd(page)), "a multiple of 8192; it has 4096");
    says(unmet_text({.party = "camera", .contiguous = true}, memfd(page)),
         "camera needs physically contiguous");
    says(unmet_text({.party = "camera", .page_size = 2 << 20U}, memfd(page)), "its pages have 4096 bytes");
    says(unmet_text({.party = "encoder", .cache = CacheChoice::write_combined}, memfd(page)), "it is cached");
    says(unmet_text({.party = "GPU", .handles = Exports::dmabuf}, memfd(page)), "given on as memfd only");
    says(unmet_text({.party = "GPU", .heaps = {"dma-heap:*"}}, memfd(page)), "it is of the heap memfd");
    says(unmet_text({.party = "GPU", .place = Place::device, .place_device = "/dev/dri/card0"}, memfd(page)),
         "it is system memory");
    says(unmet_text({.party = "viewer", .read_only_to_peers = true}, memfd(page)), "F_SEAL_FUTURE_WRITE");
    CHECK(unmet_text({.party = "viewer", .read_only_to_peers = true}, memfd(page, read_only)) ==
          "registered");
    CHECK(unmet_text({.party = "GPU", .heaps = {"memfd"}, .cache = CacheChoice::cached}, memfd(page)) ==
          "registered");
    CHECK(unmet_text({.party = "GPU", .place = Place::device, .place_device = "x"}, memfd(page),
                     {.device = "x"}) == "registered");
    CHECK(testing::count_fds() == before);
}

TEST_CASE("a range must lie inside and begin where the party can begin", "[register]") {
    const Requirements party{.party = "camera", .offset_align = 4096};
    CHECK(import_fd(party, memfd(3 * page), {.range = {page, 2 * page}}));
    auto beyond = import_fd(party, memfd(3 * page), {.range = {page, 2 * page + 1}});
    REQUIRE_FALSE(beyond);
    CHECK(beyond.error().code == Code::invalid_argument);
    CHECK_FALSE(import_fd(party, memfd(3 * page), {.range = {UINT64_MAX, 2}}));
    says(unmet_text(party, memfd(3 * page), {.range = {64, 64}}), "it begins at byte 64");
}

TEST_CASE("memory for devices only has no CPU mapping here", "[register]") {
    auto memory = import_fd(Requirements{.party = "display", .device_only = true}, memfd(page));
    REQUIRE(memory);
    CHECK_FALSE((*memory)->view(Access::read));
}

TEST_CASE("a picture is registered with its strides and offsets, or refused by the first that does not fit",
          "[register]") {
    const auto before = testing::count_fds();
    {
        const Requirements display{.party = "display", .stride_align = 256, .offset_align = 256};
        auto good = import_buffer(display, memfd(4 * page), picture(256), {.range = {.offset = page}});
        REQUIRE(good);
        CHECK((*good)->offset() == page);
        auto stride = import_buffer(display, memfd(4 * page), picture());
        REQUIRE_FALSE(stride);
        says(stride.error().text(), "display needs a stride that is a multiple of 256");
        says(stride.error().text(), "stride 400");
        auto offset = import_buffer(display, memfd(4 * page), picture(256), {.range = {.offset = 16}});
        REQUIRE_FALSE(offset);
        auto small = import_buffer(display, memfd(page), picture(256));
        REQUIRE_FALSE(small);
        CHECK(small.error().code == Code::invalid_argument);
        Requirements format = display;
        format.formats = {{.pair = {format::nv12, modifier::linear}}};
        auto other = import_buffer(format, memfd(4 * page), picture(256));
        REQUIRE_FALSE(other);
        says(other.error().text(), "XR24");
        Requirements tiny = display;
        tiny.max_width = 64;
        CHECK_FALSE(import_buffer(tiny, memfd(4 * page), picture(256)));
    }
    CHECK(testing::count_fds() == before);
}

TEST_CASE("a System V segment is held against the needs too", "[register]") {
    const int id = shmget(IPC_PRIVATE, page, IPC_CREAT | 0600);
    REQUIRE(id >= 0);
    CHECK(import_sysv(Requirements{.party = "old X server", .handles = Exports::sysv}, id));
    auto refused = import_sysv(Requirements{.party = "GPU", .handles = Exports::dmabuf}, id);
    REQUIRE_FALSE(refused);
    says(refused.error().text(), "sysv only");
    CHECK_FALSE(import_sysv(Requirements{.party = "display", .device_only = true}, id));
    shmctl(id, IPC_RMID, nullptr);
}

TEST_CASE("the kernel's word for the exporter of a dma-buf counts: what is known of its heap is known",
          "[register][vm]") {
    const UniqueFd device(open("/dev/udmabuf", O_RDWR | O_CLOEXEC));
    if (!device) SKIP("no /dev/udmabuf");
    auto table = HeapTable::probe();
    auto heap = table.find("udmabuf");
    REQUIRE(heap);
    auto memory = (*heap)->allocate(page, "frames");
    REQUIRE(memory);
    const auto dmabuf = [&] {
        auto fd = (*memory)->export_dmabuf(0, page);
        REQUIRE(fd);
        return *std::move(fd);
    };
    auto imported =
        import_fd(Requirements{.party = "GPU", .heaps = {"udmabuf"}, .handles = Exports::dmabuf}, dmabuf());
    REQUIRE(imported);
    CHECK((*imported)->traits().contiguous == Tristate::no);
    CHECK((*imported)->traits().cache == CachePolicy::cached);
    says(unmet_text({.party = "camera", .contiguous = true}, dmabuf()), "scattered over many pages");
    CHECK(unmet_text({.party = "GPU", .place = Place::system}, dmabuf()) == "registered");
    auto system = table.find("dma-heap:system");
    if (!system) SKIP(system.error().text());
    auto from_heap = (*system)->allocate(page, "exp_name:\tudmabuf");
    REQUIRE(from_heap);
    const auto copy = [&] { return UniqueFd(fcntl((*from_heap)->fd(), F_DUPFD_CLOEXEC, 3)); };
    CHECK(inspect_fd((*from_heap)->fd())->exporter == "system"); // whatever it calls itself
    CHECK(unmet_text({.party = "GPU", .heaps = {"dma-heap:*"}}, copy()) == "registered");
    says(unmet_text({.party = "camera", .contiguous = true}, copy()), "scattered over many pages");
}
