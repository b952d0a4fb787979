// SPDX-License-Identifier: MIT
// share-info --process: the buffers of a process, how much of them is pinned, and who else has them.
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <catch2/catch_test_macros.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <share/buffer.hpp>
#include <share/heap.hpp>

#include "../../tools/share-info/proc.hpp"
#include "json_schema.hpp"
#include "process.hpp"

using nlohmann::json;
using share::UniqueFd;

namespace {

constexpr std::uint64_t page = 4096;

testing::Finished share_info(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), testing::built("tools/share-info/share-info"));
    return testing::run({.env = {}, .args = std::move(arguments), .keep_fds = {}});
}

/// The section of these processes; checked against the schema.
json processes(const std::vector<pid_t>& pids) {
    std::vector<std::string> arguments{"--json"};
    for (const auto pid : pids)
        arguments.push_back("--process=" + std::to_string(pid));
    const auto done = share_info(std::move(arguments));
    INFO(done.out << done.err);
    REQUIRE(done.status == 0);
    CHECK(done.err.empty());
    const auto parsed = json::parse(done.out);
    std::ifstream schema(std::string(std::getenv("SHARE_SOURCE_ROOT")) + "/docs/share-info.schema.json");
    for (const auto& error : testing::schema_errors(json::parse(schema), parsed))
        FAIL_CHECK(error);
    CHECK(parsed.size() == 3); // with version and share_info: no other section was asked for
    return parsed.at("processes");
}

json process(pid_t pid) {
    const auto list = processes({pid}).at("list");
    REQUIRE(list.size() == 1);
    return list.at(0);
}

json buffer_of(const json& process, const char* kind, std::uint64_t inode) {
    REQUIRE(process.at("available") == true);
    for (const auto& buffer : process.at("buffers"))
        if (buffer.at("kind") == kind && buffer.at("inode") == inode) return buffer;
    FAIL("no " << kind << ' ' << inode << " in " << process.dump(1));
    return {};
}

UniqueFd memfd(const char* name, std::uint64_t size) {
    UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(fd);
    REQUIRE(ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    return fd;
}

std::uint64_t inode(int fd) {
    const auto found = share::inode_of(fd);
    REQUIRE(found);
    return found->number;
}

/// A child that has what we have at the fork, and then sleeps until its end.
class Twin {
public:
    template<class Begin>
    explicit Twin(Begin begin) {
        int ready[2];
        REQUIRE(pipe2(ready, O_CLOEXEC) == 0);
        pid_ = fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            prctl(PR_SET_NAME, "twin");
            begin();
            (void)!write(ready[1], "", 1);
            for (;;)
                pause();
        }
        char byte = 0;
        CHECK(read(ready[0], &byte, 1) == 1);
        close(ready[0]);
        close(ready[1]);
    }
    Twin(const Twin&) = delete;
    Twin& operator=(const Twin&) = delete;
    ~Twin() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    pid_t pid() const { return pid_; }

private:
    pid_t pid_ = -1;
};

json holder(const json& buffer, pid_t pid) {
    for (const auto& other : buffer.at("attached"))
        if (other.at("pid") == pid) return other;
    return nullptr;
}

} // namespace

TEST_CASE("--process tells a memfd's size, what of it exists, how it is held, and who else has it") {
    const auto fd = memfd("frames", 4 * page);
    void* const view = mmap(nullptr, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    REQUIRE(view != MAP_FAILED);
    std::memset(view, 1, page);
    const Twin twin([&] { munmap(view, 4 * page); });
    const auto buffer = buffer_of(process(getpid()), "memfd", inode(fd.get()));
    CHECK(buffer.at("name") == "frames");
    CHECK(buffer.at("heap") == "memfd");
    CHECK(buffer.at("size") == 4 * page);
    CHECK(buffer.at("resident") == page);
    CHECK(buffer.at("pinned") == 0);
    CHECK(buffer.at("fds") == json::array({fd.get()}));
    CHECK(buffer.at("mapped") == 4 * page);
    const auto other = holder(buffer, twin.pid());
    REQUIRE(other.is_object());
    CHECK(other.at("name") == "twin");
    CHECK(other.at("by") == json::array({"fd"}));
    const auto theirs = buffer_of(process(twin.pid()), "memfd", inode(fd.get()));
    CHECK(theirs.at("mapped") == 0);
    CHECK(holder(theirs, getpid()).at("by") == json::array({"fd", "mapping"}));
    munmap(view, 4 * page);
}

TEST_CASE(
    "--process joins the mapping of a memfd whose fd is closed, and a System V segment, to their holders") {
    auto fd = memfd("closed", 2 * page);
    const auto number = inode(fd.get());
    void* const view = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
    REQUIRE(view != MAP_FAILED);
    fd.reset();
    const int id = shmget(IPC_PRIVATE, 3 * page, IPC_CREAT | 0600);
    REQUIRE(id >= 0);
    auto* const segment = static_cast<char*>(shmat(id, nullptr, 0));
    shmctl(id, IPC_RMID, nullptr);
    REQUIRE(segment != reinterpret_cast<char*>(-1));
    segment[0] = 1;
    const Twin twin([] {});
    const auto us = process(getpid());
    const auto mapped = buffer_of(us, "memfd", number);
    CHECK(mapped.at("mapped") == 2 * page);
    CHECK(mapped.at("size") == 2 * page);
    CHECK(mapped.at("fds").empty());
    CHECK(holder(mapped, twin.pid()).at("by") == json::array({"mapping"}));
    const auto sysv = buffer_of(us, "sysv", static_cast<std::uint64_t>(id));
    CHECK(sysv.at("size") == 3 * page);
    CHECK(sysv.at("resident") == page);
    CHECK(holder(sysv, twin.pid()).at("by") == json::array({"mapping"}));
    CHECK(us.at("totals").at("size").get<std::uint64_t>() >= 5 * page);
    shmdt(segment);
    munmap(view, 2 * page);
}

TEST_CASE("names that processes choose come out without control characters, in JSON and in text") {
    const auto fd = memfd("x\x1b[31m\n\xff\xe2\x80\xae", page);
    const Twin twin([] { prctl(PR_SET_NAME, "a\nb\x1b"); });
    const auto them = process(twin.pid());
    CHECK(them.at("name") == "a?b?");
    CHECK(buffer_of(them, "memfd", inode(fd.get())).at("name") == "x?[31m???");
    const auto text = share_info({"--process=" + std::to_string(twin.pid())}).out;
    CHECK(text.find('\x1b') == std::string::npos);
    CHECK(text.find("a?b?") != std::string::npos);
    CHECK(text.find("x?[31m???") != std::string::npos);
}

TEST_CASE("a file that only bears the name of a memfd is none") {
    const testing::TempDir dir;
    // A folder of that name, so that the path of the fd begins with it inside a chroot only; here the path is
    // longer, and the file system says the rest.
    const std::string path = dir / "memfd:fake";
    std::ofstream(path) << std::string(page, 'x');
    const UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(fd);
    const auto us = process(getpid());
    for (const auto& buffer : us.at("buffers"))
        CHECK(buffer.at("inode") != inode(fd.get()));
}

TEST_CASE(
    "a process that is not there, or not ours to read, has its reason; the others are told all the same") {
    pid_t gone = 0;
    {
        const Twin twin([] {});
        gone = twin.pid();
    }
    const auto list = processes({gone, getpid()}).at("list");
    REQUIRE(list.size() == 2);
    CHECK(list.at(0).at("available") == false);
    CHECK(list.at(0).at("pid") == gone);
    CHECK(list.at(0).at("reason").get<std::string>().find("no such process") != std::string::npos);
    CHECK(list.at(1).at("available") == true);
    struct stat init{};
    if (geteuid() != 0 && stat("/proc/1", &init) == 0 && init.st_uid != geteuid()) {
        const auto first = process(1);
        CHECK(first.at("available") == false);
        CHECK(first.at("reason").get<std::string>().find("as root") != std::string::npos);
        return;
    }
    if (geteuid() != 0) SKIP("a process of another user");
    // As nobody we may not look into the process of another user.
    const auto program = testing::built("tools/share-info/share-info");
    if (!testing::have_program("setpriv")) SKIP("setpriv (util-linux) is not installed");
    const auto done = testing::run({.env = {},
                                    .args = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                                             program, "--json", "--process=" + std::to_string(getpid())},
                                    .keep_fds = {}});
    if (done.status == 126 || done.status == 127) SKIP("nobody may not run the program where it was built");
    REQUIRE(done.status == 0);
    const auto seen = json::parse(done.out).at("processes");
    CHECK(seen.at("list").at(0).at("available") == false);
    CHECK(seen.at("list").at(0).at("reason").get<std::string>().find("as root") != std::string::npos);
    CHECK(seen.at("unreadable") >= 1);
}

TEST_CASE("the name of a dma-buf says what it is a view of only where that can be") {
    const auto view = [](const char* name, const char* exporter = "udmabuf") {
        info::Held held;
        held.kind = info::HeldKind::dmabuf;
        held.name = name;
        held.exporter = exporter;
        return info::view_of(held);
    };
    const auto small = view("memfd:12+0x3000"), huge = view("hugetlb:13+0x200000");
    REQUIRE((small && huge));
    CHECK((small->kind == info::HeldKind::memfd && small->inode == 12 && small->offset == 0x3000));
    CHECK((huge->kind == info::HeldKind::hugetlbfs && huge->inode == 13 && huge->offset == 0x200000));
    for (const auto* name : {"memfd:0+0x0", "hugetlb:0+0x0", "memfd:+0x0", "memfd:1", "memfd:-1+0x0",
                             "memfd:1+0x", "shmem:1+0x0", "memfd:99999999999999999999+0x0"}) {
        INFO(name);
        CHECK_FALSE(view(name));
    }
    CHECK_FALSE(view("memfd:12+0x3000", "system"));
}

TEST_CASE("segments of one id in two namespaces are two segments") {
    if (geteuid() != 0) SKIP("IPC namespaces of our own (root)");
    int first[2], second[2];
    REQUIRE((pipe2(first, O_CLOEXEC) == 0 && pipe2(second, O_CLOEXEC) == 0));
    const auto attach = [](int tell) {
        const int id = unshare(CLONE_NEWIPC) == 0 ? shmget(IPC_PRIVATE, 3 * page, IPC_CREAT | 0600) : -1;
        if (id >= 0) (void)shmat(id, nullptr, 0);
        (void)!write(tell, &id, sizeof id);
    };
    const Twin one([&] { attach(first[1]); }), two([&] { attach(second[1]); });
    int id = -1, same = -1;
    REQUIRE(read(first[0], &id, sizeof id) == sizeof id);
    REQUIRE(read(second[0], &same, sizeof same) == sizeof same);
    for (const int end : {first[0], first[1], second[0], second[1]})
        close(end);
    if (id < 0) SKIP("IPC namespaces of our own (root)");
    REQUIRE(id == same); // each namespace counts anew
    const auto segment = buffer_of(process(one.pid()), "sysv", static_cast<std::uint64_t>(id));
    CHECK(holder(segment, two.pid()).is_null());
    CHECK(segment.at("size").is_null()); // only those inside can list it
    CHECK(segment.at("mapped") == 3 * page);
}

TEST_CASE("a wrong PID is one line of help and status 2") {
    for (const auto* pid : {"0", "-1", "x", "99999999999", "1.5", ""}) {
        const auto done = share_info({std::string("--process=") + pid});
        INFO(pid);
        CHECK(done.status == 2);
        CHECK(done.out.empty());
        CHECK(std::count(done.err.begin(), done.err.end(), '\n') == 1);
    }
    const auto both = share_info({"--json", "--process=" + std::to_string(getpid()), "--section=machine"});
    CHECK(both.status == 0);
    CHECK(json::parse(both.out).contains("machine"));
    CHECK(json::parse(both.out).contains("processes"));
}

TEST_CASE("processes that come and go while they are read cost nothing but their own lines") {
    const pid_t churn = fork();
    REQUIRE(churn >= 0);
    if (churn == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            const pid_t child = fork();
            if (child == 0) _exit(0);
            waitpid(child, nullptr, 0);
        }
    }
    for (int i = 0; i < 3; ++i)
        CHECK(process(getpid()).at("available") == true);
    kill(churn, SIGKILL);
    waitpid(churn, nullptr, 0);
}

TEST_CASE("real dma-bufs join the memfd that they are made of, by range, and what they pin is told once") {
    auto table = share::HeapTable::probe();
    auto heap = table.find("udmabuf");
    if (!heap) SKIP(heap.error().text());
    auto memory = (*heap)->allocate(8 * page, "stream");
    REQUIRE(memory);
    const auto number = inode((*memory)->fd());
    auto first = (*memory)->export_dmabuf(0, 4 * page);
    auto again = (*memory)->export_dmabuf(2 * page, 4 * page); // two pages of it are the first one's
    REQUIRE((first && again));
    auto buffer = buffer_of(process(getpid()), "memfd", number);
    CHECK(buffer.at("heap") == "udmabuf");
    CHECK(buffer.at("pinned") == 6 * page);
    REQUIRE(buffer.at("dmabufs").size() == 2);
    CHECK(buffer.at("dmabufs").at(0).at("offset") == 0);
    CHECK(buffer.at("dmabufs").at(1).at("offset") == 2 * page);
    CHECK(buffer.at("dmabufs").at(1).at("inode") == inode(again->get()));
    CHECK(buffer.at("dmabufs").at(1).at("fds") == json::array({again->get()}));
    {
        const Twin consumer([&] { close((*memory)->fd()); }); // as a compositor: it has the dma-bufs only
        buffer = buffer_of(process(getpid()), "memfd", number);
        CHECK(holder(buffer, consumer.pid()).at("by") == json::array({"dma-buf"}));
        const auto theirs = buffer_of(process(consumer.pid()), "memfd", number);
        CHECK(theirs.at("name").is_null());
        CHECK(theirs.at("dmabufs").size() == 2);
        CHECK(theirs.at("pinned") == 6 * page);
        CHECK(holder(theirs, getpid()).at("by") == json::array({"fd", "dma-buf"}));
    }
    // A udmabuf's owner may give it any name: it counts for what the file has, and for none that cannot be.
    const auto call_again = [&](const std::string& name) {
        REQUIRE(ioctl(again->get(), DMA_BUF_SET_NAME, name.c_str()) == 0);
    };
    call_again(fmt::format("memfd:{}+{:#x}", number, 7 * page)); // of its four pages one is inside
    CHECK(buffer_of(process(getpid()), "memfd", number).at("pinned") == 5 * page);
    call_again(fmt::format("memfd:{}+{:#x}", number, 8 * page));
    CHECK(buffer_of(process(getpid()), "memfd", number).at("pinned") == 4 * page);
    call_again("memfd:0+0x0");
    CHECK(buffer_of(process(getpid()), "dma-buf", inode(again->get())).at("name") == "memfd:0+0x0");
    *first = UniqueFd();
    *again = UniqueFd();
    CHECK(buffer_of(process(getpid()), "memfd", number).at("pinned") == 0);
    auto system = table.find("dma-heap:system");
    if (!system) SKIP(system.error().text());
    auto pinned = (*system)->allocate(page, "memfd:1+0x0"); // calls itself a view, and is none
    REQUIRE(pinned);
    const auto own = buffer_of(process(getpid()), "dma-buf", inode((*pinned)->fd()));
    CHECK(own.at("heap") == "dma-heap:system");
    CHECK(own.at("pinned") == page);
    CHECK(own.at("name") == "memfd:1+0x0");
}
