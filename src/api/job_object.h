// SPDX-License-Identifier: Apache-2.0
//
// Parts of a job as JSON objects, for the store's record and for the API. Only api/*.cc includes this.
// Thread: any. Pure.
#pragma once
#include "api/json_fields.h"
#include "job/job.h"

#include <optional>

namespace tideway::api {

Json to_object(const job::Outcome& outcome);
Json to_object(const Error& error);
Json to_object(const job::Wait& wait);
Json to_object(const std::vector<job::EntryProblem>& problems);
Json to_object(const std::vector<job::SourceShare>& sources);
void read_sources(Fields& fields, std::vector<job::SourceShare>& into);
Json to_object(const job::Job& job);  // all but its entries, its request and its lease
Result<job::Job> read_job(const Json& json);
void read_problems(Fields& fields, const char* name, std::vector<job::EntryProblem>& into);
void read_outcome(Fields& fields, std::optional<job::Outcome>& into);

// As a job and a plan write it (job_view.h); leaves `into` alone where nothing is forecast.
struct Forecast;
void read_forecast(Fields& fields, std::optional<Forecast>& into);

}  // namespace tideway::api
