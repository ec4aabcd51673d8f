// SPDX-License-Identifier: Apache-2.0
#include "api/job_record.h"
#include "api/spec_json.h"
#include "api/time_text.h"

#include <gtest/gtest.h>

namespace tideway::api {
namespace {

using namespace std::chrono_literals;

job::Spec full_spec() {
  job::Spec spec;
  spec.sources = {"data:a", "data:b \"c\"\n"};
  spec.destination = "wisconsin:data/there/";
  spec.compress = "zstd:3";
  spec.verify = "wire";
  spec.publish = "marker";
  spec.last = {"*.index"};
  spec.filters = {{job::Filter::Kind::kInclude, "*.pt"}, {job::Filter::Kind::kExclude, "*"}};
  spec.only = {"x", "y/z"};
  spec.rate_max = Rate::bits_per_second(80'000'000);
  spec.service = job::Class::kCheckpoint;
  spec.patience = job::Patience::kCommand;
  spec.overwrite = "if-older";
  spec.alternatives = {"paris:data/a"};
  spec.older = "paris:data/step-8000";
  spec.checkpoint = {"dcp", "data:a", 8, "4f0c", {"latest"}, job::Checkpoint::Supersede::kAll, 5s, 3};
  spec.submission_id = "run-7";
  spec.every = 30min;
  spec.deadline = job::WallTime(1764000000250ms);
  spec.rpo = 1h;
  spec.bytes = 7_GiB;
  spec.series = "llm7";
  spec.step = 9000;
  spec.weight = 3;
  spec.hurt_max = 0.5;
  spec.labels = {{"team", "a"}};
  spec.sites = {"wisconsin"};
  spec.replicas = 2;
  spec.relay_ok = true;
  spec.energy = "green";
  return spec;
}

TEST(SpecJson, EverythingComesBack) {
  const auto back = parse_spec(to_json(full_spec()));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(back.value(), full_spec());
}

TEST(SpecJson, EqualRequestsAreEqualTextsHoweverTheyWereWritten) {
  const auto a = parse_spec(R"({"sources":["data:a"],"destination":"w:d/a","compress":"auto"})");
  const auto b = parse_spec("{\"destination\" : \"w:d/a\",\n \"sources\":[\"data:a\"], \"every_s\": null}");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(to_json(a.value()), to_json(b.value()));
}

TEST(SpecJson, WhatIsWrongIsNamed) {
  const auto what = [](std::string_view body) {
    const auto spec = parse_spec(body);
    return spec.ok() ? std::string() : std::string(spec.error().name()) + ": " + spec.error().what;
  };
  EXPECT_NE(what(R"({"source":["a"]})").find("source"), std::string::npos);
  EXPECT_NE(what(R"({"sources":"a"})").find("sources is not a list"), std::string::npos);
  EXPECT_NE(what(R"({"rate_bits":-1})").find("rate_bits"), std::string::npos);
  EXPECT_NE(what(R"({"weight":4294967296})").find("weight"), std::string::npos);
  EXPECT_NE(what(R"({"class":"urgent"})").find("class"), std::string::npos);
  EXPECT_NE(what(R"({"deadline":"tomorrow"})").find("deadline"), std::string::npos);
  EXPECT_NE(what(R"({"filters":[{"include":"a","exclude":"b"}]})").find("filters"), std::string::npos);
  for (const char* text : {"", "[]", "{", "7", "\"\xff\"", "{\"sources\":[\"\xff\"]}"}) EXPECT_EQ(what(text).substr(0, 6), "usage:") << text;
  EXPECT_EQ(what(std::string(1000, '[')).substr(0, 6), "usage:");
}

TEST(JobRecord, EverythingComesBack) {
  job::Job job;
  job.id = "0123456789abcdef";
  job.number = 12;
  job.spec = full_spec();
  job.request = to_json(job.spec);
  job.owner = 1000;
  job.is_at_risk = true;
  job.peer = "wisconsin";
  job.transfer.fill(std::byte{0xa5});
  job.state = job::State::kFailed;
  job.wait = job::Wait{"dest_full", "the root is full", "free space"};
  job.error = Error{Fault::kHashMismatch, "a leaf differs", "look"};
  job.attempts = 4;
  job.created = job::WallTime(1764000000001ms);
  job.outcome.emplace();
  job.outcome->entries = 4;
  job.outcome->failed = 1;
  job.outcome->bytes = 7_MiB;
  job.outcome->ratio = 1.5;
  job.outcome->sources = {{"a:r/x", 5_MiB}, {"b:r/x", 2_MiB}};
  job.outcome->root.fill(std::byte{0x3c});
  job.problems = {{"a/b", "source_io", "EIO", false}, {"dev", "special_file", "a device", true}};
  job.run_of = "fedcba9876543210";
  job.runs = 3;
  job.removed = job::WallTime(1764000000002ms);
  job.groups = {1001, 27};
  job.spares = {{"4f0c", "{\"path\":\"data:a\"}", 1000, 1001, {27, 1002}, {"0123456789abcdef"}}};
  const auto back = parse_record(to_record(job));
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(to_record(back.value()), to_record(job));
  EXPECT_EQ(back.value().spec, job.spec);
  EXPECT_EQ(back.value().transfer, job.transfer);
  EXPECT_EQ(back.value().outcome, job.outcome);
  EXPECT_EQ(back.value().problems, job.problems);
  EXPECT_EQ(back.value().wait, job.wait);
  EXPECT_EQ(back.value().error->fault, Fault::kHashMismatch);
  EXPECT_EQ(back.value().created, job.created);
  EXPECT_EQ(back.value().removed, job.removed);
  EXPECT_EQ(back.value().groups, job.groups);
  EXPECT_EQ(back.value().spares, job.spares);
}

TEST(JobRecord, WhatALaterVersionAddedIsPassedOver) {
  job::Job job;
  job.id = "0123456789abcdef";
  std::string record = to_record(job);
  record.insert(1, "\"mood\":\"good\",");
  EXPECT_TRUE(parse_record(record).ok());
}

TEST(TimeText, IsReadAsItIsWritten) {
  for (const int64_t ms : {0LL, 1764137400250LL, 951782400000LL, 4102444799999LL}) {
    const job::WallTime time{std::chrono::milliseconds(ms)};
    EXPECT_EQ(parse_time(to_text(time)), time) << to_text(time);
  }
  EXPECT_EQ(to_text(job::WallTime(951782400000ms)), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(parse_time("2026-11-26T06:10:00Z"), job::WallTime(1795673400000ms));
  for (const char* text : {"", "2026-11-26", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-26T24:00:00Z", "2026-11-26T06:10:00+01:00", "2026-11-26T06:10:0-1Z"})
    EXPECT_FALSE(parse_time(text)) << text;
}

}  // namespace
}  // namespace tideway::api
