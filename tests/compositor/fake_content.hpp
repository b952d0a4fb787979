// SPDX-License-Identifier: MIT
// Content without pixels, for tests of what the scene computes.
#pragma once

#include "scene/content.hpp"
#include "scene/scene.hpp"

#include <share/heap.hpp>

namespace testing {

class FakeContent : public compositor::scene::Content {
public:
    explicit FakeContent(std::shared_ptr<share::Buffer> buffer)
        : Content(std::move(buffer),
                  share::Step{"import", share::Mechanism::wl_shm, share::By::compositor, 0, 0, "test"}) {}
    bool has_copy() const noexcept override { return copied; }
    bool copied = false;
};

/// Bytes of a test's own; the scene never reads them.
class PlainMemory : public share::Memory {
public:
    explicit PlainMemory(std::uint64_t size) : Memory(size, "test", "test", share::Traits{}) {}

private:
    share::Result<std::span<std::byte>> do_map(share::Access) override {
        return share::make_error(share::Code::unsupported, "mapping a test buffer", "it has no bytes");
    }
};

inline std::shared_ptr<compositor::scene::Content>
fake_content(int width, int height, share::Fourcc format = share::format::xrgb8888) {
    const auto layout =
        share::Layout::linear(static_cast<std::uint32_t>(width), static_cast<std::uint32_t>(height), format)
            .value();
    auto memory = std::make_shared<PlainMemory>(layout.size());
    return std::make_shared<FakeContent>(share::Buffer::create(memory, 0, layout).value());
}

struct CountingObserver : compositor::scene::Observer {
    int changes = 0;
    void scene_changed() override { ++changes; }
};

} // namespace testing
