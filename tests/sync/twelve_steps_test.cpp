// SPDX-License-Identifier: MIT
// The table of twelve steps in the dma-buf RFC of 2011, step by step: "read/write" is a driver's CPU access,
// "map()" and "unmap()" are its device's hold, "dma" is the device at work. A device is played by bytes
// written behind the back of every mapping, as a device does.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <future>
#include <memory>
#include <thread>

#include <share/heap.hpp>
#include <share/import.hpp>
#include <share/ownership.hpp>

#include "forked.hpp"
#include "process.hpp"

using namespace share;
using namespace std::chrono_literals;
using testing::Forked;
using testing::Line;

namespace {

/// What a driver can be told to do, one letter each; every answer is 'y', 'n', or a byte of the picture.
class Driver {
public:
    virtual ~Driver() = default;
    virtual char act(char what) = 0;
    /// An action that waits; its answer is asked for later.
    virtual void begin(char what) = 0;
    virtual char finish() = 0;

    bool read_write() { return act('c') == 'y'; }
    bool read_only() { return act('o') == 'y'; }
    bool map(Access access) { return act(writes(access) ? 'w' : 'r') == 'y'; }
    void unmap() { REQUIRE(act('u') == 'y'); }
    void dma_writes(char value) { REQUIRE(act(value) == 'y'); } // '0' to '9'
    char dma_reads() { return act('d'); }
    /// CPU access with a deadline that is long enough; the answer is the byte that is there when it is
    /// granted.
    void begin_read_write() { begin('C'); }
    void begin_map(Access access) { begin(writes(access) ? 'W' : 'R'); }
};

std::shared_ptr<Buffer> make_buffer(const std::shared_ptr<Memory>& memory, bool between_processes) {
    auto buffer = Buffer::create(memory, 0, Layout::linear(32, 32, format::xrgb8888).value());
    if (!buffer) return nullptr;
    if (between_processes && !share_ownership(**buffer)) return nullptr;
    return *buffer;
}

class Local : public Driver {
public:
    explicit Local(std::shared_ptr<Buffer> buffer) : buffer_(std::move(buffer)) {}
    char act(char what) override {
        const bool wait = what == 'C' || what == 'W' || what == 'R';
        const auto deadline = wait ? Deadline::in(60s) : Deadline::none();
        switch (what) {
        case 'c':
        case 'C':
        case 'o': {
            auto mapping = buffer_->map(what == 'o' ? Access::read : Access::read_write, deadline);
            if (!mapping) return mapping.error().code == Code::busy ? 'n' : '!';
            return what == 'C' ? static_cast<char>(mapping->plane(0)[0]) : 'y';
        }
        case 'r':
        case 'R':
        case 'w':
        case 'W': {
            auto device = buffer_->attach(what == 'w' || what == 'W' ? Access::write : Access::read, "device",
                                          deadline);
            if (!device) return device.error().code == Code::busy ? 'n' : '!';
            device_ = std::move(*device);
            return 'y';
        }
        case 'u':
            device_.release();
            return 'y';
        default: { // the device, which knows of no mapping
            if (!device_ || (what != 'd' && !writes(device_.access()))) return 'n';
            auto bytes = buffer_->memory()->view(Access::read_write).value();
            if (what == 'd') return static_cast<char>(bytes[0]);
            bytes[0] = static_cast<std::byte>(what);
            return 'y';
        }
        }
    }
    void begin(char what) override {
        answer_ = std::async(std::launch::async, [this, what] { return act(what); });
    }
    char finish() override { return answer_.get(); }

private:
    std::shared_ptr<Buffer> buffer_;
    Attachment device_;
    std::future<char> answer_;
};

/// A process of its own, which has received the memory's fd and nothing else.
class Remote : public Driver {
public:
    explicit Remote(const std::shared_ptr<Memory>& memory)
        : child_([&](const Line& line) {
              auto received = import_fd(UniqueFd(::dup(memory->fd())));
              Local driver(make_buffer(received.value(), true));
              for (char what = line.hear(); what != 0; what = line.hear())
                  line.say(driver.act(what));
              return 0;
          }) {}
    char act(char what) override {
        begin(what);
        return finish();
    }
    void begin(char what) override { child_.line().say(what); }
    char finish() override { return child_.line().hear(); }

private:
    Forked child_;
};

struct Drivers {
    std::shared_ptr<Memory> memory;
    std::unique_ptr<Driver> a, b;
};

/// "one buffer": of one process. "two buffers": of the same bytes in one process. "two processes".
Drivers make_drivers(const std::string& where) {
    auto table = HeapTable::probe();
    auto memory = (*table.find("memfd"))->allocate(4096, "twelve steps");
    REQUIRE(memory);
    Drivers drivers{*memory, nullptr, nullptr};
    if (where == "two processes") {
        drivers.a = std::make_unique<Remote>(*memory);
        drivers.b = std::make_unique<Remote>(*memory);
        return drivers;
    }
    auto first = make_buffer(*memory, where == "two buffers");
    auto second = where == "two buffers" ? make_buffer(*memory, true) : first;
    REQUIRE((first && second));
    drivers.a = std::make_unique<Local>(first);
    drivers.b = std::make_unique<Local>(second);
    return drivers;
}

} // namespace

TEST_CASE("the twelve steps: what would be a bug is refused, and only readers overlap", "[twelve-steps]") {
    const std::string where = GENERATE("one buffer", "two buffers", "two processes");
    const Access of_a = GENERATE(Access::write, Access::read), of_b = GENERATE(Access::write, Access::read);
    CAPTURE(where, of_a, of_b);
    const bool both_read = !writes(of_a) && !writes(of_b);
    const auto fds = testing::count_fds();
    {
        auto drivers = make_drivers(where);
        Driver &a = *drivers.a, &b = *drivers.b;
        CHECK(a.read_write());                 // 1
        CHECK(b.read_write());                 // 2
        REQUIRE(a.map(of_a));                  // 3
        CHECK_FALSE(b.read_write());           // 4: a bug, refused
        CHECK(b.read_only() == !writes(of_a)); //    only reading beside a reading device is none
        CHECK_FALSE(a.read_write());           //    on the device's own side, too
        if (writes(of_a)) a.dma_writes('5');   // 5
        CHECK(b.map(of_b) == both_read);       // 6
        if (writes(of_a)) a.dma_writes('7');   // 7
        if (both_read) {
            const char seen = a.dma_reads(); // 7 and 8 at once: two readers
            CHECK(b.dma_reads() == seen);    // 8
        } else
            CHECK(b.dma_reads() == 'n'); // 8: its device has not got the buffer
        a.unmap();                       // 9
        if (!both_read) REQUIRE(b.map(of_b));
        if (writes(of_b)) // 10
            b.dma_writes('9');
        else if (writes(of_a))
            CHECK(b.dma_reads() == '7');
        CHECK_FALSE(a.read_write()); // 11: the same bug on the other side
        CHECK(a.read_only() == !writes(of_b));
        b.unmap(); // 12
        CHECK(a.read_write());
        CHECK(b.read_write());
    }
    CHECK(testing::count_fds() == fds);
}

TEST_CASE("the twelve steps: who may wait comes when the owner has gone, and sees what it wrote",
          "[twelve-steps]") {
    const std::string where = GENERATE("one buffer", "two buffers", "two processes");
    CAPTURE(where);
    auto drivers = make_drivers(where);
    Driver &a = *drivers.a, &b = *drivers.b;
    REQUIRE(a.map(Access::write)); // 3
    b.begin_read_write();          // 4, which waits
    std::this_thread::sleep_for(3ms);
    a.dma_writes('5');             // 5
    a.unmap();                     // 9
    CHECK(b.finish() == '5');      // 4 comes through, and not before 9
    REQUIRE(a.map(Access::write)); // 3
    b.begin_map(Access::write);    // 6, which waits
    std::this_thread::sleep_for(3ms);
    a.dma_writes('7');        // 7, alone
    a.unmap();                // 9
    CHECK(b.finish() == 'y'); // 6
    CHECK(b.dma_reads() == '7');
    a.begin_read_write(); // 11, which waits
    std::this_thread::sleep_for(3ms);
    b.dma_writes('8');        // 10
    b.unmap();                // 12
    CHECK(a.finish() == '8'); // 11
}
