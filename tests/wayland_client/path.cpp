// SPDX-License-Identifier: MIT
// Which path a stream takes, against compositors of every kind.
#include <catch2/generators/catch_generators.hpp>

#include "client.hpp"
#include "process.hpp"

using namespace testing;
using share::Code;
using share::Mechanism;

TEST_CASE("a compositor that takes our memory as a dma-buf gets it so, whatever its protocol version") {
    const auto version = GENERATE(1U, 2U, 3U, 4U, 5U);
    const auto fds = count_fds();
    {
        FakeCompositor server(with_dmabuf(version));
        Client client(server);
        REQUIRE(client.display->dmabuf() != nullptr);
        CHECK(client.display->dmabuf()->version == version);
        REQUIRE(client.make_chain().ok());
        const bool real = client.heaps.find("udmabuf").ok();
        CHECK(client.chain->path() == (real ? Mechanism::udmabuf : Mechanism::memfd));
        CHECK(client.chain->layout().format() == share::format::xrgb8888);
        // Versions 1 and 2 cannot name modifiers.
        CHECK(server.last_modifier == (version < 3 ? share::modifier::none : share::modifier::linear));
        CHECK(server.immediate_creates == 0);
        if (!real) CHECK(contains(client.note("udmabuf"), client.heaps.find("udmabuf").error().text()));
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("a buffer is described without modifier only where LINEAR is not offered") {
    FakeCompositor server(with_dmabuf(3, share::modifier::none));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    CHECK(server.last_modifier == share::modifier::none);
    CHECK(client.chain->path() != Mechanism::wl_shm);
}

TEST_CASE("a tiled modifier alone is no offer for linear memory") {
    FakeCompositor server(with_dmabuf(4, 0x0100'0000'0000'0001));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    CHECK(client.chain->path() == Mechanism::wl_shm);
    CHECK(contains(client.note("memfd"), "neither linear nor without modifier"));
}

TEST_CASE("feedback tells the main device and the tranches") {
    FakeCompositor server(with_dmabuf(5));
    Client client(server);
    const auto* offer = client.display->dmabuf();
    REQUIRE(offer != nullptr);
    CHECK(offer->main_device == dev_t{0xe280});
    REQUIRE(offer->tranches.size() == 1);
    CHECK(offer->tranches[0].scanout);
    CHECK(offer->tranches[0].target_device == dev_t{0xe280});
    CHECK(offer->offers(share::format::argb8888, share::modifier::linear));
    CHECK_FALSE(offer->offers(share::format::rgb565, share::modifier::linear));
}

TEST_CASE("a compositor that refuses every dma-buf gets the same memfd as wl_shm, and the ledger says why") {
    auto rules = with_dmabuf(3);
    rules.accept = [](int, std::uint32_t) { return false; };
    FakeCompositor server(std::move(rules));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    CHECK(client.chain->path() == Mechanism::wl_shm);
    CHECK(contains(client.note("memfd"), "refused"));
    CHECK_FALSE(client.note("wl_shm").empty());
    CHECK(client.frame().ok());
    CHECK(client.chain->wait_paced(soon()).ok());
}

TEST_CASE("a compositor with wl_shm alone gets wl_shm") {
    FakeCompositor server{FakeRules{}};
    Client client(server);
    REQUIRE(client.make_chain().ok());
    CHECK(client.chain->path() == Mechanism::wl_shm);
    CHECK(contains(client.note("memfd"), "no linux-dmabuf"));
    CHECK(contains(client.note("udmabuf"), "no linux-dmabuf"));
}

TEST_CASE("the producer's first format that has any path is taken") {
    FakeRules rules;
    rules.shm_formats = {0, 1, share::format::rgb565};
    FakeCompositor server(std::move(rules));
    Client client(server);
    wl::SwapchainOptions options;
    options.formats = {share::format::abgr8888, share::format::rgb565, share::format::xrgb8888};
    REQUIRE(client.make_chain(options).ok());
    CHECK(client.chain->layout().format() == share::format::rgb565);
    CHECK(contains(client.note("wl_shm"), "AB24"));
}

TEST_CASE("without any path the error lists the reason of each") {
    FakeRules rules;
    rules.shm = false;
    FakeCompositor server(std::move(rules));
    Client client(server);
    const auto made = client.make_chain();
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().code == Code::unsupported);
    CHECK(contains(made.error().text(), "no wl_shm"));
    CHECK(contains(made.error().text(), "no linux-dmabuf"));
}

TEST_CASE("a format table that lies makes linux-dmabuf unusable, not us") {
    const auto version = GENERATE(4U, 5U);
    const auto fds = count_fds();
    const auto table = [](std::uint32_t claimed, std::size_t real, std::vector<std::uint16_t> indices) {
        auto made = std::make_unique<FakeRules::Table>();
        made->claimed = claimed;
        made->bytes.resize(real);
        made->indices = std::move(indices);
        return made;
    };
    std::unique_ptr<FakeRules::Table> lie;
    std::string reason;
    SECTION("shorter than claimed") {
        lie = table(8192, 32, {0});
        reason = "were claimed";
    }
    SECTION("not a multiple of an entry") {
        lie = table(17, 32, {0});
        reason = "no sensible table";
    }
    SECTION("empty") {
        lie = table(0, 0, {0});
        reason = "no sensible table";
    }
    SECTION("huge") {
        lie = table(0xffff'fff0U, 32, {0});
        reason = "no sensible table";
    }
    SECTION("an index beyond its end") {
        lie = table(32, 32, {0, 1, 2});
        reason = "names entry 2";
    }
    SECTION("the largest index") {
        lie = table(16, 16, {0xffff});
        reason = "names entry 65535";
    }
    {
        auto rules = with_dmabuf(version);
        rules.table = std::move(lie);
        FakeCompositor server(std::move(rules));
        Client client(server);
        CHECK(client.display->dmabuf() == nullptr);
        CHECK(contains(client.display->dmabuf_reason(), reason));
        REQUIRE(client.make_chain().ok());
        CHECK(client.chain->path() == Mechanism::wl_shm);
        CHECK(contains(client.note("memfd"), reason));
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("a protocol error becomes an Error with object, interface and code, and stays") {
    auto rules = with_dmabuf(3);
    rules.error_on_create = true;
    FakeCompositor server(std::move(rules));
    Client client(server);
    const auto made = client.make_chain();
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().code == Code::disconnected);
    CHECK(contains(made.error().text(), "zwp_linux_buffer_params_v1@"));
    CHECK(contains(made.error().text(), "error 4"));
    CHECK(client.display->sync(soon()).error().code == Code::disconnected);
}

TEST_CASE("a create that is never answered ends at the deadline") {
    auto rules = with_dmabuf(3);
    rules.answer_create = false;
    FakeCompositor server(std::move(rules));
    Client client(server);
    const auto made = client.make_chain({}, Deadline::in(100ms));
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().code == Code::timed_out);
}

TEST_CASE("a compositor that hangs gives timed_out") {
    const auto fds = count_fds();
    {
        FakeCompositor server{FakeRules{}};
        server.hang();
        auto* const native = server.connect();
        const auto display = wl::Display::wrap(native, Deadline::in(100ms));
        REQUIRE_FALSE(display.ok());
        CHECK(display.error().code == Code::timed_out);
        wl_display_disconnect(native);
    }
    CHECK(count_fds() == fds);
}

TEST_CASE("a real udmabuf is what a compositor with linux-dmabuf gets first") {
    if (!share::HeapTable::probe().find("udmabuf")) SKIP("no /dev/udmabuf");
    FakeCompositor server(with_dmabuf(3));
    Client client(server);
    REQUIRE(client.make_chain().ok());
    CHECK(client.chain->path() == Mechanism::udmabuf);
    REQUIRE(client.frame().ok());
}
