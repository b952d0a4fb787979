// SPDX-License-Identifier: MIT
// What every benchmark needs: CPU time of threads and processes, and ratios of things measured in turn.
//
// Machines differ and are noisy, so nothing here is a figure of its own: A and B are run alternately in one
// process or against one load, and the median of the rounds' ratios is printed, with the spread.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace bench {

/// CPU seconds used by the calling thread so far.
double thread_cpu();
/// CPU seconds used so far by all threads of a process.
double process_cpu(pid_t pid);

struct Spread {
    double median = 0, low = 0, high = 0; ///< low and high: the quartiles
};
Spread spread(std::vector<double> values);

/// Runs every subject once a round, in turn, `rounds` times after one unmeasured round, and returns the CPU
/// seconds of each: result[subject][round].
std::vector<std::vector<double>> rounds(const std::vector<std::function<void()>>& subjects, int count);

/// "name   1.020 of PEER  (1.010 to 1.040; target at most 1.03)"; a target of 0 is none.
void print_ratio(const std::string& name, const std::string& peer, const std::vector<double>& subject,
                 const std::vector<double>& baseline, double target);
void print_value(const std::string& name, const std::string& value);

} // namespace bench
