// SPDX-License-Identifier: MIT
#include "bench.hpp"

#include <time.h>

#include <fmt/format.h>

namespace bench {
namespace {

double seconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

} // namespace

double thread_cpu() {
    return seconds(CLOCK_THREAD_CPUTIME_ID);
}

double process_cpu(pid_t pid) {
    clockid_t clock{};
    return clock_getcpuclockid(pid, &clock) == 0 ? seconds(clock) : 0;
}

Spread spread(std::vector<double> values) {
    if (values.empty()) return {};
    std::sort(values.begin(), values.end());
    const auto at = [&](double share) {
        return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
    };
    return {at(0.5), at(0.25), at(0.75)};
}

std::vector<std::vector<double>> rounds(const std::vector<std::function<void()>>& subjects, int count) {
    std::vector<std::vector<double>> result(subjects.size());
    for (int round = -1; round < count; ++round) {
        for (std::size_t i = 0; i < subjects.size(); ++i) {
            const double start = thread_cpu();
            subjects[i]();
            if (round >= 0) result[i].push_back(thread_cpu() - start);
        }
    }
    return result;
}

void print_ratio(const std::string& name, const std::string& peer, const std::vector<double>& subject,
                 const std::vector<double>& baseline, double target) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < std::min(subject.size(), baseline.size()); ++i)
        ratios.push_back(subject[i] / baseline[i]);
    const auto s = spread(ratios);
    const std::string goal = target > 0 ? fmt::format("; target at most {}", target) : std::string();
    fmt::print("  {:<58} {:6.3f} of {}  ({:.3f} to {:.3f}{})\n", name, s.median, peer, s.low, s.high, goal);
}

void print_value(const std::string& name, const std::string& value) {
    fmt::print("  {:<58} {}\n", name, value);
}

} // namespace bench
