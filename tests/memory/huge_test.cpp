// SPDX-License-Identifier: MIT
// Huge pages: what the heaps promise is held against what the kernel says of the very pages. A program of its
// own that runs alone, because it changes settings of the machine.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <vector>

#include <share/heap.hpp>
#include <share/import.hpp>
#include <share/joined.hpp>
#include <share/pages.hpp>
#include <share/pool.hpp>

#include "pagemap.hpp"
#include "process.hpp"

using namespace share;

namespace {

constexpr std::uint64_t page_2m = 2U << 20U;
constexpr const char* pool_setting = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
constexpr const char* pool_free = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
constexpr const char* pool_promised = "/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages";
constexpr const char* shmem_setting = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";

std::string word_of(const std::string& path) {
    std::ifstream file(path);
    std::string word;
    while (file >> word)
        if (word.front() == '[') return word.substr(1, word.size() - 2);
    return word; // a number
}

std::uint64_t number_of(const char* path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    file >> number;
    return number;
}

/// A setting of the system, ours until the end and put back then. Another checkout's run waits for us.
class Setting {
public:
    explicit Setting(std::string path)
        : path_(std::move(path)), lock_(open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
        locked_ = lock_ && flock(lock_.get(), LOCK_EX) == 0;
        old_ = word_of(path_);
    }
    ~Setting() {
        if (written_) write(old_);
    }
    Setting(const Setting&) = delete;
    Setting& operator=(const Setting&) = delete;
    bool set(const std::string& value) {
        written_ = locked_;
        return locked_ && write(value) && word_of(path_) == value;
    }

private:
    bool write(const std::string& value) const {
        std::ofstream file(path_);
        file << value << std::flush;
        return file.good();
    }
    std::string path_, old_;
    UniqueFd lock_;
    bool locked_ = false, written_ = false;
};

/// What other programs' probing has for a moment comes back: then once more.
std::shared_ptr<Memory> allocate(const HeapTable& table, std::string_view heap, std::uint64_t size,
                                 const AllocateOptions& options = {}) {
    auto found = table.find(heap);
    if (!found) FAIL(found.error().text());
    auto memory = (*found)->allocate(size, "share-huge-test", options);
    testing::eventually([&] {
        if (memory || (memory.error().code != Code::limit && memory.error().code != Code::out_of_memory))
            return true;
        memory = (*found)->allocate(size, "share-huge-test", options);
        return memory.ok();
    });
    if (!memory) FAIL(memory.error().text());
    return *memory;
}

/// The pool with `pages` pages of 2 MiB more than it had, or the test is skipped. What others have of it, and
/// what was free before, stays as it is.
class PagePool {
public:
    explicit PagePool(std::uint64_t pages) {
        if (access(pool_setting, W_OK) != 0) SKIP("a pool of huge pages that we may fill (root)");
        setting_ = std::make_unique<Setting>(pool_setting);
        before_ = number_of(pool_free);
        if (!setting_->set(std::to_string(number_of(pool_setting) + pages)))
            SKIP("free memory in pieces of 2 MiB");
    }
    /// Whether there come to be as many untouched pages more than before.
    bool untouched_becomes(std::uint64_t pages) const {
        return testing::eventually([&] { return number_of(pool_free) == before_ + pages; });
    }
    /// Takes what nobody was promised, but for `pages` of it.
    void leave(std::uint64_t pages) {
        for (int round = 0; round < 100; ++round) {
            const auto unpromised = number_of(pool_free) - number_of(pool_promised);
            if (unpromised <= pages) return;
            const auto table = HeapTable::probe(); // it needs a page itself
            auto found = table.find("memfd-huge:2M");
            if (!found) continue;
            if (auto memory = (*found)->allocate((unpromised - pages) * page_2m, "share-huge-filler"))
                filler_.push_back(*memory);
        }
        FAIL("the pool does not come to rest");
    }

private:
    std::unique_ptr<Setting> setting_;
    std::vector<std::shared_ptr<Memory>> filler_; // goes before the pool is made smaller
    std::uint64_t before_ = 0;
};

/// How many of the memory's 4 KiB frames are inside huge pages (/proc/kpageflags) that lie in one piece.
std::size_t huge_frames(const std::vector<std::uint64_t>& frames, std::uint64_t page) {
    constexpr std::uint64_t huge_bit = 1ULL << 17U, thp_bit = 1ULL << 22U;
    const std::size_t per_page = page / 4096;
    const UniqueFd flags(open("/proc/kpageflags", O_RDONLY | O_CLOEXEC));
    REQUIRE(flags);
    std::size_t found = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        const auto begin = i / per_page * per_page;
        std::uint64_t bits = 0;
        REQUIRE(pread(flags.get(), &bits, sizeof bits, static_cast<off_t>(frames[i] * 8)) == sizeof bits);
        if ((bits & (huge_bit | thp_bit)) != 0 && frames[begin] % per_page == 0 &&
            frames[i] == frames[begin] + (i - begin))
            ++found;
    }
    return found;
}

std::vector<std::uint64_t> frames_of(Memory& memory) {
    const auto inode = inode_of(memory.fd());
    REQUIRE(inode);
    const auto maps = testing::maps_of_inode(getpid(), inode->number, "share-huge-test");
    REQUIRE(maps.size() == 1);
    return testing::page_frames(getpid(), maps[0], 0, memory.size() / 4096);
}

} // namespace

TEST_CASE("memory of memfd-huge:2M lies in huge pages, and the kernel says so", "[heap][huge]") {
    const PagePool pool(4);
    const auto fds = testing::count_fds();
    {
        const auto table = HeapTable::probe();
        auto memory = allocate(table, "memfd-huge:2M", 3U << 20U);
        CHECK(memory->size() == 2 * page_2m);
        CHECK(memory->traits().kind == MemoryKind::hugetlbfs);
        CHECK(memory->traits().page_size == page_2m);
        CHECK_FALSE(memory->traits().swappable);
        struct statfs fs{};
        REQUIRE(fstatfs(memory->fd(), &fs) == 0);
        CHECK(fs.f_type == 0x958458f6);
        CHECK(static_cast<std::uint64_t>(fs.f_bsize) == page_2m);
        CHECK(pool.untouched_becomes(4)); // reserved, not touched
        auto view = memory->view(Access::read_write);
        REQUIRE(view);
        std::memset(view->data(), 0x5a, view->size());
        CHECK(pool.untouched_becomes(2));
        auto report = page_report(*memory);
        REQUIRE(report);
        CHECK(report->resident == memory->size());
        CHECK(report->huge == memory->size());
        CHECK(report->page_size == page_2m);
        if (testing::page_frames_visible())
            CHECK(huge_frames(frames_of(*memory), page_2m) == memory->size() / 4096);

        auto peer = import_fd(UniqueFd(dup(memory->fd())), {.accept_shrinkable = true, .need_write = true});
        REQUIRE(peer);
        CHECK((*peer)->traits().page_size == page_2m);
        auto theirs = (*peer)->view(Access::read_write);
        REQUIRE(theirs);
        (*theirs)[page_2m + 1] = std::byte{0x33};
        CHECK((*view)[page_2m + 1] == std::byte{0x33});
    }
    CHECK(pool.untouched_becomes(4));
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("huge pages are promised at allocation: who comes too late is told, and touching never fails",
          "[heap][huge]") {
    PagePool pool(2);
    const auto table = HeapTable::probe();
    pool.leave(2);
    auto first = allocate(table, "memfd-huge:2M", 2 * page_2m);
    auto late = (*table.find("memfd-huge:2M"))->allocate(1, "late");
    REQUIRE_FALSE(late);
    CHECK(late.error().code == Code::limit);
    CHECK(late.error().text().find(" of the pool's ") != std::string::npos);
    CHECK(late.error().text().find(pool_setting) != std::string::npos);
    auto view = first->view(Access::write);
    REQUIRE(view);
    std::memset(view->data(), 1, view->size());
    first.reset();
    CHECK(allocate(table, "memfd-huge:2M", 1)); // in time
    CHECK_FALSE((*table.find("memfd-huge:2M"))->allocate(0, "nothing"));
    CHECK_FALSE((*table.find("memfd-huge:2M"))->allocate(UINT64_MAX, "everything"));
    CHECK_FALSE((*table.find("memfd-huge:2M"))->allocate(1ULL << 50U, "a petabyte"));
}

TEST_CASE("memfd-huge is the first kind that this machine can give", "[heap][huge]") {
    {
        PagePool pool(1);
        const auto table = HeapTable::probe();
        pool.leave(1);
        auto best = table.find("memfd-huge");
        REQUIRE(best);
        CHECK((*best)->traits().kind == MemoryKind::hugetlbfs);
        CHECK((*best)->privilege().kind == Privilege::Kind::setting);
        CHECK((*best)->privilege().path == pool_setting);
        auto memory =
            allocate(table, "memfd-huge", 1, {.device_only = true}); // reserved without being mapped
        CHECK(memory->heap() == "memfd-huge");
        CHECK_FALSE((*best)->allocate(1, "two"));
    }
    PagePool empty(0);
    empty.leave(0);
    const auto table = HeapTable::probe();
    auto small = table.find("memfd-huge:2M");
    REQUIRE_FALSE(small);
    CHECK(small.error().text().find(pool_setting) != std::string::npos);
    auto best = table.find("memfd-huge");
    CHECK(best.ok() == table.find("memfd-huge:thp").ok());
    if (!best) CHECK(best.error().text().find("thp: ") != std::string::npos);
}

TEST_CASE("memory of memfd-huge:thp is in huge pages as page_report() says, whichever way they come",
          "[heap][huge]") {
    const std::string mode = GENERATE("never", "advise");
    INFO(mode);
    Setting setting(shmem_setting);
    if (!setting.set(mode)) SKIP("transparent huge pages for memfds, and root to switch them");
    const auto fds = testing::count_fds();
    {
        const auto table = HeapTable::probe();
        if (auto found = table.find("memfd-huge:thp"); !found) SKIP(found.error().text());
        auto memory = allocate(table, "memfd-huge:thp", 7U << 20U);
        const auto traits = memory->traits();
        CHECK(traits.kind == MemoryKind::memfd);
        CHECK(traits.page_size == 4096);
        REQUIRE(traits.largest_page >= page_2m);
        CHECK(memory->size() % traits.largest_page == 0);
        CHECK(ftruncate(memory->fd(), 0) < 0);
        auto view = memory->view(Access::read_write);
        REQUIRE(view);
        CHECK(reinterpret_cast<std::uintptr_t>(view->data()) % traits.largest_page == 0);
        std::memset(view->data(), 0x5a, view->size());
        auto report = page_report(*memory);
        REQUIRE(report);
        CHECK(report->resident == memory->size());
        CHECK(report->huge >= traits.largest_page);
        if (testing::page_frames_visible())
            CHECK(huge_frames(frames_of(*memory), traits.largest_page) >= report->huge / 4096);
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("where transparent huge pages are denied the table names the setting", "[heap][huge]") {
    Setting setting(shmem_setting);
    if (!setting.set("deny")) SKIP("transparent huge pages for memfds, and root to switch them");
    const auto table = HeapTable::probe();
    auto thp = table.find("memfd-huge:thp");
    REQUIRE_FALSE(thp);
    CHECK(thp.error().text().find("deny") != std::string::npos);
    CHECK(thp.error().text().find(shmem_setting) != std::string::npos);
}

TEST_CASE("small pages are told as small", "[heap][huge]") {
    const auto table = HeapTable::probe();
    auto memory = allocate(table, "memfd", 64 * 4096);
    auto view = memory->view(Access::read_write);
    REQUIRE(view);
    std::memset(view->data(), 1, 16 * 4096);
    auto report = page_report(*memory);
    REQUIRE(report);
    CHECK(report->page_size == 4096);
    CHECK(report->resident >= 16 * 4096);
    CHECK(report->huge == 0); // 256 KiB hold no huge page, whatever the settings
    auto hidden = allocate(table, "memfd", 4096, {.device_only = true});
    auto refused = page_report(*hidden);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
}

TEST_CASE("a dma-buf of huge pages shows the same bytes, alone and joined with small ones",
          "[heap][huge][joined]") {
    const std::string name = GENERATE("memfd-huge:2M", "memfd-huge:thp");
    INFO(name);
    const auto pool = name == "memfd-huge:2M" ? std::make_unique<PagePool>(4) : nullptr;
    const auto fds = testing::count_fds();
    {
        const auto table = HeapTable::probe();
        auto found = table.find(name);
        if (!found) SKIP(found.error().text());
        if (!contains((*found)->traits().exports, Exports::dmabuf))
            SKIP("a udmabuf driver that takes huge pages");
        auto memory = allocate(table, name, 2 * page_2m);
        auto view = memory->view(Access::read_write);
        REQUIRE(view);
        std::memset(view->data(), 0x5a, view->size());
        auto second = memory->export_dmabuf(page_2m, page_2m);
        if (!second) FAIL(second.error().text());
        auto same = verify_same_pages(memory->fd(), page_2m, second->get(), page_2m);
        if (!same) FAIL(same.error().text());

        auto small = allocate(table, "memfd", 2 * 4096);
        auto small_view = small->view(Access::read_write);
        REQUIRE(small_view);
        const MemoryRange blocks[] = {
            {small, 4096, 4096}, {memory, page_2m - 4096, 3 * 4096}, {small, 0, 4096}};
        auto joined = join(blocks, "mixed");
        if (!joined) FAIL(joined.error().text());
        auto whole = (*joined)->view(Access::read_write);
        REQUIRE(whole);
        REQUIRE(whole->size() == 5 * 4096);
        const auto lies_at = [&](std::size_t i, std::byte& in_block) {
            (*whole)[i * 4096 + 7] = static_cast<std::byte>(i + 1);
            CHECK(in_block == static_cast<std::byte>(i + 1));
            in_block = std::byte{0x77};
            CHECK((*whole)[i * 4096 + 7] == std::byte{0x77});
        };
        lies_at(0, (*small_view)[4096 + 7]);
        for (std::size_t i = 0; i < 3; ++i)
            lies_at(1 + i, (*view)[page_2m - 4096 + i * 4096 + 7]);
        lies_at(4, (*small_view)[7]);
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("a pool over huge pages gives each frame pages of its own", "[heap][huge]") {
    const PagePool pages(4);
    const auto table = HeapTable::probe();
    auto layout = Layout::linear(640, 480, format::xrgb8888);
    REQUIRE(layout);
    auto pool = Pool::create(**table.find("memfd-huge:2M"), *layout, 3, "frames");
    REQUIRE(pool);
    for (std::uint32_t i = 0; i < 3; ++i)
        CHECK(pool->buffer(i)->offset() == i * page_2m);
}
