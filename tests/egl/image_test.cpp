// SPDX-License-Identifier: MIT
#include "egl_support.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#define EGL_NO_X11
#include <EGL/egl.h>
#include <GLES3/gl3.h>
// after gl3.h, whose types it needs
#include <GLES2/gl2ext.h>

#include <catch2/generators/catch_generators.hpp>

#include <share/egl/image.hpp>

#include "process.hpp"

using share::egl::Image;

namespace {

// The image as colour attachment of a framebuffer.
class Framebuffer {
public:
    explicit Framebuffer(const Image& image) {
        const auto target = reinterpret_cast<PFNGLEGLIMAGETARGETTEXTURE2DOESPROC>(
            eglGetProcAddress("glEGLImageTargetTexture2DOES"));
        REQUIRE(target);
        glGenTextures(1, &texture_);
        glBindTexture(GL_TEXTURE_2D, texture_);
        target(GL_TEXTURE_2D, image.handle());
        glGenFramebuffers(1, &framebuffer_);
        glBindFramebuffer(GL_FRAMEBUFFER, framebuffer_);
        glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, texture_, 0);
        REQUIRE(glCheckFramebufferStatus(GL_FRAMEBUFFER) == GL_FRAMEBUFFER_COMPLETE);
    }
    ~Framebuffer() {
        glDeleteFramebuffers(1, &framebuffer_);
        glDeleteTextures(1, &texture_);
    }
    std::array<std::uint8_t, 4> pixel(int x, int y) const {
        std::array<std::uint8_t, 4> rgba{};
        glReadPixels(x, y, 1, 1, GL_RGBA, GL_UNSIGNED_BYTE, rgba.data());
        return rgba;
    }

private:
    GLuint texture_ = 0, framebuffer_ = 0;
};

std::shared_ptr<share::egl::Display> software_display() {
    auto display = testing::open_display({{}, true});
    if (!display->is_software()) SKIP("no software driver: a hardware one does not take memfds");
    REQUIRE(display->make_current());
    return display;
}

// A buffer over a file made with these flags and seals.
share::Result<std::shared_ptr<share::Buffer>> file_buffer(unsigned seals, bool accept_shrinkable) {
    const auto layout = share::Layout::linear(64, 64, share::format::xrgb8888);
    REQUIRE(layout);
    share::UniqueFd fd(memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(ftruncate(fd.get(), static_cast<off_t>(layout->size())) == 0);
    if (seals) REQUIRE(fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
    share::ImportRules rules;
    rules.accept_shrinkable = accept_shrinkable;
    auto memory = share::import_fd(std::move(fd), rules);
    if (!memory) return memory.error();
    return share::Buffer::create(*memory, 0, *layout);
}

} // namespace

TEST_CASE("what the CPU writes after the import is what GL reads, without a new import") {
    const auto display = software_display();
    const auto buffer = testing::memfd_buffer(100, 60, share::format::xrgb8888);
    testing::fill(*buffer, 0xff112233);
    const auto image = Image::import(display, buffer);
    REQUIRE(image);
    CHECK(image->mechanism() == share::Mechanism::memfd);
    const Framebuffer framebuffer(*image);
    CHECK(framebuffer.pixel(99, 59) == std::array<std::uint8_t, 4>{0x11, 0x22, 0x33, 0xff});
    testing::fill(*buffer, 0xff445566);
    CHECK(framebuffer.pixel(50, 30) == std::array<std::uint8_t, 4>{0x44, 0x55, 0x66, 0xff});
}

TEST_CASE("a real dma-buf is drawn from and into in place, both ways") {
    const auto display = software_display();
    const auto heaps = share::HeapTable::probe();
    const std::string name = GENERATE("udmabuf", "dma-heap:system");
    auto heap = heaps.find(name);
    if (!heap) SKIP(heap.error().text());
    const auto layout = share::Layout::linear(100, 60, share::format::xrgb8888);
    auto memory = (*heap)->allocate(layout->size(), "egl test");
    REQUIRE(memory);
    auto dmabuf = (*memory)->export_dmabuf(0, (*memory)->size());
    REQUIRE(dmabuf);
    auto imported = share::import_fd(std::move(*dmabuf), {.accept_memfd = false});
    REQUIRE(imported);
    REQUIRE((*imported)->traits().kind == share::MemoryKind::dmabuf);
    const auto ours = share::Buffer::create(*memory, 0, *layout);
    const auto theirs = share::Buffer::create(*imported, 0, *layout);
    REQUIRE(ours);
    REQUIRE(theirs);
    const auto image = Image::import(display, *theirs);
    REQUIRE(image);
    CHECK(image->mechanism() == share::Mechanism::dmabuf);
    const Framebuffer framebuffer(*image);
    testing::fill(**ours, 0xff445566);
    CHECK(framebuffer.pixel(50, 30) == std::array<std::uint8_t, 4>{0x44, 0x55, 0x66, 0xff});
    glClearColor(0, 1, 0, 1);
    glClear(GL_COLOR_BUFFER_BIT);
    glFinish();
    const auto mapping = (*ours)->map(share::Access::read, share::Deadline::in(std::chrono::seconds(1)));
    REQUIRE(mapping);
    CHECK(mapping->row(0, 59)[99 * 4] == std::byte{0});
    CHECK(mapping->row(0, 59)[99 * 4 + 1] == std::byte{255});
}

TEST_CASE("what GL draws into an image is what the CPU reads from the buffer") {
    const auto display = software_display();
    const auto buffer = testing::memfd_buffer(70, 40, share::format::xrgb8888);
    const auto image = Image::import(display, buffer);
    REQUIRE(image);
    {
        const Framebuffer framebuffer(*image);
        glClearColor(1, 0, 0, 1);
        glClear(GL_COLOR_BUFFER_BIT);
        glFinish();
    }
    auto mapping = buffer->map(share::Access::read, share::Deadline::in(std::chrono::seconds(1)));
    REQUIRE(mapping);
    std::uint32_t pixel = 0;
    std::memcpy(&pixel, mapping->row(0, 39).data() + 69 * 4, 4);
    CHECK((pixel & 0xffffff) == 0xff0000);
}

TEST_CASE("an image keeps its buffer and its display alive") {
    auto display = software_display();
    auto buffer = testing::memfd_buffer(32, 32, share::format::xrgb8888);
    testing::fill(*buffer, 0xff00ff00);
    const auto image = Image::import(display, buffer);
    REQUIRE(image);
    display.reset();
    buffer.reset();
    const Framebuffer framebuffer(*image);
    CHECK(framebuffer.pixel(31, 31)[1] == 0xff);
}

TEST_CASE("a plane of NV12 is an image of its own") {
    const auto display = software_display();
    const auto buffer = testing::memfd_buffer(64, 32, share::format::nv12);
    {
        auto mapping = buffer->map(share::Access::write, share::Deadline::in(std::chrono::seconds(1)));
        REQUIRE(mapping);
        std::memset(mapping->plane(0).data(), 0x40, mapping->plane(0).size());
        for (std::size_t i = 0; i < mapping->plane(1).size(); ++i)
            mapping->plane(1)[i] = i % 2 ? std::byte{0x60} : std::byte{0x50};
    }
    const auto chroma = Image::import_plane(display, buffer, 1, share::format::gr88);
    REQUIRE(chroma);
    const Framebuffer framebuffer(*chroma);
    CHECK(framebuffer.pixel(31, 15)[0] == 0x50);
    CHECK(framebuffer.pixel(31, 15)[1] == 0x60);
    CHECK_FALSE(Image::import_plane(display, buffer, 1, share::format::r8));
    CHECK_FALSE(Image::import_plane(display, buffer, 2, share::format::r8));
}

TEST_CASE("an ARGB8888 buffer can be read as XRGB8888, but not as a format of another layout") {
    const auto display = software_display();
    const auto buffer = testing::memfd_buffer(16, 16, share::format::argb8888);
    CHECK(Image::import(display, buffer, share::format::xrgb8888));
    const auto refused = Image::import(display, buffer, share::format::rgb565);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == share::Code::invalid_argument);
}

TEST_CASE("a file that can shrink never reaches the driver") {
    const auto display = software_display();
    const auto buffer = file_buffer(0, true);
    REQUIRE(buffer);
    const auto refused = Image::import(display, *buffer);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text().find("F_SEAL_SHRINK") != std::string::npos);
}

TEST_CASE("a file that must not be written is refused, because software drivers map it writable") {
    const auto display = software_display();
    const auto buffer = file_buffer(F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE, false);
    REQUIRE(buffer);
    const auto refused = Image::import(display, *buffer);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == share::Code::unsupported);
}

TEST_CASE("importing and dropping images leaves no fd behind") {
    const auto display = software_display();
    const auto buffer = testing::memfd_buffer(16, 16, share::format::xrgb8888);
    {
        auto warm = Image::import(display, buffer);
    }
    const auto before = testing::count_fds();
    for (int i = 0; i < 20; ++i) {
        auto image = Image::import(display, buffer);
        REQUIRE(image);
    }
    CHECK(testing::count_fds() == before);
}
