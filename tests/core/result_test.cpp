// SPDX-License-Identifier: MIT
#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <memory>

#include <fcntl.h>
#include <unistd.h>

#include <share/result.hpp>
#include <share/unique_fd.hpp>

#include "process.hpp"

using namespace share;

TEST_CASE("an error's text says what was attempted, why it failed and the system's word", "[result]") {
    const auto error = error_from_errno(EACCES, "opening /dev/udmabuf", "join its group");
    CHECK(error.code == Code::denied);
    CHECK(error.text() == "opening /dev/udmabuf: join its group (Permission denied)");
    CHECK(make_error(Code::busy, "mapping", "").text() == "mapping");
}

TEST_CASE("a result gives its value away once moved", "[result]") {
    Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
    REQUIRE(result.ok());
    const auto taken = std::move(result).value();
    CHECK(*taken == 7);
}

TEST_CASE("a UniqueFd closes exactly what it holds", "[fd]") {
    const auto before = testing::count_fds();
    {
        UniqueFd a(open("/dev/null", O_RDONLY | O_CLOEXEC));
        UniqueFd b(std::move(a));
        CHECK_FALSE(a);
        CHECK(b);
        a = std::move(b);
        CHECK(testing::count_fds() == before + 1);
        const int raw = a.release();
        CHECK(testing::count_fds() == before + 1);
        errno = ERANGE;
        UniqueFd(raw).reset();
        CHECK(errno == ERANGE);
    }
    CHECK(testing::count_fds() == before);
}
