// SPDX-License-Identifier: Apache-2.0
#include "base/amounts.h"

#include <gtest/gtest.h>

namespace tideway {
namespace {

TEST(Amounts, RatesAreBitsOrBytesByTheirUnit) {
  EXPECT_EQ(parse_rate("10Gbit").value(), 10_Gbit);
  EXPECT_EQ(parse_rate("10Gbit/s").value(), 10_Gbit);
  EXPECT_EQ(parse_rate("1.2GB").value(), Rate::bytes_per_second(1'200'000'000));
  EXPECT_EQ(parse_rate("800MiB/s").value(), Rate::bytes_per_second(uint64_t{800} << 20));
  EXPECT_EQ(parse_rate("512 kbit/s").value(), Rate::bytes_per_second(64'000));
  EXPECT_TRUE(parse_rate("off").value().is_unlimited());
}

TEST(Amounts, ABareRateIsRefusedWithBothReadings) {
  const auto rate = parse_rate("10");
  ASSERT_FALSE(rate.ok());
  EXPECT_EQ(rate.error().what, "\"10\" has no unit");
  EXPECT_EQ(rate.error().next, "write 10Gbit (1.25 GB/s) or 10GB (80 Gbit/s)");
  EXPECT_EQ(parse_rate("100M").error().next, "write 100Mbit (12.5 MB/s) or 100MB (800 Mbit/s)");
}

TEST(Amounts, WhatIsNoAmountIsRefused) {
  for (const char* text : {"", "off ", "-1Gbit", "1e9bit", "Gbit", "0Gbit", "1..2GB", "nan", "inf", "10 Gb", "10gbit ",
                           "1\nGbit", "9999999999999PB", ".", "1bit"})
    EXPECT_FALSE(parse_rate(text).ok()) << text;
  for (const char* text : {"", "10", "10Gbit", "-1B", "1e3B", "99999PB"}) EXPECT_FALSE(parse_size(text).ok()) << text;
  for (const char* text : {"", "25", "25 min", "-1s", "1000000d"}) EXPECT_FALSE(parse_duration(text).ok()) << text;
  for (const char* text : {"", "0.1", "101%", "-1%", "1 %%"}) EXPECT_FALSE(parse_percent(text).ok()) << text;
}

TEST(Amounts, SizesTimesAndSharesParse) {
  EXPECT_EQ(parse_size("64KiB").value(), 64_KiB);
  EXPECT_EQ(parse_size("1.5GB").value(), 1'500'000'000_B);
  EXPECT_EQ(parse_size("40TiB").value(), Bytes(uint64_t{40} << 40));
  EXPECT_EQ(parse_duration("25ms").value(), std::chrono::milliseconds(25));
  EXPECT_EQ(parse_duration("2h").value(), std::chrono::hours(2));
  EXPECT_EQ(parse_duration("7d").value(), std::chrono::hours(168));
  EXPECT_EQ(parse_duration("0").value(), Duration(0));
  EXPECT_DOUBLE_EQ(parse_percent("0.1%").value(), 0.001);
  EXPECT_EQ(parse_percent("off").value(), 0.0);
}

TEST(Amounts, AreWrittenWithThreeDigitsAndAUnit) {
  EXPECT_EQ(to_string(Rate::bits_per_second(38'123'456'789)), "38.1 Gbit/s");
  EXPECT_EQ(to_string(Rate::unlimited()), "off");
  EXPECT_EQ(to_string(Rate::bits_per_second(999'960'000)), "1 Gbit/s");
  EXPECT_EQ(to_string(512_MiB), "512 MiB");
  EXPECT_EQ(to_string(Bytes(0)), "0 B");
  EXPECT_EQ(exact_to_string(Bytes(1023)), "1023 B");
  EXPECT_EQ(exact_to_string(Bytes(20'000'000)), "19.1 MiB (20000000 bytes)");
  EXPECT_EQ(to_string(Duration(std::chrono::microseconds(1500))), "1.5 ms");
  EXPECT_EQ(to_string(Duration(std::chrono::seconds(665))), "11m05s");
  EXPECT_EQ(to_string(Duration(std::chrono::minutes(72))), "1h12m");
  EXPECT_EQ(to_string(Duration(std::chrono::hours(76))), "3d4h");
  EXPECT_EQ(percent_to_string(0.001), "0.1%");
  EXPECT_EQ(percent_to_string(0), "0%");
  EXPECT_EQ(percent_to_string(1.5e-6), "0.00015%");
  EXPECT_EQ(percent_to_string(2.5e-7), "0%");  // and no exponent, which would not be read back
}

TEST(Amounts, WhatIsWrittenIsReadBack) {
  for (uint64_t n = 8; n < uint64_t{1} << 56; n = n * 3 + 1) {
    const Rate rate = parse_rate(to_string(Rate::bytes_per_second(n))).value();
    EXPECT_NEAR(rate.bits_per_second(), 8.0 * static_cast<double>(n), 0.06 * static_cast<double>(n)) << n;
    const Bytes size = parse_size(to_string(Bytes(n))).value();
    EXPECT_NEAR(static_cast<double>(size.count()), static_cast<double>(n), 0.006 * static_cast<double>(n) + 1) << n;
  }
}

}  // namespace
}  // namespace tideway
