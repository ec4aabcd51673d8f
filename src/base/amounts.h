// SPDX-License-Identifier: Apache-2.0
//
// Rates, sizes, times and shares as people write them, and back. An amount always carries its unit: a bare number is
// refused with the readings it could have, because a factor of eight is found out too late. Refusals are `usage`; a
// reader of configuration puts its own fault, file and line around the text.
// Pure.
#pragma once
#include <tideway/result.h>
#include <tideway/units.h>

#include <string>
#include <string_view>

namespace tideway {

// `10Gbit` (bits), `1.2GB`, `800MiB` (bytes), each per second with or without "/s"; `off` is Rate::unlimited(). Never
// zero. Prefixes k M G T P are decimal, Ki Mi Gi Ti Pi binary.
Result<Rate> parse_rate(std::string_view text);
// `64KiB`, `1.5GB`, `20B`.
Result<Bytes> parse_size(std::string_view text);
// `250us`, `25ms`, `10s`, `30m`, `2h`, `7d`; `0` is allowed bare, because it is the same in every unit.
Result<Duration> parse_duration(std::string_view text);
// `0.1%` gives 0.001; from `0%` to `100%`; `off` and a bare `0` are zero.
Result<double> parse_percent(std::string_view text);

// Three significant digits with the largest unit that fits, readable by the parser of the same kind unless said
// otherwise: "38.1 Gbit/s" (or "off"), "6.2 TiB", "25 ms". From a minute on a time is written for people only:
// "11m05s", "1h12m", "3d4h".
std::string to_string(Rate rate);
std::string to_string(Bytes size);
std::string to_string(Duration time);
// With all digits behind it, for sizes that are to be compared: "19.1 MiB (20000000 bytes)".
std::string exact_to_string(Bytes size);
std::string percent_to_string(double share);  // 0.001 gives "0.1%"

}  // namespace tideway
