// SPDX-License-Identifier: Apache-2.0
#include "planner/timetable.h"

#include <gtest/gtest.h>

namespace tideway::planner {
namespace {

using namespace std::chrono;

sys_seconds utc(year_month_day date, minutes of_day) { return sys_days(date) + of_day; }
minutes at(int hour, int minute = 0) { return hours(hour) + minutes(minute); }

const ZoneRule kBerlin = ZoneRule::parse("CET-1CEST,M3.5.0,M10.5.0/3").value();

Rate up(const Timetable& table, sys_seconds time, const ZoneRule& zone = {}) { return table.at(time, zone).up; }

TEST(Timetable, HoldsTheLastEntryUntilTheNextOneAroundTheWeek) {
  const auto table = Timetable::parse("Mon-00:00,512MiB Fri-23:59,10GiB Sat-10:00,1GiB Sun-20:00,off").value();
  const Rate small = Rate::bytes_per_second(512 << 20), large = Rate::bytes_per_second(uint64_t{10} << 30), middle = Rate::bytes_per_second(1 << 30);
  EXPECT_EQ(up(table, utc(2026y / 11 / 23, at(0))), small);     // a Monday
  EXPECT_EQ(up(table, utc(2026y / 11 / 27, at(23, 58))), small);
  EXPECT_EQ(up(table, utc(2026y / 11 / 27, at(23, 59))), large);
  EXPECT_EQ(up(table, utc(2026y / 11 / 28, at(10))), middle);
  EXPECT_TRUE(up(table, utc(2026y / 11 / 29, at(20))).is_unlimited());
  EXPECT_EQ(up(table, utc(2026y / 11 / 29, at(0))), middle);    // Sunday, before its first entry of the week
}

TEST(Timetable, AnEntryWithoutADayHoldsOnEachAndPauseIsNothingAtAll) {
  const auto table = Timetable::parse("08:00,2Gbit 20:00,off Wed-12:00,pause").value();
  EXPECT_EQ(up(table, utc(2026y / 11 / 24, at(12))), 2_Gbit);
  EXPECT_TRUE(up(table, utc(2026y / 11 / 24, at(7, 59))).is_unlimited());
  EXPECT_EQ(up(table, utc(2026y / 11 / 25, at(12))), Rate());
  EXPECT_TRUE(up(table, utc(2026y / 11 / 25, at(20))).is_unlimited());
  EXPECT_EQ(up(Timetable::parse("1Gbit").value(), utc(2026y / 11 / 25, at(3))), 1_Gbit);
  const auto pair = Timetable::parse("00:00,1Gbit:off").value().at(utc(2026y / 11 / 25, at(3)), {});
  EXPECT_EQ(pair.up, 1_Gbit);
  EXPECT_TRUE(pair.down.is_unlimited());
  EXPECT_TRUE(up(Timetable(), utc(2026y / 11 / 25, at(3))).is_unlimited());
}

TEST(Timetable, SaysWhenItChangesNext) {
  const auto table = Timetable::parse("Mon-00:00,1Gbit Sat-10:00,off").value();
  EXPECT_EQ(table.next_change(utc(2026y / 11 / 23, at(7)), {}), utc(2026y / 11 / 28, at(10)));  // a Monday
  EXPECT_EQ(table.next_change(utc(2026y / 11 / 28, at(10)), {}), utc(2026y / 11 / 30, at(0)));
  EXPECT_EQ(table.next_change(utc(2026y / 11 / 28, at(9, 59)) + std::chrono::seconds(30), {}), utc(2026y / 11 / 28, at(10)));
  EXPECT_FALSE(Timetable::parse("1Gbit").value().next_change(utc(2026y / 11 / 23, at(7)), {}));
  EXPECT_FALSE(Timetable::parse("08:00,1Gbit 20:00,1Gbit").value().next_change(utc(2026y / 11 / 23, at(7)), {}));
  EXPECT_FALSE(Timetable().next_change(utc(2026y / 11 / 23, at(7)), {}));
  // In the night in which clocks are put forward from 2:00 to 3:00, what begins at 2:30 begins at once after it.
  EXPECT_EQ(Timetable::parse("02:30,1Gbit 20:00,off").value().next_change(utc(2026y / 3 / 29, at(0)), kBerlin), utc(2026y / 3 / 29, at(1)));
}

TEST(Timetable, SaysWhichEntryItCannotRead) {
  for (const char* text : {"08:00,2", "8:00,2Gbit", "24:00,2Gbit", "Mon,2Gbit", "Lun-08:00,2Gbit", "08:00,2Gbit x", "08:60,off"}) {
    const auto table = Timetable::parse(text);
    ASSERT_FALSE(table.ok()) << text;
    EXPECT_EQ(table.error().fault, Fault::kConfigInvalid);
  }
}

TEST(ZoneRule, TimesOutOfRangeAreRefused) {
  for (const char* rule : {"UTC999999999", "CET-168", "CET-1:60", "CET-1:00:60", "CET-1:-5", "CET-1CEST,M3.5.0/168,M10.5.0/3", "<+033*0>-3:30033"})
    EXPECT_FALSE(ZoneRule::parse(rule).ok()) << rule;
  EXPECT_TRUE(ZoneRule::parse("CET-1CEST,M3.5.0/167,M10.5.0/-167").ok());
}

TEST(ZoneRule, ChangesItsClockTwiceAYear) {
  EXPECT_EQ(kBerlin.offset_at(utc(2026y / 3 / 29, at(0, 59))), hours(1));
  EXPECT_EQ(kBerlin.offset_at(utc(2026y / 3 / 29, at(1))), hours(2));
  EXPECT_EQ(kBerlin.offset_at(utc(2026y / 10 / 25, at(0, 59))), hours(2));
  EXPECT_EQ(kBerlin.offset_at(utc(2026y / 10 / 25, at(1))), hours(1));
  const auto sydney = ZoneRule::parse("AEST-10AEDT,M10.1.0,M4.1.0/3").value();
  EXPECT_EQ(sydney.offset_at(utc(2026y / 1 / 10, at(0))), hours(11));
  EXPECT_EQ(sydney.offset_at(utc(2026y / 6 / 10, at(0))), hours(10));
  EXPECT_EQ(ZoneRule::parse("<+0330>-3:30").value().offset_at(utc(2026y / 6 / 10, at(0))), hours(3) + minutes(30));
  EXPECT_EQ(ZoneRule().offset_at(utc(2026y / 6 / 10, at(0))), seconds(0));
  for (const char* text : {"", "CE-1", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,J60,J300"})
    EXPECT_FALSE(ZoneRule::parse(text).ok()) << text;
}

// Each minute of a year: what holds is what the clock on the wall says, on the day of 23 hours and on that of 25 as well.
TEST(Timetable, FollowsTheClockOnTheWallForAYear) {
  const auto table = Timetable::parse("08:00,2Gbit 20:00,off").value();
  int limited = 0;
  for (sys_seconds time = utc(2026y / 1 / 1, at(0)); time < utc(2027y / 1 / 1, at(0)); time += minutes(10)) {
    const auto local = time + kBerlin.offset_at(time);
    const auto hour = duration_cast<hours>(local - floor<days>(local)).count();
    const bool is_day = hour >= 8 && hour < 20;
    ASSERT_EQ(up(table, time, kBerlin).is_unlimited(), !is_day) << time.time_since_epoch().count();
    limited += is_day;
  }
  EXPECT_EQ(limited, 365 * 12 * 6);
}

}  // namespace
}  // namespace tideway::planner
