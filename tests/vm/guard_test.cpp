// SPDX-License-Identifier: MIT
// Guards with a real device in between: vivid writes frames, vkms reads them, while a thread of this process
// writes to the same buffers without a bracket all the time. Each case begins by showing that without a guard
// the thread spoils the picture: else it would prove nothing. Run inside the test VM, as root.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <share/guard.hpp>
#include <share/import.hpp>
#include <share/kms/framebuffer.hpp>
#include <share/kms/scan_out.hpp>

#include "kms_support.hpp"
#include "process.hpp"
#include "sw_sync.hpp"
#include "unchanged.hpp"
#include "vivid.hpp"

using namespace share;
using namespace testing;
using namespace std::chrono_literals;

namespace {

Deadline soon() {
    return Deadline::in(20s);
}

const HeapTable& heaps() {
    static const HeapTable table = all_heaps();
    return table;
}

Guard guard_of(const std::shared_ptr<Buffer>& buffer) {
    auto guard = Guard::create(buffer);
    if (!guard) FAIL(guard.error().text());
    CHECK(guard->means() == GuardMeans::userfaultfd);
    return std::move(*guard);
}

/// Words of a buffer as this process' own mapping has them; nobody asks the guard here.
std::atomic_ref<std::uint32_t> word(const Buffer& buffer, std::size_t index) {
    auto view = buffer.memory()->view(Access::read_write);
    if (!view) FAIL(view.error().text());
    return std::atomic_ref(reinterpret_cast<std::uint32_t*>(view->data() + buffer.offset())[index]);
}

/// The same bytes by a mapping that no guard knows: what a device sees.
class Peek {
public:
    explicit Peek(const Buffer& buffer) : size_(buffer.memory()->size()) {
        map_ = mmap(nullptr, size_, PROT_READ, MAP_SHARED, buffer.memory()->fd(), 0);
        REQUIRE(map_ != MAP_FAILED);
        at_ = static_cast<const std::byte*>(map_) + buffer.offset();
    }
    ~Peek() { munmap(map_, size_); }
    Peek(const Peek&) = delete;
    Peek& operator=(const Peek&) = delete;
    std::uint32_t word(std::size_t index) const {
        std::uint32_t value = 0;
        std::memcpy(&value, at_ + 4 * index, sizeof value);
        return value;
    }

private:
    void* map_;
    std::size_t size_;
    const std::byte* at_ = nullptr;
};

/// A thread that writes its count into the pixel at the start of each row of all buffers, round and round.
class Hammer {
public:
    explicit Hammer(const std::vector<std::shared_ptr<Buffer>>& buffers) {
        for (const auto& buffer : buffers) {
            const auto& layout = buffer->layout();
            for (std::uint32_t y = 0; y < layout.height(); ++y)
                words_.push_back(&word_at(*buffer, std::size_t{y} * layout.plane(0).stride / 4));
        }
        thread_ = std::thread([this] {
            for (std::uint32_t turn = 1; !stop_.load(std::memory_order_relaxed); ++turn)
                for (auto* at : words_) {
                    std::atomic_ref(*at).store(value(turn), std::memory_order_relaxed);
                    writes_.fetch_add(1, std::memory_order_relaxed);
                }
        });
    }
    ~Hammer() { stop(); }
    Hammer(const Hammer&) = delete;
    Hammer& operator=(const Hammer&) = delete;
    void stop() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }
    std::uint64_t writes() const { return writes_.load(std::memory_order_relaxed); }
    /// A grey that no test picture has at the start of a row, another in each round.
    static std::uint32_t value(std::uint32_t turn) { return 0x00515151U + (turn & 1U); }
    static bool made(std::uint32_t pixel) {
        return (pixel & 0x00fffffeU) == 0x00515150U || (pixel & 0x00ffffffU) == 0x00515152U;
    }

private:
    static std::uint32_t& word_at(const Buffer& buffer, std::size_t index) {
        auto view = buffer.memory()->view(Access::read_write);
        if (!view) FAIL(view.error().text());
        return reinterpret_cast<std::uint32_t*>(view->data() + buffer.offset())[index];
    }
    std::vector<std::uint32_t*> words_;
    std::atomic<std::uint64_t> writes_{0};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

std::size_t spoiled_rows(const Peek& peek, const Layout& layout) {
    std::size_t spoiled = 0;
    for (std::uint32_t y = 0; y < layout.height(); ++y)
        if (Hammer::made(peek.word(std::size_t{y} * layout.plane(0).stride / 4))) ++spoiled;
    return spoiled;
}

/// Rows that the hammer spoiled in so many frames of the camera, each looked at for as long as it is lent.
std::size_t spoiled_in(v4l2::Camera& camera, int frames) {
    std::vector<std::unique_ptr<Peek>> peeks;
    for (const auto& buffer : camera.buffers())
        peeks.push_back(std::make_unique<Peek>(*buffer));
    std::size_t spoiled = 0;
    for (int i = 0; i < frames; ++i) {
        const auto frame = camera.next(soon());
        if (!frame) FAIL(frame.error().text());
        spoiled += spoiled_rows(*peeks[frame->index()], camera.layout());
        std::this_thread::sleep_for(2ms);
        spoiled += spoiled_rows(*peeks[frame->index()], camera.layout());
    }
    return spoiled;
}

} // namespace

TEST_CASE("a dma-buf's own mapping is taken from the CPU and given back, and no write is lost", "[vm]") {
    const std::string heap = GENERATE("udmabuf", "dma-heap:system");
    CAPTURE(heap);
    auto& from = heap_of(heaps(), heap);
    const Unchanged unchanged;
    const auto layout = Layout::linear(64, 64, format::xrgb8888).value();
    auto owner = make_buffer(from, layout);
    // The importer's side: all it has is the dma-buf.
    auto handle = owner->export_dmabuf();
    must(handle);
    auto memory = import_fd(UniqueFd(dup(handle->fd())));
    must(memory);
    REQUIRE((*memory)->traits().kind == MemoryKind::dmabuf);
    auto buffer = Buffer::create(*memory, 0, layout).value();
    const Peek peek(*owner);
    const auto guard = guard_of(buffer);
    std::atomic<bool> stop{false};
    std::uint32_t written = 0;
    std::thread writer([&] {
        while (!stop.load(std::memory_order_relaxed)) {
            ++written;
            for (std::size_t page = 0; page < 4; ++page)
                word(*buffer, page * 1024).store(written, std::memory_order_relaxed);
        }
    });
    int changed = 0;
    for (int cycle = 0; cycle < 100; ++cycle) {
        const auto attachment = buffer->attach(Access::read, "a device", soon());
        must(attachment);
        const auto before = peek.word(0);
        std::this_thread::sleep_for(200us);
        if (peek.word(0) != before) ++changed;
    }
    CHECK(testing::eventually([&] { return guard.counts().held > 0; }));
    stop = true;
    writer.join();
    INFO(heap << ": 100 cycles, " << 4ULL * written << " writes, " << guard.counts().held << " held");
    CHECK(changed == 0);
    for (std::size_t page = 0; page < 4; ++page)
        CHECK(peek.word(page * 1024) == written);
}

TEST_CASE("vivid writes frames: a thread that writes into its buffers all the time spoils none of them",
          "[vm][vivid]") {
    const std::string heap = GENERATE("udmabuf", "dma-heap:system");
    CAPTURE(heap);
    (void)heap_of(heaps(), heap);
    const Unchanged unchanged;
    auto options = vivid_options();
    options.heap = heap;
    options.memory = v4l2::FrameMemory::ours;
    const auto camera = vivid_camera(heaps(), options);
    {
        const Hammer hammer(camera->buffers());
        CHECK(spoiled_in(*camera, 5) > 0);
    }
    must(camera->stop());
    std::vector<Guard> guards;
    for (const auto& buffer : camera->buffers())
        guards.push_back(guard_of(buffer));
    must(camera->start());
    {
        // Frames that were under way before hold what the hammer wrote then.
        for (int i = 0; i < 4; ++i)
            must(camera->next(soon()));
        Hammer hammer(camera->buffers());
        CHECK(spoiled_in(*camera, 20) == 0);
        must(camera->stop());
        // Now it is the thread's turn, and its writes are there.
        const auto before = hammer.writes();
        CHECK(testing::eventually([&] { return hammer.writes() > before + 4ULL * 2 * vivid_height; }));
        hammer.stop();
        for (const auto& buffer : camera->buffers())
            CHECK(spoiled_rows(Peek(*buffer), camera->layout()) == vivid_height);
    }
    std::uint64_t held = 0;
    for (const auto& guard : guards)
        held += guard.counts().held;
    CHECK(held > 0);
}

TEST_CASE("vkms reads a picture: a thread that writes into it all the time changes nothing on the display",
          "[vm][kms]") {
    const std::string heap = GENERATE("udmabuf", "dma-heap:system", "dumb");
    CAPTURE(heap);
    auto& from = heap_of(heaps(), heap);
    const Unchanged unchanged;
    const auto device = kms_device();
    auto scan_out = kms::ScanOut::create(device, {0, 640, 480});
    must(scan_out);
    const auto picture = [&](Heap& of) {
        auto made = kms::Framebuffer::create(device, make_buffer(of, 640, 480));
        must(made);
        return *made;
    };
    const auto seen = picture(heap_of(heaps(), "dumb"));
    const auto shown = picture(from), other = picture(from);
    const auto wrong = [&] {
        must((*scan_out)->capture(shown, seen, soon()));
        return differs_from_pattern(*seen->buffer(), 1);
    };
    draw_pattern(*other->buffer(), 2);
    draw_pattern(*shown->buffer(), 1);
    CHECK(wrong() == 0);
    {
        Hammer hammer({shown->buffer()});
        CHECK(testing::eventually([&] { return hammer.writes() > 2 * 480; }));
        CHECK(wrong() > 0);
    }
    must((*scan_out)->show(other, soon()));
    const auto guard = guard_of(shown->buffer());
    draw_pattern(*shown->buffer(), 1);
    must((*scan_out)->show(shown, soon()));
    Hammer hammer({shown->buffer()});
    CHECK(testing::eventually([&] { return guard.counts().waiting > 0; }));
    for (int i = 0; i < 5; ++i)
        CHECK(wrong() == 0);
    CHECK(hammer.writes() == 0);
    must((*scan_out)->show(other, soon()));
    CHECK(testing::eventually([&] { return hammer.writes() > 2 * 480; }));
    hammer.stop();
    CHECK(wrong() >= 480);
}

TEST_CASE("a device that is gone while its fence is pending: accesses wait for the fence", "[vm]") {
    const std::string heap = GENERATE("udmabuf", "dma-heap:system");
    CAPTURE(heap);
    auto& from = heap_of(heaps(), heap);
    const Unchanged unchanged;
    auto buffer = make_buffer(from, 64, 64);
    word(*buffer, 0) = 1;
    auto handle = buffer->export_dmabuf();
    must(handle);
    const Peek peek(*buffer);
    const SwSync timeline;
    const auto guard = guard_of(buffer);
    auto attachment = buffer->attach(Access::write, "a device", soon());
    must(attachment);
    must(buffer->add_fence(timeline.fence(), Access::write));
    attachment->release();
    std::thread writer([&] { word(*buffer, 0).store(2, std::memory_order_relaxed); });
    CHECK(testing::eventually([&] { return guard.counts().waiting > 0; }));
    std::this_thread::sleep_for(20ms);
    CHECK(peek.word(0) == 1);
    CHECK(buffer->map(Access::read, Deadline::none()).error().code == Code::timed_out);
    CHECK(peek.word(0) == 1);
    timeline.signal();
    writer.join();
    CHECK(peek.word(0) == 2);
}

TEST_CASE("a bracket that waited for a fence has its memory from the beginning, for system calls too",
          "[vm]") {
    const std::string heap = GENERATE("udmabuf", "dma-heap:system");
    CAPTURE(heap);
    auto& from = heap_of(heaps(), heap);
    const Unchanged unchanged;
    auto buffer = make_buffer(from, 64, 64);
    word(*buffer, 0) = 7;
    auto handle = buffer->export_dmabuf();
    must(handle);
    const SwSync timeline;
    const auto guard = guard_of(buffer);
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const UniqueFd out(ends[0]), in(ends[1]);
    for (std::uint32_t turn = 1; turn <= 5; ++turn) {
        auto attachment = buffer->attach(Access::write, "a device", soon());
        must(attachment);
        must(buffer->add_fence(timeline.fence(turn), Access::write));
        attachment->release();
        bool mapped = false;
        ssize_t written = 0;
        std::thread reader([&] {
            const auto mapping = buffer->map(Access::read, soon());
            mapped = static_cast<bool>(mapping);
            if (mapped) written = write(in.get(), mapping->plane(0).data(), 4);
        });
        std::this_thread::sleep_for(30ms); // most of which it waits for the fence
        timeline.signal();
        reader.join();
        CHECK(mapped);
        REQUIRE(written == 4);
        std::uint32_t got = 0;
        CHECK(read(out.get(), &got, sizeof got) == 4);
        CHECK(got == 7);
    }
    CHECK(guard.counts().held == 0); // where system calls wait (User Mode Linux) it would count
}
