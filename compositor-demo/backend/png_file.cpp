// SPDX-License-Identifier: MIT
#include "backend/png_file.hpp"

#include <fcntl.h>
#include <png.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <memory>
#include <vector>

#include <share/unique_fd.hpp>

namespace compositor::backend {

namespace {

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};

// The file under its temporary name; gone unless it was published.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::string& target) : name_(target + ".XXXXXX") {}
    ~TemporaryFile() {
        file_.reset();
        if (made_) unlink(name_.c_str());
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;

    bool open() {
        share::UniqueFd fd(mkostemp(name_.data(), O_CLOEXEC));
        if (!fd) return false;
        made_ = true;
        const mode_t mask = umask(0);
        umask(mask);
        if (fchmod(fd.get(), 0666 & ~mask) != 0) return false;
        file_.reset(fdopen(fd.get(), "wb"));
        if (file_) (void)fd.release();
        return file_ != nullptr;
    }
    std::FILE* stream() const { return file_.get(); }
    bool publish(const std::string& target) {
        if (std::fclose(file_.release()) != 0 || rename(name_.c_str(), target.c_str()) != 0) return false;
        made_ = false;
        return true;
    }

private:
    std::string name_;
    std::unique_ptr<std::FILE, CloseFile> file_;
    bool made_ = false;
};

std::vector<std::uint8_t> rgb_of(std::span<const std::uint32_t> pixels) {
    std::vector<std::uint8_t> rgb(pixels.size() * 3);
    std::uint8_t* at = rgb.data();
    for (const std::uint32_t pixel : pixels) {
        *at++ = static_cast<std::uint8_t>(pixel >> 16);
        *at++ = static_cast<std::uint8_t>(pixel >> 8);
        *at++ = static_cast<std::uint8_t>(pixel);
    }
    return rgb;
}

// Where a link points to: the rename must replace the picture, not the link.
std::string resolved(const std::string& path) {
    const std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
    return real ? real.get() : path;
}

} // namespace

share::Result<void> write_png(const std::string& path, int width, int height,
                              std::span<const std::uint32_t> pixels) {
    const std::string operation = "writing screenshot " + path;
    struct stat st{};
    if (stat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode))
        return share::make_error(share::Code::invalid_argument, operation,
                                 "it exists and is not a regular file");
    const std::string target = resolved(path);
    TemporaryFile file(target);
    if (!file.open())
        return share::error_from_errno(errno, operation, "choose a folder that exists and is writable");
    const auto rgb = rgb_of(pixels);
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = static_cast<png_uint_32>(width);
    image.height = static_cast<png_uint_32>(height);
    image.format = PNG_FORMAT_RGB;
    image.flags = PNG_IMAGE_FLAG_FAST;
    errno = 0;
    if (!png_image_write_to_stdio(&image, file.stream(), 0, rgb.data(), 0, nullptr)) {
        const int why = errno;
        if (why != 0) return share::error_from_errno(why, operation, image.message);
        return share::make_error(share::Code::io, operation, image.message);
    }
    if (std::fflush(file.stream()) != 0 || !file.publish(target))
        return share::error_from_errno(errno, operation, "nothing was written; is the disk full?");
    return {};
}

} // namespace compositor::backend
