// SPDX-License-Identifier: MIT
// The heaps on real devices: /dev/udmabuf, /dev/dma_heap/system, memfds and System V segments beside them.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include <share/buffer.hpp>
#include <share/heap.hpp>
#include <share/import.hpp>
#include <share/pool.hpp>

#include "process.hpp"
#include "unchanged.hpp"

using namespace share;
using namespace std::chrono_literals;

namespace {

Heap& heap(const std::string& name) {
    static const HeapTable table = HeapTable::probe();
    auto found = table.find(name);
    if (!found) FAIL(found.error().text());
    return **found;
}

std::shared_ptr<Buffer> buffer_of(const std::string& name, std::uint32_t width = 64,
                                  std::uint32_t height = 48) {
    auto layout = Layout::linear(width, height, format::xrgb8888);
    REQUIRE(layout);
    auto memory = heap(name).allocate(layout->size(), "vm test");
    if (!memory) FAIL(memory.error().text());
    auto buffer = Buffer::create(*memory, 0, *layout);
    REQUIRE(buffer);
    return *buffer;
}

void fill(Buffer& buffer, unsigned value) {
    auto mapping = buffer.map(Access::write, Deadline::in(1s));
    REQUIRE(mapping);
    for (std::uint32_t y = 0; y < buffer.layout().height(); ++y)
        std::memset(mapping->row(0, y).data(), static_cast<int>(value + y), mapping->row(0, y).size());
    REQUIRE(mapping->end());
}

bool filled(const std::byte* bytes, const Layout& layout, unsigned value) {
    for (std::uint32_t y = 0; y < layout.height(); ++y) {
        const std::byte* row = bytes + std::size_t{layout.plane(0).stride} * y;
        for (std::size_t x = 0; x < layout.row_bytes(0); ++x)
            if (row[x] != static_cast<std::byte>(value + y)) return false;
    }
    return true;
}

void send_fd(int socket, int fd) {
    char byte = 0;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    REQUIRE(sendmsg(socket, &message, 0) == 1);
}

UniqueFd receive_fd(int socket) {
    char byte = 0;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    iovec part{&byte, 1};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) return {};
    auto* header = CMSG_FIRSTHDR(&message);
    int fd = -1;
    if (header) std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return UniqueFd(fd);
}

/// What the other process found, told by its exit status.
enum Found : int { all_right = 0, no_fd, not_imported, other_kind, other_inode, other_bytes, no_view };

int import_and_answer(int socket, Inode inode, MemoryKind kind, const Layout& layout) {
    UniqueFd fd = receive_fd(socket);
    if (!fd) return no_fd;
    if (auto there = inode_of(fd.get()); !there || !(*there == inode)) return other_inode;
    auto memory = import_fd(std::move(fd), {.min_size = layout.size(), .need_write = true});
    if (!memory) return not_imported;
    if ((*memory)->traits().kind != kind) return other_kind;
    auto buffer = Buffer::create(*memory, 0, layout);
    if (!buffer) return not_imported;
    auto mapping = (*buffer)->map(Access::read_write, Deadline::in(5s));
    if (!mapping) return no_view;
    if (!filled(mapping->row(0, 0).data(), layout, 7)) return other_bytes;
    for (std::uint32_t y = 0; y < layout.height(); ++y)
        std::memset(mapping->row(0, y).data(), static_cast<int>(90 + y), mapping->row(0, y).size());
    return mapping->end() ? all_right : no_view;
}

template<class F>
int in_child(F work) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) _exit(work());
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A module parameter, put back at the end.
class Parameter {
public:
    explicit Parameter(std::string path) : path_(std::move(path)), old_(read()) {}
    ~Parameter() { write(old_); }
    std::string read() const {
        std::ifstream file(path_);
        std::string value;
        REQUIRE(file >> value);
        return value;
    }
    void write(const std::string& value) const { std::ofstream(path_) << value << std::flush; }

private:
    std::string path_, old_;
};

constexpr const char* size_limit = "/sys/module/udmabuf/parameters/size_limit_mb";

} // namespace

TEST_CASE("/dev/udmabuf and /dev/dma_heap/system: the heaps are in the table, in order, and usable",
          "[heaps]") {
    const testing::Unchanged unchanged;
    const HeapTable table = HeapTable::probe();
    std::vector<std::string> names;
    for (const auto& entry : table.entries()) {
        INFO(entry.name << ": " << entry.reason.text());
        const bool huge = entry.name.starts_with("memfd-huge"); // this kernel has none, and says so
        CHECK((entry.heap != nullptr) == !huge);
        if (!huge) names.push_back(entry.name);
    }
    CHECK(names == std::vector<std::string>{"udmabuf", "memfd", "sysv", "dma-heap:system"});
}

TEST_CASE("memory of every heap is written inside a bracket and read back, and goes when it is dropped",
          "[heaps]") {
    const auto name = GENERATE(as<std::string>{}, "memfd", "udmabuf", "sysv", "dma-heap:system");
    INFO(name);
    heap(name); // the table's own fds are not the test's
    const testing::Unchanged unchanged;
    auto buffer = buffer_of(name);
    CHECK(buffer->memory()->heap() == name);
    CHECK(buffer->memory()->size() % 4096 == 0);
    fill(*buffer, 1);
    auto mapping = buffer->map(Access::read, Deadline::in(1s));
    REQUIRE(mapping);
    CHECK(filled(mapping->row(0, 0).data(), buffer->layout(), 1));
    CHECK_FALSE(heap(name).allocate(0, "nothing"));
    CHECK_FALSE(heap(name).allocate(UINT64_MAX, "everything"));
}

TEST_CASE("another process imports the same inode and bytes are seen both ways", "[heaps][import]") {
    const auto name = GENERATE(as<std::string>{}, "memfd", "udmabuf", "dma-heap:system");
    INFO(name);
    heap(name);
    const testing::Unchanged unchanged;
    auto buffer = buffer_of(name);
    fill(*buffer, 7);
    const bool real = name != "memfd";
    auto dmabuf = buffer->export_dmabuf();
    auto memfd = buffer->export_memfd();
    REQUIRE((real ? dmabuf.ok() : memfd.ok()));
    const int fd = real ? dmabuf->fd() : memfd->fd.get();
    const auto inode = inode_of(fd);
    REQUIRE(inode);
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    const UniqueFd ours(pair[0]), theirs(pair[1]);
    send_fd(ours.get(), fd);
    CHECK(in_child([&] {
              return import_and_answer(theirs.get(), *inode, real ? MemoryKind::dmabuf : MemoryKind::memfd,
                                       buffer->layout());
          }) == all_right);
    auto mapping = buffer->map(Access::read, Deadline::in(1s));
    REQUIRE(mapping);
    CHECK(filled(mapping->row(0, 0).data(), buffer->layout(), 90));
}

TEST_CASE("another process attaches a System V segment by its id and bytes are seen both ways",
          "[heaps][sysv]") {
    heap("sysv");
    const testing::Unchanged unchanged;
    auto buffer = buffer_of("sysv");
    fill(*buffer, 7);
    auto handle = buffer->export_sysv();
    REQUIRE(handle);
    CHECK(in_child([&] {
              auto memory = import_sysv(handle->shmid, {.min_size = buffer->layout().size()});
              if (!memory) return not_imported;
              auto view = (*memory)->view(Access::read_write);
              if (!view) return no_view;
              if (!filled(view->data(), buffer->layout(), 7)) return other_bytes;
              (*view)[0] = std::byte{200};
              return all_right;
          }) == all_right);
    auto mapping = buffer->map(Access::read, Deadline::in(1s));
    REQUIRE(mapping);
    CHECK(mapping->row(0, 0)[0] == std::byte{200});
    CHECK_FALSE(buffer->export_dmabuf());
}

TEST_CASE("/dev/udmabuf: the memfd keeps its size while a dma-buf of it lives", "[heaps][udmabuf]") {
    heap("udmabuf");
    const testing::Unchanged unchanged;
    auto buffer = buffer_of("udmabuf");
    auto handle = buffer->export_dmabuf();
    REQUIRE(handle);
    const int fd = buffer->memory()->fd();
    constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW,
                  write_seals = F_SEAL_WRITE | 0x10 /* FUTURE_WRITE */;
    CHECK((fcntl(fd, F_GET_SEALS) & (size_seals | write_seals | F_SEAL_SEAL)) == (size_seals | F_SEAL_SEAL));
    CHECK(ftruncate(fd, 0) < 0);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) < 0);
    CHECK(lseek(handle->fd(), 0, SEEK_END) == static_cast<off_t>(buffer->memory()->size()));
}

TEST_CASE("/dev/udmabuf: a dma-buf of a part of the memory is that part, page by page", "[heaps][udmabuf]") {
    heap("udmabuf");
    const testing::Unchanged unchanged;
    auto memory = heap("udmabuf").allocate(8 * 4096, "parts");
    REQUIRE(memory);
    auto part = (*memory)->export_dmabuf(2 * 4096, 3 * 4096);
    REQUIRE(part);
    CHECK(verify_same_pages((*memory)->fd(), 2 * 4096, part->get(), 3 * 4096));
    auto shifted = verify_same_pages((*memory)->fd(), 4096, part->get(), 3 * 4096);
    REQUIRE_FALSE(shifted);
    CHECK(shifted.error().code == Code::corrupt);
    CHECK_FALSE((*memory)->export_dmabuf(100, 4096));
    CHECK_FALSE((*memory)->export_dmabuf(7 * 4096, 2 * 4096));
}

TEST_CASE("a dma-buf bears its name in fdinfo and in the kernel's list of all", "[heaps][names]") {
    heap("udmabuf");
    const testing::Unchanged unchanged;
    SECTION("/dev/dma_heap/system: the name that it was allocated under") {
        auto memory = heap("dma-heap:system").allocate(4096, "camera frames");
        REQUIRE(memory);
        CHECK(testing::fdinfo((*memory)->fd(), "name") == "camera frames");
        CHECK(testing::fdinfo((*memory)->fd(), "exp_name") == "system");
    }
    SECTION("/dev/udmabuf: the inode of its memfd, which joins the two views") {
        auto buffer = buffer_of("udmabuf");
        auto handle = buffer->export_dmabuf();
        REQUIRE(handle);
        const auto inode = inode_of(buffer->memory()->fd());
        REQUIRE(inode);
        const std::string name = "memfd:" + std::to_string(inode->number) + "+0x0";
        CHECK(testing::fdinfo(handle->fd(), "name") == name);
        const auto all = testing::all_dmabufs();
        const auto own = inode_of(handle->fd());
        REQUIRE(own);
        CHECK(std::any_of(all.begin(), all.end(), [&](const testing::DmabufInfo& info) {
            return info.name == name && info.inode == own->number && info.size == buffer->memory()->size();
        }));
    }
}

TEST_CASE("/dev/udmabuf: a buffer over size_limit_mb is refused by the limit's name, value and place",
          "[heaps][limits]") {
    heap("udmabuf");
    const testing::Unchanged unchanged;
    const Parameter limit(size_limit);
    limit.write("3");
    auto memory = heap("udmabuf").allocate(4 << 20U, "too large"); // sparse: nothing is touched
    REQUIRE(memory);
    auto refused = (*memory)->export_dmabuf(0, (*memory)->size());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::limit);
    const auto text = refused.error().text();
    INFO(text);
    CHECK(text.find("4194304 bytes") != std::string::npos);
    CHECK(text.find("size_limit_mb = 3") != std::string::npos);
    CHECK(text.find(size_limit) != std::string::npos);
    // As much as the limit allows is fine, and so is all of it once the limit was raised there.
    CHECK((*memory)->export_dmabuf(0, 3 << 20U));
    limit.write("4");
    CHECK((*memory)->export_dmabuf(0, (*memory)->size()));
}

TEST_CASE("/dev/udmabuf: list_limit is no limit of ours, because each dma-buf is one range of one memfd",
          "[heaps][limits]") {
    heap("udmabuf");
    const testing::Unchanged unchanged;
    const Parameter limit("/sys/module/udmabuf/parameters/list_limit");
    limit.write("0");
    CHECK(limit.read() == "0");
    auto layout = Layout::linear(64, 64, format::xrgb8888);
    REQUIRE(layout);
    auto pool = Pool::create(heap("udmabuf"), *layout, 64, "many");
    REQUIRE(pool);
    std::vector<DmabufHandle> handles;
    for (std::uint32_t i = 0; i < pool->slot_count(); ++i) {
        auto handle = pool->buffer(i)->export_dmabuf();
        REQUIRE(handle);
        handles.push_back(std::move(*handle));
    }
    CHECK(testing::all_dmabufs().size() >= 64);
}

TEST_CASE("/dev/dma_heap/system: more than the machine has is refused, and the heap goes on",
          "[heaps][limits]") {
    heap("dma-heap:system");
    const testing::Unchanged unchanged;
    auto refused = heap("dma-heap:system").allocate(1ULL << 40U, "a terabyte");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::out_of_memory);
    CHECK(refused.error().text().find("dma-heap:system") != std::string::npos);
    CHECK(heap("dma-heap:system").allocate(4096, "a page"));
}

TEST_CASE("/dev/udmabuf: the self-test accepts what is the same and refuses a memfd with a punched hole",
          "[heaps][self-test]") {
    heap("udmabuf");
    const testing::Unchanged unchanged;
    auto memory = heap("udmabuf").allocate(8 * 4096, "holes");
    REQUIRE(memory);
    auto view = (*memory)->view(Access::read_write);
    REQUIRE(view);
    for (std::size_t i = 0; i < view->size(); ++i)
        (*view)[i] = static_cast<std::byte>(i * 31);
    auto dmabuf = (*memory)->export_dmabuf(0, (*memory)->size());
    REQUIRE(dmabuf);
    REQUIRE(verify_same_pages((*memory)->fd(), 0, dmabuf->get(), (*memory)->size()));
    CHECK(std::all_of(view->begin(), view->end(), [&](const std::byte& b) {
        return b == static_cast<std::byte>(static_cast<std::size_t>(&b - view->data()) * 31);
    }));
    // The dma-buf keeps the old page, the memfd gets a new one.
    REQUIRE(fallocate((*memory)->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5 * 4096, 4096) == 0);
    auto refused = verify_same_pages((*memory)->fd(), 0, dmabuf->get(), (*memory)->size());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::corrupt);
    CHECK(refused.error().text().find("byte 20480 on") != std::string::npos);
    CHECK(verify_same_pages((*memory)->fd(), 0, dmabuf->get(), 5 * 4096));
    CHECK((*view)[5 * 4096] == std::byte{0}); // and nothing was left behind
}

TEST_CASE("a memfd that was never a dma-buf is told from one that is", "[heaps][import]") {
    heap("udmabuf");
    const testing::Unchanged unchanged;
    auto buffer = buffer_of("udmabuf");
    auto handle = buffer->export_dmabuf();
    REQUIRE(handle);
    auto real = inspect_fd(handle->fd());
    auto plain = inspect_fd(buffer->memory()->fd());
    REQUIRE((real && plain));
    CHECK(real->kind == MemoryKind::dmabuf);
    CHECK(plain->kind == MemoryKind::memfd);
    CHECK(real->size == plain->size);
    CHECK_FALSE(real->inode == plain->inode);
    auto refused = import_fd(UniqueFd(dup(buffer->memory()->fd())), {.accept_memfd = false});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    CHECK(refused.error().text().find("takes dma-bufs only") != std::string::npos);
    CHECK(import_fd(UniqueFd(dup(handle->fd())), {.accept_memfd = false}));
    auto imported = import_fd(UniqueFd(dup(handle->fd())));
    REQUIRE(imported);
    auto other = Buffer::create(*imported, 0, buffer->layout());
    REQUIRE(other);
    CHECK_FALSE((*other)->export_memfd());
}

TEST_CASE("/dev/udmabuf and /dev/dma_heap/system: an ordinary user is told who may open them", "[heaps]") {
    const testing::Unchanged unchanged;
    int pipe_fds[2];
    REQUIRE(pipe2(pipe_fds, O_CLOEXEC) == 0);
    UniqueFd out(pipe_fds[0]), in(pipe_fds[1]);
    CHECK(in_child([&] {
              if (setgid(65534) != 0 || setuid(65534) != 0) return 1;
              std::string text;
              const HeapTable table = HeapTable::probe();
              for (const auto& entry : table.entries())
                  text += entry.name + "=" + (entry.heap ? "there" : entry.reason.text()) + "\n";
              return write(in.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 2;
          }) == 0);
    in.reset();
    std::string text(4096, '\0');
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(out.get(), text.data(), text.size()))));
    INFO(text);
    CHECK(text.find("memfd=there") != std::string::npos);
    CHECK(text.find("udmabuf=opening /dev/udmabuf: join its group") != std::string::npos);
    CHECK(text.find("dma-heap:system=opening /dev/dma_heap/system: root-only on most systems") !=
          std::string::npos);
}
