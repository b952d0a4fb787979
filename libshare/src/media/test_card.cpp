// SPDX-License-Identifier: MIT
#include <share/media/test_card.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <jpeglib.h>

#include <share/unique_fd.hpp>

#include "landscape.hpp"

namespace share::media {

namespace {

constexpr int quality = 92;
constexpr std::uint32_t smallest = 16, largest = 16384;

/// Plain data: longjmp passes over it.
struct State {
    jpeg_compress_struct cinfo;
    jpeg_error_mgr errors;
    std::jmp_buf jump;
    unsigned char* data; ///< malloc'ed by the library
    unsigned long size;
    char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void fail(j_common_ptr cinfo) {
    State& s = *static_cast<State*>(cinfo->client_data);
    cinfo->err->format_message(cinfo, s.message);
    std::longjmp(s.jump, 1);
}

struct Painting {
    const Landscape& landscape;
    std::vector<std::uint8_t> row;
    std::uint32_t width, height;
};

void encode(State& s, Painting& painting) {
    s.cinfo.err = jpeg_std_error(&s.errors);
    s.errors.error_exit = fail;
    s.cinfo.client_data = &s;
    jpeg_create_compress(&s.cinfo);
    jpeg_mem_dest(&s.cinfo, &s.data, &s.size);
    s.cinfo.image_width = painting.width;
    s.cinfo.image_height = painting.height;
    s.cinfo.input_components = 3;
    s.cinfo.in_color_space = JCS_RGB;
    jpeg_set_defaults(&s.cinfo); // baseline, 4:2:0
    jpeg_set_quality(&s.cinfo, quality, TRUE);
    jpeg_start_compress(&s.cinfo, TRUE);
    for (std::uint32_t y = 0; y < painting.height; ++y) {
        painting.landscape.paint_row(y, painting.row);
        JSAMPROW row = painting.row.data();
        jpeg_write_scanlines(&s.cinfo, &row, 1);
    }
    jpeg_finish_compress(&s.cinfo);
}

class Encoder {
public:
    Encoder() { std::memset(&state_, 0, sizeof state_); }
    ~Encoder() {
        jpeg_destroy_compress(&state_.cinfo);
        std::free(state_.data);
    }
    Encoder(const Encoder&) = delete;
    Encoder& operator=(const Encoder&) = delete;
    bool run(Painting& painting) {
        if (setjmp(state_.jump) != 0) return false;
        encode(state_, painting);
        return true;
    }
    std::span<const unsigned char> bytes() const { return {state_.data, state_.size}; }
    const char* message() const { return state_.message; }

private:
    State state_;
};

/// A file under a temporary name, which is removed unless it got its real one.
class NewFile {
public:
    explicit NewFile(const std::string& path) : path_(path) {
        // Not mkstemp: it makes the file private, and the umask can only be read by changing it.
        for (unsigned attempt = 0; attempt < 100 && !fd_; ++attempt) {
            temporary_ = fmt::format("{}.{}-{}.tmp", path, ::getpid(), attempt);
            fd_.reset(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
            error_ = fd_ ? 0 : errno;
            if (!fd_ && error_ != EEXIST) break;
        }
    }
    ~NewFile() {
        if (fd_) ::unlink(temporary_.c_str());
    }
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    /// 0 or errno.
    int write(std::span<const unsigned char> bytes) {
        if (!fd_) return error_;
        while (!bytes.empty()) {
            const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
            if (n < 0 && errno != EINTR) return errno;
            if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
        if (::rename(temporary_.c_str(), path_.c_str()) != 0) return errno;
        fd_.reset();
        return 0;
    }

private:
    std::string path_, temporary_;
    UniqueFd fd_;
    int error_ = 0;
};

} // namespace

Result<void> write_test_card(const std::string& path, std::uint32_t width, std::uint32_t height) {
    const std::string operation = fmt::format("writing test card '{}'", path);
    if (width < smallest || height < smallest || width > largest || height > largest)
        return make_error(Code::invalid_argument, operation,
                          fmt::format("{}x{}: each side must be {} to {}", width, height, smallest, largest));
    // A new file takes the place of the old one: of a device, for root, that would be its end.
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
        return make_error(Code::invalid_argument, operation,
                          "it is not a regular file; name a new file or one to be replaced");
    try {
        const Landscape landscape(width, height);
        Painting painting{landscape, std::vector<std::uint8_t>(std::size_t{width} * 3), width, height};
        Encoder encoder;
        if (!encoder.run(painting)) return make_error(Code::out_of_memory, operation, encoder.message());
        NewFile file(path);
        if (const int failed = file.write(encoder.bytes()); failed != 0)
            return error_from_errno(failed, operation);
        return {};
    } catch (const std::bad_alloc&) {
        return make_error(Code::out_of_memory, operation, "not enough memory");
    }
}

} // namespace share::media
