// SPDX-License-Identifier: Apache-2.0
//
// A specification as part of a larger JSON object. Only api/*.cc includes this.
// Thread: any. Pure.
#pragma once
#include "api/json_fields.h"

namespace tideway::api {

// A word that is absent leaves what is there.
void read_patience(Fields& fields, job::Patience& into);
void read_supersede(Fields& fields, job::Checkpoint::Supersede& into);

job::Spec read_spec(Fields& fields);  // what is wrong is kept by `fields`
Json to_object(const job::Spec& spec);

}  // namespace tideway::api
