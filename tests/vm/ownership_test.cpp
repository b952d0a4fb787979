// SPDX-License-Identifier: MIT
// Devices: vivid, vkms. The twelve steps of the dma-buf RFC with real devices in between: vivid writes into a
// buffer by V4L2_MEMORY_DMABUF, a display controller reads it, in one process and in two. Run inside the test
// VM, as root.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <fcntl.h>

#include <fmt/format.h>

#include <share/import.hpp>
#include <share/kms/framebuffer.hpp>
#include <share/kms/scan_out.hpp>
#include <share/ownership.hpp>

#include "forked.hpp"
#include "kms_support.hpp"
#include "process.hpp"
#include "unchanged.hpp"
#include "vivid.hpp"

using namespace share;
using namespace share::v4l2;
using namespace testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t width = 640, height = 480; // vivid and vkms both have it

/// Driver B: a display controller that shows a buffer, and its program's CPU. One letter each: 'o' and 'c'
/// read and write by the CPU, 's' shows, 'x' is where the picture on the display has moved to, 'u' takes it
/// off.
class Screen {
public:
    explicit Screen(std::shared_ptr<Buffer> buffer) : buffer_(std::move(buffer)) {}
    char act(char what) {
        switch (what) {
        case 'o':
        case 'c':
            return buffer_->map(what == 'o' ? Access::read : Access::read_write, Deadline::none()) ? 'y'
                                                                                                   : 'n';
        case 's':
            return show() ? 'y' : 'n';
        case 'x':
            return moved_by();
        default:
            scan_out_.reset();
            return 'y';
        }
    }

private:
    static Deadline soon() { return Deadline::in(20s); }
    bool show() {
        if (!device_) {
            device_ = kms::Device::find("vkms").value();
            target_ =
                kms::Framebuffer::create(device_, make_buffer(heap_of(heaps_, "udmabuf"), width, height))
                    .value();
            picture_ = kms::Framebuffer::create(device_, buffer_).value();
        }
        if (!scan_out_) scan_out_ = kms::ScanOut::create(device_, {0, width, height}).value();
        auto shown = scan_out_->show(picture_, soon());
        return shown.ok();
    }
    /// 1 for not at all, 2 for 4 pixels, ...; 127 for what is no picture of vivid's.
    char moved_by() {
        if (!scan_out_ || !scan_out_->capture(picture_, target_, soon())) return 'n';
        const auto by = moved(picture_of(*target_->buffer()), 5);
        return by && *by % 4 == 0 ? static_cast<char>(1 + *by / 4 % 100) : char{127};
    }

    std::shared_ptr<Buffer> buffer_;
    HeapTable heaps_ = HeapTable::probe();
    std::shared_ptr<kms::Device> device_;
    std::shared_ptr<kms::Framebuffer> target_, picture_;
    std::unique_ptr<kms::ScanOut> scan_out_;
};

/// Where the bars are in what the CPU sees, as Screen says it; 0 when it is no whole picture. A frame's
/// number does not tell: on a busy machine vivid's thread comes late and gives a number twice.
char bars_of(Buffer& buffer) {
    const auto picture = picture_of(buffer);
    const auto above = moved(picture, 5), below = moved(picture, static_cast<int>(height) - 5);
    return above && above == below && *above % 4 == 0 ? static_cast<char>(1 + *above / 4 % 100) : char{0};
}

/// The process of driver B: receives a dma-buf, and the file that stands for it in locks.
int screen_process(const Line& line) {
    UniqueFd dmabuf;
    OwnershipHandle handle;
    handle.parts.emplace_back();
    if (line.hear(&dmabuf) != 'b' || line.hear(&handle.parts[0].fd) != 'l') return 1;
    const auto layout = Layout::linear(width, height, format::xrgb8888).value();
    // The lock's range is that of the frame in the stream's memory; the dma-buf begins at its own byte 0.
    handle.parts[0].range = {0, layout.size()};
    auto memory = import_fd(std::move(dmabuf), ImportRules{.need_write = true});
    auto buffer = Buffer::create(memory.value(), 0, layout);
    if (share_ownership(**buffer)) return 2; // a dma-buf that came alone cannot be arbitrated
    if (!join_ownership(**buffer, std::move(handle))) return 3;
    line.say('j');
    Screen screen(*buffer);
    for (char what = line.hear(); what != 0; what = line.hear())
        line.say(screen.act(what));
    return 0;
}

} // namespace

TEST_CASE("the twelve steps: vivid writes, vkms reads, and neither touches what is the other's",
          "[vm][vivid][kms][law]") {
    const std::string heap = GENERATE("udmabuf", "dma-heap:system");
    const std::string b_is = GENERATE("of this process", "a process", "a process that dies");
    CAPTURE(heap, b_is);
    const Unchanged unchanged;
    std::optional<Forked> process;
    if (b_is != "of this process") process.emplace(screen_process); // before any device is open here
    {
        const auto heaps = HeapTable::probe();
        if (!heaps.find(heap)) SKIP("no heap " << heap);
        (void)kms_device();
        auto options = vivid_options();
        options.width = width;
        options.height = height;
        options.memory = FrameMemory::ours;
        options.heap = heap;
        options.buffers = 3;
        const auto camera = vivid_camera(heaps, options);
        REQUIRE(camera->layout().size() == Layout::linear(width, height, format::xrgb8888)->size());
        const auto buffer = camera->buffers()[0];
        must(camera->stop()); // a camera has all its buffers from its opening
        std::optional<Screen> screen;
        if (process) {
            auto handle = export_ownership(*buffer);
            must(handle);
            REQUIRE(handle->parts.size() == 1);
            CHECK(handle->parts[0].range == ByteRange{0, camera->layout().size()});
            const auto dmabuf = buffer->export_dmabuf();
            must(dmabuf);
            CHECK(::open(fmt::format("/proc/self/fd/{}", dmabuf->fd()).c_str(), O_RDWR | O_CLOEXEC) < 0);
            CHECK(errno == ENXIO); // why a file has to travel beside it
            process->line().say('b', dmabuf->fd());
            process->line().say('l', handle->parts[0].fd.get());
            REQUIRE(process->line().hear() == 'j');
        } else
            screen.emplace(buffer);
        const auto b = [&](char what) {
            if (screen) return screen->act(what);
            process->line().say(what);
            return process->line().hear();
        };
        const auto a_writes = [&] { return buffer->map(Access::read_write, Deadline::none()); };
        const auto next = [&] {
            auto frame = camera->next(Deadline::in(20s));
            must(frame);
            return std::move(*frame);
        };
        const auto next_in_buffer = [&] {
            std::optional<Frame> frame;
            for (int i = 0; i < 60 && (!frame || frame->buffer() != buffer); ++i)
                frame = next();
            REQUIRE(frame->buffer() == buffer);
            return std::move(*frame);
        };

        CHECK(a_writes());     // 1
        CHECK(b('c') == 'y');  // 2
        must(camera->start()); // 3: vivid has it
        CHECK(b('c') == 'n');  // 4
        CHECK(b('o') == 'n');  //    not even reading
        CHECK(b('s') == 'n');  // 6, too early: vivid writes
        CHECK_FALSE(a_writes());
        std::optional<Frame> frame = next_in_buffer(); // 5: has written; now a reader
        CHECK(b('c') == 'n');
        CHECK(b('s') == 'y');               // 6
        const char bars = bars_of(*buffer); // 7 and 8: two readers
        REQUIRE(bars != 0);
        CHECK(b('x') == bars);
        frame.reset(); // 9
        for (int i = 0; i < 8; ++i)
            CHECK(next().buffer() != buffer); // vivid goes on, and never with what is on the display
        CHECK(b('x') == bars);                // 10
        CHECK(bars_of(*buffer) == bars);
        auto refused = a_writes(); // 11
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::busy);
        if (process)
            CHECK(eventually([&] { // the search through /proc gives up on a very busy machine
                const auto holder = other_holder(*buffer, Access::write);
                return holder && holder->pid == process->pid() && !holder->writes;
            }));
        if (b_is == "a process that dies")
            process->kill(); // 12: the kernel releases what it held
        else
            CHECK(b('u') == 'y'); // 12
        frame = next_in_buffer(); // vivid has it again
        CHECK(bars_of(*buffer) != 0);
        frame.reset();
        must(camera->stop());
        CHECK(a_writes());
        if (b_is != "a process that dies") CHECK(b('c') == 'y');
    }
}

TEST_CASE("memory is pinned from the first device's attachment to the release of the last", "[vm][pin]") {
    const Unchanged unchanged;
    const auto heaps = HeapTable::probe();
    auto buffer = make_buffer(heap_of(heaps, "udmabuf"), width, height);
    const auto before = all_dmabufs().size();
    CHECK_FALSE(buffer->pinned());
    auto first = buffer->attach_device(Access::read, "encoder", Deadline::none());
    must(first);
    REQUIRE(first->dmabuf());
    auto second = buffer->attach_device(Access::read, "kms", Deadline::none());
    must(second);
    CHECK(second->dmabuf()->fd() == first->dmabuf()->fd()); // one dma-buf for both
    CHECK(all_dmabufs().size() == before + 1);
    CHECK_FALSE(buffer->map(Access::write, Deadline::none()));
    first->release();
    CHECK(buffer->pinned());
    second->release();
    CHECK(eventually([&] { return !buffer->pinned(); })); // a grace time may go by
    CHECK(eventually([&] { return all_dmabufs().size() == before; }));
}
